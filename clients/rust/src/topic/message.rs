//! What a record tells.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::base::position::{Lsn, Position};
use crate::model::batch::{Snapshot, Transaction};
use crate::model::event::{Event, Op};
use crate::model::schema::Schema;
use crate::stream::change::Change;
use crate::stream::metrics::{Histogram, Metrics};

/// The [`Message::load_mark`] of a key that was looked for, and has no row.
pub(super) const GONE: &str = "gone";

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A change: [`Message::change`].
    Change,
    /// Only for the broker's compaction: to be passed over.
    Tombstone,
    /// What could not be sent as a change; with an event where the value has one.
    DeadLetter(DeadLetter),
    /// Tells where a transaction, or the load of a table ([`Message::load_mark`]), begins or
    /// ends: no change.
    Marker,
    /// A change that was too large for the bus: its row is to be read from the table. Its event,
    /// if there is one, has failed, and has the key.
    Reference,
    /// A change whose value is its JSON form, without an event.
    Json,
}

/// Why something is among the dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// `failure`, `too_large`
    pub reason: String,
    /// Where it would have gone, if it is too large.
    pub topic: String,
}

/// Which part of a change a message is for: a key that changes goes out twice, and the start
/// of a rewrite to every partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// The whole change.
    #[default]
    All,
    /// The row has left the key under which the message stands.
    Old,
    /// The row is under this key now.
    New,
    /// The start of a rewrite, whose row is of another partition.
    Elsewhere,
}

/// Where changes come from. Positions compare only within one system and database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source<'a> {
    /// Identifier of the cluster.
    pub system: u64,
    /// The server's.
    pub timeline: u32,
    /// Name of the database.
    pub database: Cow<'a, str>,
    /// Name of the slot.
    pub slot: &'a str,
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the system {} and the database \"{}\"", self.system, self.database)
    }
}

/// A record that has been read. What it borrows is the record's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Message<'a> {
    /// What it is.
    pub kind: Kind,
    /// [`Record::place`](super::Record::place)
    pub place: Cow<'a, str>,
    /// Topic, or subject.
    pub topic: &'a str,
    /// The record's.
    pub sequence: u64,
    /// The record's.
    pub key: Option<&'a [u8]>,
    /// The record's.
    pub value: Option<&'a [u8]>,
    /// `schema.table`, quoted as in SQL; empty where it is of no table.
    pub relation: Cow<'a, str>,
    /// In capitals, as in the header: `INSERT`.
    pub op: &'a str,
    /// Identifies the change. A row of an initial load has none of its own: it is that of the
    /// last change before it in the log.
    pub position: Position,
    /// Which of `copies` messages of the change this is: 1, 2, ...
    pub copy: u32,
    /// How many messages the change has.
    pub copies: u32,
    /// Which part of its transaction it is in, where the bus has that in several: 1, 2, ...
    pub part: u32,
    /// Which part of the change it is for.
    pub role: Role,
    /// Where it comes from.
    pub source: Source<'a>,
    /// Transactions that end up to here are in the log as a whole.
    pub confirm: Lsn,
    /// Major version of the table; 0 where it is not registered.
    pub version: u32,
    /// As text, with a time zone; empty outside of a transaction.
    pub commit_time: &'a str,
    /// On a transaction's last message: how many events it has. Otherwise 0.
    pub end: u64,
    /// The number of the initial load that a row or a mark is of.
    pub load: u64,
    /// `begin` and `end` of a load, in each partition.
    pub load_mark: &'a str,
    /// How large the value of a [`Kind::Reference`] or of a dead letter would have been.
    pub bytes: u64,
    /// The change.
    pub event: Option<Event<'a>>,
    /// The schema of its table.
    pub schema: Option<Arc<Schema>>,
    /// The transaction that it is of.
    pub transaction: Option<Transaction<'a>>,
    /// Of rows of an initial load.
    pub snapshot: Option<Snapshot<'a>>,
}

impl Message<'_> {
    /// The change with the schema of its table, as a stream gives them.
    pub fn change(&self) -> Option<Change<'_>> {
        Some(Change { event: self.event?, schema: self.schema.as_deref() })
    }

    /// Whether the row of the event is of the message's partition, after it: not with
    /// [`Role::Old`] and [`Role::Elsewhere`].
    pub fn holds(&self) -> bool {
        matches!(self.role, Role::All | Role::New)
    }

    /// Takes into `cdc_read_delay_seconds` how long the message was on its way from the bus to
    /// here. `published` is the bus's own time of it: the timestamp of Kafka's record, or what
    /// JetStream's message says. It is 0 where this machine's clock is behind the bus's.
    pub fn observe_delay(&self, metrics: &dyn Metrics, published: SystemTime) {
        let delay = published.elapsed().unwrap_or_default();
        metrics.observe(Histogram::ReadDelaySeconds, delay.as_secs_f64());
    }

    /// Whether it is a row of an initial load.
    pub fn is_read(&self) -> bool {
        self.op == Op::Read.name()
    }
}
