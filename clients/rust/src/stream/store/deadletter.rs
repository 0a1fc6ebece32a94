//! What could not be handled: policies, and files to keep it in.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use super::replace::replace_all;
use crate::base::damage::Damage;
use crate::base::position::Position;
use crate::json::text::string;
use crate::model::datetime::Timestamp;
use crate::model::schema::fingerprint;
use crate::wire::field::put_varint;

/// What to do with what cannot be handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// An error that ends the stream; nothing is acknowledged.
    #[default]
    Stop,
    /// Goes on without it. It is logged and counted.
    Skip,
    /// Gives it to the [`DeadLetterSink`] and goes on when they have it.
    DeadLetter,
    /// Hands it on as it is. Of events with a `failure` alone.
    Pass,
}

/// Why something is a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The bytes are damaged.
    Damage,
    /// The schema of an event has not come.
    UnknownSchema,
    /// The server could not write the change.
    Failure,
    /// The consumer's own code failed.
    Handler,
    /// Its rows are in another version than is expected, and could not be converted.
    Version,
}

impl Reason {
    /// As in `cdc_dead_letters_total{reason}`.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Damage => "damage",
            Reason::UnknownSchema => "unknown_schema",
            Reason::Failure => "failure",
            Reason::Handler => "handler",
            Reason::Version => "version",
        }
    }
}

impl From<Damage> for Reason {
    fn from(damage: Damage) -> Self {
        match damage {
            Damage::UnknownSchema(_) => Reason::UnknownSchema,
            _ => Reason::Damage,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that could not be handled.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct DeadLetter<'a> {
    /// Why.
    pub reason: Reason,
    /// What was said about it.
    pub error: &'a str,
    /// The slot that it came from.
    pub slot: &'a str,
    /// Of the event, if it is one.
    pub position: Option<Position>,
    /// A serialized `Batch`, without its frame: the damaged one as it came, also if it is
    /// compressed, or one that was cut to the single event and has what is needed to read
    /// it alone. Where one event of a compressed batch is damaged, what is inside.
    pub batch: &'a [u8],
}

impl<'a> DeadLetter<'a> {
    /// Without a position.
    pub fn new(reason: Reason, error: &'a str, slot: &'a str, batch: &'a [u8]) -> Self {
        DeadLetter { reason, error, slot, position: None, batch }
    }

    /// The name of its files: the same in all clients, and that of no other letter.
    /// Slot, position, reason and a hash of the batch.
    pub fn name(&self) -> String {
        let mut name = String::new();
        for byte in self.slot.bytes() {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'_' => name.push(char::from(byte)),
                _ => name.push_str(&format!("%{byte:02X}")),
            }
        }
        let position = self.position.unwrap_or_default().to_string().replace('/', "-");
        let hash = fingerprint(self.batch);
        format!("{name}-{position}-{}-{hash:016x}", self.reason)
    }
}

/// Takes dead letters.
pub trait DeadLetterSink: Send + Sync {
    /// Keeps one. When it returns, the stream goes on.
    ///
    /// # Errors
    /// Whatever prevents it: the stream then stops.
    fn put(&self, letter: &DeadLetter<'_>) -> io::Result<()>;

    /// Keeps several; one after the other by default.
    ///
    /// # Errors
    /// As [`DeadLetterSink::put`].
    fn put_all(&self, letters: &[DeadLetter<'_>]) -> io::Result<()> {
        letters.iter().try_for_each(|letter| self.put(letter))
    }
}

impl<T: DeadLetterSink + ?Sized> DeadLetterSink for std::sync::Arc<T> {
    fn put(&self, letter: &DeadLetter<'_>) -> io::Result<()> {
        (**self).put(letter)
    }
    fn put_all(&self, letters: &[DeadLetter<'_>]) -> io::Result<()> {
        (**self).put_all(letters)
    }
}

/// Writes a pair of files for each into a directory, which must exist:
/// `NAME.pb`, a delimited batch that `cdc-tail --file` prints, and `NAME.json`,
/// which says why; `NAME` is [`DeadLetter::name`]. Their mode is 0600. One that is put again
/// replaces itself. Several consumers may share a directory.
#[derive(Clone, Debug)]
pub struct DeadLetterDir {
    directory: PathBuf,
}

impl DeadLetterDir {
    /// In this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        DeadLetterDir { directory: directory.into() }
    }
}

impl DeadLetterSink for DeadLetterDir {
    fn put(&self, letter: &DeadLetter<'_>) -> io::Result<()> {
        self.put_all(std::slice::from_ref(letter))
    }

    fn put_all(&self, letters: &[DeadLetter<'_>]) -> io::Result<()> {
        let files = letters.iter().flat_map(|letter| {
            let path = self.directory.join(letter.name());
            let end = |end: &str| {
                let mut path = path.as_os_str().to_owned();
                path.push(end);
                PathBuf::from(path)
            };
            let mut batch = Vec::with_capacity(letter.batch.len() + 10);
            put_varint(&mut batch, letter.batch.len() as u64);
            batch.extend_from_slice(letter.batch);
            [(end(".pb"), batch), (end(".json"), why(letter).into_bytes())]
        });
        replace_all(&self.directory, files)
    }
}

/// What the second file says.
fn why(letter: &DeadLetter<'_>) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let time = Timestamp::from_unix_microseconds(i64::try_from(now).unwrap_or(0));
    let mut why = String::from("{");
    for (name, value) in [
        ("reason", letter.reason.name()),
        ("error", letter.error),
        ("slot", letter.slot),
        ("position", &letter.position.unwrap_or_default().to_string()),
        ("time", &(time.unwrap_or_default().to_string().replacen(' ', "T", 1) + "Z")),
    ] {
        why.push_str(if why.len() > 1 { "," } else { "" });
        string(&mut why, name);
        why.push(':');
        string(&mut why, value);
    }
    why.push_str("}\n");
    why
}
