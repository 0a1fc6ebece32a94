//! Records of a message bus, as `cdc-relay` writes them: a [`Reader`] makes the [`Event`] of
//! each that a stream has, [`Progress`] has each count once, and an [`Applier`] keeps tables.
//! No library of any broker is needed here; `examples-bus/` has programs for Kafka and for NATS
//! JetStream.
//!
//! ```
//! use pgcdc::topic::{Kind, Progress, Reader, Record};
//! use pgcdc::Limits;
//!
//! # fn poll() -> Option<Record<'static>> { None }
//! # fn stored() -> Option<String> { None }
//! # fn main() -> Result<(), pgcdc::topic::Error> {
//! let mut reader = Reader::new(Limits::DEFAULT);
//! let mut progress = match stored() {
//!     Some(text) => Progress::from_json(&text)?,
//!     None => Progress::default(),
//! };
//! while let Some(record) = poll() {
//!     let message = reader.read(&record)?;
//!     if message.kind == Kind::Change && progress.take(&message)? {
//!         // the effects of message.change(), and progress.to_json(), in one transaction
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! **What counts.** An [`Op`](crate::Op) that is not known is an error, since passing it over
//! would lose what it did. [`Kind::Tombstone`] is for the broker's compaction alone. A key that
//! changes comes twice, see [`Role`]. TRUNCATE, changes of schemas and the start of a rewrite
//! come once to each partition, and count for the rows of that partition.
//!
//! **Where a partition was left** is known by the position of its last message, so that it does
//! not matter whether the broker hands something out again. Without [`Record::sequence`] a
//! reader must go on at that message or before it, never right behind it.
//!
//! [`Event`]: crate::Event

pub(crate) mod applier;
pub(crate) mod error;
mod loads;
pub(crate) mod message;
mod moves;
mod notes;
pub(crate) mod progress;
pub(crate) mod reader;
pub(crate) mod record;
mod scoped;

pub use applier::Applier;
pub use error::{Error, Lost};
pub use message::{DeadLetter, Kind, Message, Role, Source};
pub use progress::Progress;
pub use reader::Reader;
pub use record::Record;
