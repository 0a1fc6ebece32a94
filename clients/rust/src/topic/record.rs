//! What a broker hands out, whatever its library calls it.

use std::borrow::Cow;

/// A record of Kafka, or a message of JetStream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record<'a> {
    /// Topic, or subject.
    pub topic: &'a str,
    /// Of the topic; 0 on JetStream.
    pub partition: i32,
    /// The name of the stream, where all that is read is one order, whatever its topics: on
    /// JetStream. Otherwise empty.
    pub stream: &'a str,
    /// Grows within the partition, or the stream: Kafka's offset + 1, JetStream's sequence in
    /// the stream. 0: it is not known.
    pub sequence: u64,
    /// `None` where there is none.
    pub key: Option<&'a [u8]>,
    /// `None`: a tombstone.
    pub value: Option<&'a [u8]>,
    /// Names and values.
    pub headers: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Record<'a> {
    /// What one order of messages is of: the stream's name, or `TOPIC/PARTITION`.
    pub fn place(&self) -> Cow<'a, str> {
        match self.stream {
            "" => Cow::Owned(format!("{}/{}", self.topic, self.partition)),
            stream => Cow::Borrowed(stream),
        }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}
