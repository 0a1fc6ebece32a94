//! A view of a `ChangeEvent`, borrowed from its batch.

use super::row::Row;
use crate::base::damage::Damage;
use crate::base::position::{Lsn, Position};
use crate::wire::field::{Fields, Numbers};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// A row was inserted.
    Insert,
    /// A row was updated.
    Update,
    /// A row was deleted.
    Delete,
    /// A table was emptied.
    Truncate,
    /// A logical message.
    Message,
    /// A row of a snapshot.
    Read,
    /// A row of a table that DDL rewrote.
    Rewrite,
    /// One that this version does not know: who applies changes must stop.
    Unknown(u32),
}

impl Op {
    /// In capitals, as in the JSON form; of one that is not known its number
    /// can be had from the variant.
    pub const fn name(self) -> &'static str {
        match self {
            Op::Insert => "INSERT",
            Op::Update => "UPDATE",
            Op::Delete => "DELETE",
            Op::Truncate => "TRUNCATE",
            Op::Message => "MESSAGE",
            Op::Read => "READ",
            Op::Rewrite => "REWRITE",
            Op::Unknown(0) => "UNSPECIFIED",
            Op::Unknown(_) => "UNKNOWN",
        }
    }
}

impl From<u32> for Op {
    fn from(number: u32) -> Self {
        match number {
            1 => Op::Insert,
            2 => Op::Update,
            3 => Op::Delete,
            4 => Op::Truncate,
            5 => Op::Message,
            6 => Op::Read,
            7 => Op::Rewrite,
            other => Op::Unknown(other),
        }
    }
}

/// How a TRUNCATE was given. A reader empties the event's table and no other,
/// whatever this says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TruncateOptions {
    /// CASCADE; tables that it added have events of their own.
    pub cascade: bool,
    /// RESTART IDENTITY.
    pub restart_identity: bool,
}

/// A logical message, `pg_logical_emit_message()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogicalMessage<'a> {
    /// It belongs to the batch's transaction.
    pub transactional: bool,
    /// Its prefix.
    pub prefix: &'a str,
    /// Its content.
    pub content: &'a [u8],
}

/// Why a change could not be written. `old` and `new` are then incomplete and
/// must not be applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failure<'a> {
    /// Five characters.
    pub sqlstate: &'a str,
    /// Without values, in English.
    pub message: &'a str,
    /// attnum of the column at fault; 0 if it is none in particular.
    pub column: u32,
}

/// One change. All bytes are borrowed from the batch.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// What happened.
    pub op: Op,
    /// Identifies the change.
    pub position: Position,
    /// Fingerprint of the relation's schema; 0 for a message.
    pub schema: u64,
    /// The key columns before the change. Its bytes are canonical: equal keys
    /// have equal bytes. Empty where the table has no key or the WAL does not
    /// tell it.
    pub key: Row<'a>,
    /// The row before the change without key columns, as far as it is sent.
    pub old: Row<'a>,
    /// The row after the change without key columns; of an UPDATE only columns
    /// that may have changed.
    pub new: Row<'a>,
    /// The key columns after an UPDATE that changed them, or whose key before
    /// it is not known; otherwise empty.
    pub new_key: Row<'a>,
    /// Streamed transactions only: the (sub)transaction; otherwise 0.
    pub subxid: u32,
    /// With [`Op::Truncate`].
    pub truncate: Option<TruncateOptions>,
    /// With [`Op::Message`].
    pub message: Option<LogicalMessage<'a>>,
    /// Set when the change could not be written.
    pub failure: Option<Failure<'a>>,
    /// The first row of a rewrite: drop what is held of the table before it.
    pub rewrite_start: bool,
    bytes: &'a [u8],
    has_nulls: bool,
    has_unavailable: bool,
    unknown: u32,
}

impl<'a> Event<'a> {
    /// `commit_lsn` is `None` outside of a transaction.
    pub(crate) fn parse(
        bytes: &'a [u8],
        first_lsn: Lsn,
        commit_lsn: Option<Lsn>,
    ) -> Result<Self, Damage> {
        let mut e = Event {
            op: Op::Unknown(0),
            position: Position { commit_lsn: Lsn::ZERO, lsn: first_lsn, index: 0 },
            schema: 0,
            key: Row::EMPTY,
            old: Row::EMPTY,
            new: Row::EMPTY,
            new_key: Row::EMPTY,
            subxid: 0,
            truncate: None,
            message: None,
            failure: None,
            rewrite_start: false,
            bytes,
            has_nulls: false,
            has_unavailable: false,
            unknown: 0,
        };
        for field in Fields::new(bytes) {
            let field = field?;
            let value = field.value;
            match field.number {
                1 => e.op = value.uint32()?.into(),
                2 => e.position.lsn = Lsn(first_lsn.0.wrapping_add(value.varint()?)),
                3 => e.position.index = value.uint32()?,
                4 => e.schema = value.fixed64()?,
                5 => e.key = Row::new(value.bytes()?),
                6 => e.old = Row::new(value.bytes()?),
                7 => e.new = Row::new(value.bytes()?),
                8 => e.has_nulls = true,
                9 => e.new_key = Row::new(value.bytes()?),
                10 => e.subxid = value.uint32()?,
                11 => e.has_unavailable = true,
                12 => e.truncate = Some(parse_truncate(value.bytes()?)?),
                13 => e.message = Some(parse_message(value.bytes()?)?),
                14 => e.failure = Some(parse_failure(value.bytes()?)?),
                15 => e.rewrite_start = value.bool()?,
                _ => e.unknown += 1,
            }
        }
        e.position.commit_lsn = commit_lsn.unwrap_or(e.position.lsn);
        Ok(e)
    }

    /// UPDATE: the columns that it set to NULL.
    pub fn nulls(&self) -> Numbers<'a> {
        Numbers::new(if self.has_nulls { self.bytes } else { &[] }, 8)
    }

    /// Columns whose value the WAL does not have, where absence would mean NULL.
    pub fn unavailable(&self) -> Numbers<'a> {
        Numbers::new(if self.has_unavailable { self.bytes } else { &[] }, 11)
    }

    /// Whether [`Event::nulls`] has any.
    pub fn has_nulls(&self) -> bool {
        self.has_nulls
    }

    /// Whether [`Event::unavailable`] has any.
    pub fn has_unavailable(&self) -> bool {
        self.has_unavailable
    }

    /// Fields that this version does not know: a newer server's.
    pub fn unknown_fields(&self) -> u32 {
        self.unknown
    }

    /// The serialized event.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

fn parse_truncate(bytes: &[u8]) -> Result<TruncateOptions, Damage> {
    let mut t = TruncateOptions::default();
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            1 => t.cascade = field.value.bool()?,
            2 => t.restart_identity = field.value.bool()?,
            _ => (),
        }
    }
    Ok(t)
}

fn parse_message(bytes: &[u8]) -> Result<LogicalMessage<'_>, Damage> {
    let mut m = LogicalMessage::default();
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            1 => m.transactional = field.value.bool()?,
            2 => m.prefix = field.value.str()?,
            3 => m.content = field.value.bytes()?,
            _ => (),
        }
    }
    Ok(m)
}

fn parse_failure(bytes: &[u8]) -> Result<Failure<'_>, Damage> {
    let mut f = Failure::default();
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            1 => f.sqlstate = field.value.str()?,
            2 => f.message = field.value.str()?,
            3 => f.column = field.value.uint32()?,
            _ => (),
        }
    }
    Ok(f)
}
