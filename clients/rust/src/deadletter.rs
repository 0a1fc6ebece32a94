//! What could not be handled: policies, and a file to keep it in.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;

use crate::damage::Damage;
use crate::position::Position;
use crate::wire::{put_bytes, put_varint};

/// What to do with what can not be handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// An error that ends the stream; nothing is acknowledged.
    #[default]
    Stop,
    /// Goes on without it. It is logged and counted.
    Skip,
    /// Gives it to the [`DeadLetters`] and goes on when they have it.
    DeadLetter,
}

/// Why something is a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The bytes are damaged.
    Malformed,
    /// The schema of an event has not come.
    UnknownSchema,
    /// The server could not write the change.
    Failure,
    /// The consumer's own code failed.
    Handler,
}

impl Reason {
    /// As in `cdc_dead_letters_total{reason}`.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::UnknownSchema => "unknown_schema",
            Reason::Failure => "failure",
            Reason::Handler => "handler",
        }
    }
}

impl From<Damage> for Reason {
    fn from(damage: Damage) -> Self {
        match damage {
            Damage::UnknownSchema(_) => Reason::UnknownSchema,
            _ => Reason::Malformed,
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
pub struct DeadLetter<'a> {
    /// Why.
    pub reason: Reason,
    /// What was said about it.
    pub error: &'a str,
    /// The slot that it came from.
    pub slot: &'a str,
    /// Of the event, if it is one.
    pub position: Option<Position>,
    /// A serialized `Batch`, without its frame: the damaged one as it came, or
    /// one that was cut to the single event and has what is needed to read it
    /// alone.
    pub batch: &'a [u8],
}

/// Takes dead letters.
pub trait DeadLetters: Send + Sync {
    /// Keeps one. When it returns, the stream goes on.
    ///
    /// # Errors
    /// Whatever prevents it: the stream then stops.
    fn put(&self, letter: &DeadLetter<'_>) -> io::Result<()>;
}

impl<T: DeadLetters + ?Sized> DeadLetters for std::sync::Arc<T> {
    fn put(&self, letter: &DeadLetter<'_>) -> io::Result<()> {
        (**self).put(letter)
    }
}

/// Appends each as a record to a file (mode 0600) and syncs it.
///
/// The file is a series of delimited messages with the fields 1 `reason`, 2
/// `error`, 3 `slot`, 4 `position` (strings) and 5 `batch` (bytes), which
/// `cdc-tail --dead-letters` and [`DeadLetterFile::read`] read.
#[derive(Debug)]
pub struct DeadLetterFile {
    file: Mutex<File>,
}

impl DeadLetterFile {
    /// Appends to a file, which is created if need be.
    ///
    /// # Errors
    /// What opening gives.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        Ok(DeadLetterFile { file: Mutex::new(file) })
    }

    /// Calls `f` with reason, error, position (empty if there is none) and batch of each
    /// record in the bytes of such a file.
    ///
    /// # Errors
    /// Damage.
    pub fn read(bytes: &[u8], mut f: impl FnMut(&str, &str, &str, &[u8])) -> Result<(), Damage> {
        let limits = crate::Limits { max_batch_bytes: u64::MAX, ..crate::Limits::DEFAULT };
        for record in crate::Frames::new(bytes, limits) {
            let (mut texts, mut batch) = ([""; 5], &[][..]);
            for field in crate::Fields::new(record?) {
                let field = field?;
                match field.number {
                    number @ 1..=4 => texts[number as usize] = field.value.str()?,
                    5 => batch = field.value.bytes()?,
                    _ => (),
                }
            }
            f(texts[1], texts[2], texts[4], batch);
        }
        Ok(())
    }
}

impl DeadLetters for DeadLetterFile {
    fn put(&self, letter: &DeadLetter<'_>) -> io::Result<()> {
        let mut record = Vec::with_capacity(letter.batch.len() + 256);
        let position = letter.position.map(|p| p.to_string()).unwrap_or_default();
        let texts = [letter.reason.name(), letter.error, letter.slot, &position];
        for (number, text) in (1..).zip(texts) {
            put_bytes(&mut record, number, text.as_bytes());
        }
        put_bytes(&mut record, 5, letter.batch);
        let mut framed = Vec::with_capacity(record.len() + 10);
        put_varint(&mut framed, record.len() as u64);
        framed.append(&mut record);
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.write_all(&framed)?;
        file.sync_data()
    }
}
