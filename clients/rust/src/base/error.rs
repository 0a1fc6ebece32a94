//! What can go wrong between a server and its consumer.

use std::fmt;
use std::io;

use super::damage::Damage;
use super::position::Position;
use super::refusal::Refusal;
use super::server::ServerError;
use super::version::VersionError;

/// Errors of connections, streams and what is built on them.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that could not be read.
    Damage(Damage),
    /// A change that the server could not write, at its position.
    Failure {
        /// The change's.
        position: Position,
        /// SQLSTATE.
        sqlstate: String,
        /// Without values.
        message: String,
    },
    /// Rows of a relation are not in the version that the consumer expects.
    Version(VersionError),
    /// A compiled type does not fit a table; names the column.
    Fit(String),
    /// Of the server.
    Server(ServerError),
    /// The start is refused.
    Refused(Refusal),
    /// A wrong setting.
    Config(String),
    /// Of the network or a file; also a connection that ended.
    Io(io::Error),
    /// The server does what the protocol does not allow, or asks for what this
    /// client cannot do.
    Protocol(String),
    /// The checkpoint could not be stored; what the store says.
    Store(Box<Error>),
    /// Of a checkpoint store, a dead letter sink, or the caller's handler.
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Whether trying again, on a new connection, may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Io(error) => error.kind() != io::ErrorKind::InvalidData,
            Error::Server(error) => !error.is_permanent(),
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Damage(damage) => damage.fmt(f),
            Error::Failure { position, sqlstate, message } => {
                write!(
                    f,
                    "the server could not write the change at {position}: {message} ({sqlstate})"
                )
            }
            Error::Version(mismatch) => mismatch.fmt(f),
            Error::Fit(what) => write!(f, "compiled type does not fit: {what}"),
            Error::Server(error) => error.fmt(f),
            Error::Refused(refusal) => write!(f, "start refused: {refusal}"),
            Error::Config(what) => write!(f, "wrong setting: {what}"),
            Error::Io(error) => error.fmt(f),
            Error::Protocol(what) => write!(f, "protocol: {what}"),
            Error::Store(error) => write!(f, "the checkpoint cannot be stored: {error}"),
            Error::Other(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // its text is ours already, so that a chain that is printed has each once
            Error::Io(error) => error.source(),
            Error::Store(error) => error.source(),
            Error::Other(error) => error.source(),
            _ => None,
        }
    }
}

impl From<Damage> for Error {
    fn from(damage: Damage) -> Self {
        Error::Damage(damage)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Io(error)
    }
}

impl From<ServerError> for Error {
    fn from(error: ServerError) -> Self {
        Error::Server(error)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::Refused(refusal)
    }
}
