//! Tables: columns, their types, and what of them is sent.

use std::fmt;

use crate::base::damage::{malformed, Damage};
use crate::base::limits::Limits;
use crate::base::relation::{qualified, Relation};
pub use crate::pb::{Redaction, ReplicaIdentity, Type};
use crate::wire::field::{Field, Fields};

/// A redacted value stands in field 2000 + attnum.
pub const REDACTED_BASE: u32 = 2000;
/// The highest attnum.
pub const MAX_COLUMN: u32 = 1600;

/// A column of a [`Table`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// The attnum: the field number in rows.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Meaning and encoding of its values; `Unspecified` if this version does
    /// not know it.
    pub r#type: Type,
    /// The declared type: `pg_catalog.numeric(12,2)`, `app.mood`.
    pub pg_type: String,
    /// Part of the key: stands in `key` and `new_key`.
    pub key: bool,
    /// NOT NULL is declared.
    pub not_null: bool,
    /// A stored generated column: its values cannot be set in PostgreSQL.
    pub generated: bool,
    /// What a rule does to its values; `Unspecified`: nothing. One that this
    /// version does not know is `Withheld`.
    pub redaction: Redaction,
    /// Arrays: type of the elements.
    pub element: Type,
    /// A row with this column alone: its value in rows that are older than the
    /// column. Empty: they have NULL.
    pub missing: Vec<u8>,
    /// Older rows have a value that cannot be sent.
    pub missing_unavailable: bool,
}

/// What a stream sends of a relation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Name of the schema (namespace).
    pub schema: String,
    /// Name of the relation.
    pub name: String,
    /// In the order of their numbers.
    pub columns: Vec<Column>,
    /// Of the relation that changed; `Unspecified` if not known.
    pub replica_identity: ReplicaIdentity,
}

impl Table {
    /// Of a serialized `Table`.
    ///
    /// # Errors
    /// Damage; numbers that do not ascend or are not within 1 to 1600; more
    /// columns than the limit.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Damage> {
        let mut table = Table::default();
        let mut count = 0;
        for field in Fields::new(bytes) {
            count += usize::from(field?.number == 3);
            if count > limits.max_columns {
                return Err(Damage::Limit("columns of a table", limits.max_columns as u64));
            }
        }
        table.columns.reserve_exact(count);
        for field in Fields::new(bytes) {
            let Field { number, value, .. } = field?;
            match number {
                1 => table.schema = value.str()?.to_owned(),
                2 => table.name = value.str()?.to_owned(),
                3 => table.columns.push(Column::parse(value.bytes()?)?),
                4 => {
                    let identity = value.varint()? as i32;
                    table.replica_identity =
                        ReplicaIdentity::try_from(identity).unwrap_or_default();
                }
                _ => (),
            }
        }
        let mut last = 0;
        for column in &table.columns {
            if column.number <= last || column.number > MAX_COLUMN {
                return malformed("schema has column numbers out of order");
            }
            last = column.number;
        }
        Ok(table)
    }

    /// Place in [`Table::columns`] of a number.
    pub fn index_of(&self, number: u32) -> Option<usize> {
        self.columns.binary_search_by_key(&number, |column| column.number).ok()
    }

    /// The column with a number.
    pub fn column(&self, number: u32) -> Option<&Column> {
        self.index_of(number).map(|at| &self.columns[at])
    }

    /// The column with a name.
    pub fn column_named(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether rows have a key.
    pub fn has_key(&self) -> bool {
        self.columns.iter().any(|column| column.key)
    }
}

impl Column {
    fn parse(bytes: &[u8]) -> Result<Self, Damage> {
        let mut c = Column::default();
        for field in Fields::new(bytes) {
            let Field { number, value, .. } = field?;
            match number {
                1 => c.number = value.uint32()?,
                2 => c.name = value.str()?.to_owned(),
                3 => c.r#type = Type::try_from(value.varint()? as i32).unwrap_or_default(),
                4 => c.pg_type = value.str()?.to_owned(),
                5 => c.key = value.bool()?,
                6 => c.not_null = value.bool()?,
                7 => c.generated = value.bool()?,
                8 => {
                    let method = value.varint()? as i32;
                    c.redaction = Redaction::try_from(method).unwrap_or(Redaction::Withheld);
                }
                9 => c.element = Type::try_from(value.varint()? as i32).unwrap_or_default(),
                10 => c.missing = value.bytes()?.to_owned(),
                11 => c.missing_unavailable = value.bool()?,
                _ => (),
            }
        }
        Ok(c)
    }

    /// Values of the column are not sent as they are.
    pub fn is_redacted(&self) -> bool {
        self.redaction != Redaction::Unspecified
    }
}

/// `schema.name`, with double quotes where needed.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        qualified(f, &self.schema, &self.name)
    }
}

impl From<&Table> for Relation {
    fn from(table: &Table) -> Self {
        Relation { schema: table.schema.clone(), name: table.name.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting() {
        let named = |schema: &str, name: &str| {
            Table { schema: schema.into(), name: name.into(), ..Table::default() }.to_string()
        };
        assert_eq!(named("public", "_a1"), "public._a1");
        assert_eq!(named("Pub\"lic", "1a"), "\"Pub\"\"lic\".\"1a\"");
        assert_eq!(named("", "é"), "\"\".\"é\"");
    }

    #[test]
    fn columns_ascend() {
        let limits = Limits { max_columns: 2, ..Limits::DEFAULT };
        let table = |numbers: &[u8]| {
            let bytes: Vec<u8> = numbers.iter().flat_map(|n| [0x1a, 2, 0x08, *n]).collect();
            Table::parse(&bytes, &limits).map(|t| t.columns.len())
        };
        assert_eq!(table(&[1, 5]), Ok(2));
        assert!(table(&[5, 1]).is_err() && table(&[1, 1]).is_err() && table(&[0]).is_err());
        assert!(matches!(table(&[1, 2, 3]), Err(Damage::Limit(..))));
    }
}
