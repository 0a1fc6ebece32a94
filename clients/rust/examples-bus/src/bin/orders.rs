//! Prints orders as they are placed, from a topic that cdc-relay fills, as structs that prost
//! generated from `cdc.proto()`: whole rows where the table is under REPLICA IDENTITY FULL and
//! the slot has the option old = full.
//!
//!     NATS=nats://127.0.0.1:4222 orders
//!     KAFKA=127.0.0.1:9092 orders            (feature kafka)
//!
//! It begins with the first message, and passes over what comes twice. While the bus is away it
//! waits.

use std::error::Error;
use std::time::Duration;

use async_nats::jetstream::{self, consumer::pull::OrderedConfig, consumer::DeliverPolicy};
use examples_bus::{orders, Orders};
use futures_util::StreamExt;
use pgcdc::topic::{Kind, Progress, Reader, Record};
use pgcdc::{Decoder, Op};

const TOPIC: &str = "cdc.public.orders";
const STREAM: &str = "CDC";

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut printer =
        Printer { reader: Reader::default(), progress: Progress::default(), orders: orders()? };
    #[cfg(feature = "kafka")]
    if let Ok(brokers) = std::env::var("KAFKA") {
        return kafka(&brokers, &mut printer);
    }
    let url = std::env::var("NATS")?;
    loop {
        if let Err(error) = nats(&url, &mut printer).await {
            eprintln!("{error}");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

struct Printer {
    reader: Reader,
    progress: Progress,
    orders: Decoder<Orders>,
}

impl Printer {
    fn take(&mut self, record: &Record<'_>) -> Result<()> {
        let message = self.reader.read(record)?;
        if !self.progress.take(&message)? || message.kind != Kind::Change {
            return Ok(());
        }
        let Some(change) = message.change() else { return Ok(()) };
        if change.op == Op::Schema {
            if message.copy == 1 {
                println!("SCHEMA"); // each partition has one
            }
            return Ok(());
        }
        let Some(schema) = change.schema else { return Ok(()) };
        let order = match change.op {
            Op::Delete => self.orders.before(schema, &change)?,
            _ => self.orders.after(schema, &change)?,
        };
        if let Some(order) = order {
            let (id, total) = (order.id.unwrap_or(0), order.total.unwrap_or_default());
            println!("{} {id} {} {total}", message.op, order.customer.unwrap_or_default());
        }
        Ok(())
    }
}

async fn nats(url: &str, printer: &mut Printer) -> Result<()> {
    let jetstream = jetstream::new(async_nats::connect(url).await?);
    let next = printer.progress.sequence(STREAM) + 1;
    let deliver_policy = DeliverPolicy::ByStartSequence { start_sequence: next };
    let filter_subject = TOPIC.to_owned();
    let config = OrderedConfig { deliver_policy, filter_subject, ..OrderedConfig::default() };
    let consumer = jetstream.get_stream(STREAM).await?.create_consumer(config).await?;
    let mut messages = consumer.messages().await?;
    while let Some(message) = messages.next().await {
        let message = message?;
        let headers = message.headers.iter().flat_map(|headers| headers.iter());
        let headers = headers.flat_map(|(name, values)| {
            values.iter().map(move |value| (name.as_ref(), value.as_str().as_bytes()))
        });
        printer.take(&Record {
            topic: &message.subject,
            stream: STREAM,
            sequence: message.info()?.stream_sequence,
            value: Some(&message.payload),
            headers: headers.collect(),
            ..Record::default()
        })?;
    }
    Ok(())
}

#[cfg(feature = "kafka")]
fn kafka(brokers: &str, printer: &mut Printer) -> Result<()> {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::message::Headers;
    use rdkafka::{ClientConfig, Message};

    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "orders-rust")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .create()?;
    consumer.subscribe(&[TOPIC])?;
    loop {
        let Some(message) = consumer.poll(Duration::from_secs(1)) else { continue };
        let message = message?;
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        printer.take(&Record {
            topic: message.topic(),
            partition: message.partition(),
            sequence: message.offset() as u64 + 1,
            key: message.key(),
            value: message.payload(),
            headers: headers.map(|h| (h.key, h.value.unwrap_or_default())).collect(),
            ..Record::default()
        })?;
    }
}
