//! Keeps a copy of public.orders from NATS JetStream.
//!
//!     nats-copy URL STREAM SUBJECT FILE [SOURCE]
//!
//! The subject is that of the table, as cdc.public.orders, or with partitions
//! cdc.public.orders.*; the copy is kept in FILE. With SOURCE, a connection string, it ends
//! when the copy is what the source has.

use std::error::Error;
use std::time::Duration;

use async_nats::jetstream::{self, consumer::pull::OrderedConfig, consumer::DeliverPolicy};
use examples_bus::Copy;
use futures_util::StreamExt;
use pgcdc::topic::Record;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let args: Vec<_> = std::env::args().collect();
    let [_, url, stream, subject, file, source @ ..] = &args[..] else {
        return Err("usage: nats-copy URL STREAM SUBJECT FILE [SOURCE]".into());
    };
    let mut copy = Copy::open(file, source.first().map(String::as_str))?;
    let jetstream = jetstream::new(async_nats::connect(url).await?);
    // all subjects of a stream are one order
    let deliver_policy = match copy.progress().sequence(stream) {
        0 => DeliverPolicy::All,
        last => DeliverPolicy::ByStartSequence { start_sequence: last + 1 },
    };
    let filter_subject = subject.clone();
    let config = OrderedConfig { deliver_policy, filter_subject, ..OrderedConfig::default() };
    let consumer = jetstream.get_stream(stream).await?.create_consumer(config).await?;
    let mut messages = consumer.messages().await?;
    loop {
        match tokio::time::timeout(Duration::from_millis(500), messages.next()).await {
            Ok(Some(message)) => {
                let message = message?;
                copy.apply(&record(&message, stream)?)?;
            }
            Ok(None) => return Err("the server has ended the subscription".into()),
            Err(_) if copy.rest().await? => return Ok(()),
            Err(_) => (),
        }
    }
}

fn record<'a>(
    message: &'a jetstream::Message,
    stream: &'a str,
) -> Result<Record<'a>, Box<dyn Error + Send + Sync>> {
    let headers = message.headers.iter().flat_map(|headers| headers.iter());
    let headers = headers.flat_map(|(name, values)| {
        values.iter().map(move |value| (name.as_ref(), value.as_str().as_bytes()))
    });
    Ok(Record {
        topic: &message.subject,
        stream,
        sequence: message.info()?.stream_sequence,
        value: Some(&message.payload),
        headers: headers.collect(),
        ..Record::default()
    })
}
