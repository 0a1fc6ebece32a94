//! Why a record is not read, or not applied.

use std::fmt;

use crate::base::damage::Damage;
use crate::base::position::Position;

/// Errors of what is read from topics.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A record that is not as `cdc-relay` writes them. The message does not have its values.
    Damage {
        /// Where it stands.
        place: String,
        /// [`Record::sequence`](super::Record::sequence)
        sequence: u64,
        /// What is wrong.
        what: String,
    },
    /// A record of a kind that this version does not know: passing it over would lose
    /// what it did.
    Unknown {
        /// Where it stands.
        place: String,
        /// The header that says so.
        header: &'static str,
        /// Its value.
        value: String,
    },
    /// Values in a form that is not read here.
    UnsupportedValue {
        /// Where it stands.
        place: String,
        /// The form: the header `content-type`.
        content_type: String,
    },
    /// A record of another server or database than those before.
    OtherSource {
        /// System and database that it is of.
        found: String,
        /// Those before.
        expected: String,
    },
    /// A record of a history of the server that has ended: after a failover, of what the
    /// promoted server does not have.
    Timeline {
        /// Its timeline.
        found: u32,
        /// That of those before.
        expected: u32,
        /// The record's.
        position: Position,
    },
    /// Text that is no [`Progress`](super::Progress).
    NotProgress(String),
    /// A change that cannot be applied.
    Lost(Lost),
    /// Of the state, or the decoding of rows.
    Other(crate::base::error::Error),
}

/// A change that cannot be applied: what is kept of its table is not the source's any more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// Where it stands.
    pub place: String,
    /// Its table, as in the header `cdc-relation`; empty where none is told.
    pub relation: String,
    /// Its position.
    pub position: Position,
    /// Why.
    pub why: String,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lost { place, relation, position, why } = self;
        write!(f, "the change at {position} of {relation}, in {place}, is lost: {why}")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Damage { place, sequence, what } => {
                write!(f, "record {sequence} of {place} is damaged: {what}")
            }
            Error::Unknown { place, header, value } => {
                write!(f, "a record of {place} has {header} {value:?}, which this version does not know")
            }
            Error::UnsupportedValue { place, content_type } => write!(
                f,
                "values of {place} are {content_type}, which is not read here: relay.value of the relay must be batch"
            ),
            Error::OtherSource { found, expected } => {
                write!(f, "a record is of {found}, and those before were of {expected}")
            }
            Error::Timeline { found, expected, position } => write!(
                f,
                "the record at {position} is of timeline {found}, which has ended: those before are of {expected}"
            ),
            Error::NotProgress(text) => write!(f, "not the progress of a reader: {text:.100}"),
            Error::Lost(lost) => lost.fmt(f),
            Error::Other(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // its text is ours already
            Error::Other(error) => error.source(),
            _ => None,
        }
    }
}

impl From<crate::base::error::Error> for Error {
    fn from(error: crate::base::error::Error) -> Self {
        Error::Other(error)
    }
}

impl From<Damage> for Error {
    fn from(damage: Damage) -> Self {
        Error::Other(damage.into())
    }
}
