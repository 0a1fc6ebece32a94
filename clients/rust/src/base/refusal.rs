//! What keeps a stream from starting.

use std::fmt;

use super::position::Lsn;

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
