//! What can go wrong between a server and its consumer.

use std::fmt;
use std::io;

use super::damage::Damage;
use super::position::{Lsn, Position};
use crate::stream::versions::VersionMismatch;

/// An error of the server, `ErrorResponse`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerError {
    /// `ERROR`, `FATAL`, `PANIC`
    pub severity: String,
    /// SQLSTATE, five characters.
    pub code: String,
    /// The primary message.
    pub message: String,
    /// Empty if there is none.
    pub detail: String,
    /// Empty if there is none.
    pub hint: String,
}

impl ServerError {
    /// Of the body of an `ErrorResponse` or `NoticeResponse`.
    pub(crate) fn parse(body: &[u8]) -> Self {
        let mut error = ServerError::default();
        let mut rest = body;
        while let [code, tail @ ..] = rest {
            let Some(len) = tail.iter().position(|&byte| byte == 0) else { break };
            let text = String::from_utf8_lossy(&tail[..len]).into_owned();
            match code {
                b'V' => error.severity = text,
                b'C' => error.code = text,
                b'M' => error.message = text,
                b'D' => error.detail = text,
                b'H' => error.hint = text,
                _ => (),
            }
            rest = &tail[len + 1..];
        }
        error
    }

    /// Whether trying again cannot help: authentication, syntax and names,
    /// data, the server's limits and files, a slot that was invalidated.
    pub fn is_permanent(&self) -> bool {
        const CLASSES: [&str; 7] = ["0A", "22", "28", "3D", "42", "54", "58"];
        let class = self.code.get(..2).unwrap_or("");
        CLASSES.contains(&class) || self.code == "55000"
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.severity, self.message, self.code)?;
        for (what, text) in [("detail", &self.detail), ("hint", &self.hint)] {
            if !text.is_empty() {
                write!(f, "; {what}: {text}")?;
            }
        }
        Ok(())
    }
}

/// Why a start is refused: going on would lose changes, or mix two histories.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The slot's `confirmed_flush_lsn` is beyond the checkpoint: the server
    /// would silently skip what lies between.
    SlotAhead {
        /// Where the slot is.
        slot: Lsn,
        /// `end_lsn` of the checkpoint.
        checkpoint: Lsn,
    },
    /// The checkpoint was made on another system.
    OtherSystem {
        /// The server's identifier.
        server: u64,
        /// The checkpoint's.
        checkpoint: u64,
    },
    /// The checkpoint is beyond the server's WAL: another history, such as that
    /// of a server restored from a backup.
    BeyondWal {
        /// The end of the server's WAL.
        server: Lsn,
        /// `end_lsn` of the checkpoint.
        checkpoint: Lsn,
    },
    /// The server's timeline left the checkpoint's before the checkpoint.
    OtherTimeline {
        /// The server's timeline.
        server: u32,
        /// The checkpoint's.
        checkpoint: u32,
        /// Where the server's history left the checkpoint's timeline; `None` if
        /// it was never on it.
        branch: Option<Lsn>,
    },
    /// The server is on another timeline than the checkpoint, and the role may not read
    /// the file that says whether the checkpoint lies before that began. If it does, set
    /// the checkpoint's timeline to the server's.
    HiddenTimeline {
        /// The server's timeline.
        server: u32,
        /// The checkpoint's.
        checkpoint: u32,
        /// The file.
        file: String,
    },
    /// The slot has another plugin.
    OtherPlugin(String),
    /// The slot belongs to another database.
    OtherDatabase {
        /// The slot's.
        slot: String,
        /// The one connected to.
        database: String,
    },
    /// The checkpoint was made in another database, or in this one under another name.
    RenamedDatabase {
        /// The checkpoint's.
        checkpoint: String,
        /// The one connected to.
        database: String,
    },
    /// The checkpoint belongs to another slot.
    OtherSlot {
        /// The checkpoint's.
        checkpoint: String,
        /// The one asked for.
        slot: String,
    },
    /// The slot sends JSON, by an option that is stored for it.
    Json(String),
    /// There is no such slot.
    NoSlot(String),
    /// There is a checkpoint, and its slot is gone, with the changes behind the
    /// checkpoint.
    SlotGone(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::SlotAhead { slot, checkpoint } => write!(
                f,
                "the slot is at {slot}, beyond the checkpoint at {checkpoint}: changes between them are lost"
            ),
            Refusal::OtherSystem { server, checkpoint } => write!(
                f,
                "the server's system identifier is {server}, the checkpoint's {checkpoint}"
            ),
            Refusal::BeyondWal { server, checkpoint } => write!(
                f,
                "the checkpoint at {checkpoint} is beyond the server's WAL, which ends at {server}"
            ),
            Refusal::OtherTimeline { server, checkpoint, branch: Some(branch) } => write!(
                f,
                "the server's timeline {server} left timeline {checkpoint} of the checkpoint at {branch}, before the checkpoint"
            ),
            Refusal::OtherTimeline { server, checkpoint, branch: None } => write!(
                f,
                "the server, on timeline {server}, was never on timeline {checkpoint} of the checkpoint"
            ),
            Refusal::HiddenTimeline { server, checkpoint, file } => write!(
                f,
                "the server is on timeline {server}, the checkpoint on {checkpoint}, and the role may not read {file}, \
                 which says whether the checkpoint lies before that began; if it does, set the checkpoint's timeline to {server}"
            ),
            Refusal::OtherPlugin(plugin) => write!(f, "the slot has the output plugin {plugin}, not cdc"),
            Refusal::OtherDatabase { slot, database } => write!(
                f,
                "the slot belongs to database \"{slot}\", and the connection is to \"{database}\""
            ),
            Refusal::RenamedDatabase { checkpoint, database } => write!(
                f,
                "the checkpoint is of database \"{checkpoint}\", and this is \"{database}\"; if that was renamed, \
                 set \"database\" in the checkpoint to \"{database}\""
            ),
            Refusal::OtherSlot { checkpoint, slot } => write!(
                f,
                "the checkpoint is of slot \"{checkpoint}\", and this is slot \"{slot}\""
            ),
            Refusal::Json(slot) => write!(
                f,
                "slot \"{slot}\" sends JSON, which this client does not read: an option format is stored for it; \
                 cdc.alter_slot('{slot}', ARRAY['format', NULL]) removes that"
            ),
            Refusal::NoSlot(name) => write!(f, "replication slot \"{name}\" does not exist"),
            Refusal::SlotGone(name) => write!(
                f,
                "there is a checkpoint of replication slot \"{name}\", which does not exist any more: changes since \
                 the checkpoint are lost; make the slot anew, load the tables again, and remove the checkpoint"
            ),
        }
    }
}

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
    Version(VersionMismatch),
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
