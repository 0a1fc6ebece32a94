//! A view of a `ChangeEvent`, borrowed from its batch.

use super::row::Row;
use crate::base::damage::{malformed, Damage};
use crate::base::position::{Lsn, Position};
use crate::base::relation::Relation;
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
    /// A command has made something of a relation: [`Event::schema_change`].
    Schema,
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
            Op::Schema => "SCHEMA",
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
            8 => Op::Schema,
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

/// What a command has made of a relation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SchemaChangeKind {
    /// It is new. Rows that the same command wrote (CREATE TABLE AS) came before.
    #[default]
    Created,
    /// Its schema or name is another. Where both are as before, values of one of its
    /// types may read otherwise.
    Altered,
    /// It is gone, with its rows.
    Dropped,
    /// It was there, but was not sent: rows that it has already do not come.
    Entered,
    /// It is there still, but no more rows of it come.
    Left,
    /// One that this version does not know: who applies changes must stop.
    Unknown(u32),
}

impl SchemaChangeKind {
    /// In lower case, as in the JSON form; of one that is not known its number can be
    /// had from the variant.
    pub const fn name(self) -> &'static str {
        match self {
            SchemaChangeKind::Created => "created",
            SchemaChangeKind::Altered => "altered",
            SchemaChangeKind::Dropped => "dropped",
            SchemaChangeKind::Entered => "entered",
            SchemaChangeKind::Left => "left",
            SchemaChangeKind::Unknown(_) => "unknown",
        }
    }
}

impl From<u32> for SchemaChangeKind {
    fn from(number: u32) -> Self {
        match number {
            1 => SchemaChangeKind::Created,
            2 => SchemaChangeKind::Altered,
            3 => SchemaChangeKind::Dropped,
            4 => SchemaChangeKind::Entered,
            5 => SchemaChangeKind::Left,
            other => SchemaChangeKind::Unknown(other),
        }
    }
}

/// What a DDL command has made of a relation. The event's `schema` is what rows have
/// from here on; 0 where no more rows come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchemaChange<'a> {
    /// What it is.
    pub kind: SchemaChangeKind,
    /// Tag of the command, as event triggers have it: `ALTER TABLE`.
    pub command_tag: &'a str,
    /// Schema that the relation had before, where its schema or name is another now, and
    /// with `Dropped` and `Left`; otherwise empty.
    pub former_schema: &'a str,
    /// Its name before, likewise.
    pub former_name: &'a str,
}

impl SchemaChange<'_> {
    /// The relation as it was called before, where that is told.
    pub fn former(&self) -> Option<Relation> {
        let named = !self.former_name.is_empty();
        named.then(|| Relation {
            schema: self.former_schema.to_owned(),
            name: self.former_name.to_owned(),
        })
    }
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
    /// Fingerprint of the relation's schema; 0 for a message, and for a relation of which
    /// no more rows come.
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
    /// With [`Op::Schema`].
    pub schema_change: Option<SchemaChange<'a>>,
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
            schema_change: None,
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
                16 => e.schema_change = Some(parse_schema_change(value.bytes()?)?),
                _ => e.unknown += 1,
            }
        }
        e.position.commit_lsn = commit_lsn.unwrap_or(e.position.lsn);
        if e.op == Op::Schema {
            e.check_schema_change()?;
        }
        Ok(e)
    }

    fn check_schema_change(&self) -> Result<(), Damage> {
        use SchemaChangeKind::{Altered, Created, Dropped, Entered, Left, Unknown};
        let Some(change) = &self.schema_change else {
            return malformed("change of a schema that does not say which");
        };
        match change.kind {
            Unknown(0) => malformed("change of a schema without a kind"),
            Created | Altered | Entered if self.schema == 0 => {
                malformed("change of a schema without the schema")
            }
            Dropped | Left if self.schema != 0 || change.former_name.is_empty() => {
                malformed("relation that is gone, with a schema or without a name")
            }
            _ => Ok(()),
        }
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

fn parse_schema_change(bytes: &[u8]) -> Result<SchemaChange<'_>, Damage> {
    let mut s = SchemaChange { kind: SchemaChangeKind::Unknown(0), ..SchemaChange::default() };
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            1 => s.kind = field.value.uint32()?.into(),
            2 => s.command_tag = field.value.str()?,
            3 => s.former_schema = field.value.str()?,
            4 => s.former_name = field.value.str()?,
            _ => (),
        }
    }
    Ok(s)
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

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::pb;

    fn parsed(schema: u64, change: Option<pb::SchemaChange>) -> Result<Option<Relation>, Damage> {
        let op = pb::Op::Schema as i32;
        let event = pb::ChangeEvent { op, schema, schema_change: change, ..Default::default() };
        let bytes = event.encode_to_vec();
        let event = Event::parse(&bytes, Lsn(1), None)?;
        assert_eq!((event.op, event.unknown_fields()), (Op::Schema, 0));
        Ok(event.schema_change.unwrap().former())
    }

    fn change(kind: i32, former_name: &str) -> Option<pb::SchemaChange> {
        let (former_schema, former_name) = ("public".into(), former_name.into());
        let command_tag = "ALTER TABLE".into();
        Some(pb::SchemaChange { kind, command_tag, former_schema, former_name })
    }

    /// Kinds by number, with what each must and must not have.
    #[test]
    fn changes_of_schemas() {
        let t = Some(Relation { schema: "public".into(), name: "t".into() });
        for kind in [1, 2, 4, 9] {
            assert_eq!(parsed(7, change(kind, "")), Ok(None));
            assert_eq!(parsed(7, change(kind, "t")), Ok(t.clone()));
        }
        for kind in [3, 5] {
            assert_eq!(parsed(0, change(kind, "t")), Ok(t.clone()));
            assert!(parsed(0, change(kind, "")).is_err() && parsed(7, change(kind, "t")).is_err());
        }
        for kind in [1, 2, 4] {
            assert!(parsed(0, change(kind, "t")).is_err(), "{kind} without a schema");
        }
        assert!(parsed(7, change(0, "t")).is_err() && parsed(7, None).is_err());
        let names = (0..6).map(|kind| SchemaChangeKind::from(kind).name()).collect::<Vec<_>>();
        assert_eq!(names, ["unknown", "created", "altered", "dropped", "entered", "left"]);
    }
}
