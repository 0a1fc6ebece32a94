//! Keeps a copy of public.orders from Apache Kafka.
//!
//!     kafka-copy BROKERS TOPIC FILE [SOURCE]
//!
//! The topic is that of the table, as cdc.public.orders; the copy is kept in FILE. With SOURCE, a
//! connection string, it ends when the copy is what the source has.
//!
//! It reads all partitions itself and keeps their offsets with the rows, so that it needs no
//! consumer group.

use std::error::Error;
use std::time::Duration;

use examples_bus::Copy;
use pgcdc::topic::Record;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let args: Vec<_> = std::env::args().collect();
    let [_, brokers, topic, file, source @ ..] = &args[..] else {
        return Err("usage: kafka-copy BROKERS TOPIC FILE [SOURCE]".into());
    };
    let mut copy = Copy::open(file, source.first().map(String::as_str))?;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        // it has to have one, but does not use it
        .set("group.id", "kafka-copy")
        .set("enable.auto.commit", "false")
        // what a crash has left unfinished is not for us
        .set("isolation.level", "read_committed")
        .create()?;
    assign(&consumer, topic, &copy)?;
    loop {
        match consumer.poll(Duration::from_millis(500)) {
            Some(message) => copy.apply(&record(&message?))?,
            None if copy.rest().await? => return Ok(()),
            None => (),
        }
    }
}

/// All partitions, from where each was left.
fn assign(
    consumer: &BaseConsumer,
    topic: &str,
    copy: &Copy,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(30))?;
    let topics = metadata.topics().iter();
    let mut list = TopicPartitionList::new();
    for partition in topics.flat_map(|topic| topic.partitions()) {
        let place = Record { topic, partition: partition.id(), ..Record::default() };
        // the sequence is the offset + 1, which is where to go on
        let offset = match copy.progress().sequence(&place.place()) {
            0 => Offset::Beginning,
            next => Offset::Offset(next as i64),
        };
        list.add_partition_offset(topic, partition.id(), offset)?;
    }
    if list.count() == 0 {
        return Err(format!("there is no topic {topic}").into());
    }
    consumer.assign(&list)?;
    Ok(())
}

fn record<'a>(message: &'a BorrowedMessage<'_>) -> Record<'a> {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    Record {
        topic: message.topic(),
        partition: message.partition(),
        sequence: message.offset() as u64 + 1,
        key: message.key(),
        value: message.payload(),
        headers: headers.map(|h| (h.key, h.value.unwrap_or_default())).collect(),
        ..Record::default()
    }
}
