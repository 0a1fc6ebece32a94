//! Schemas: what a stream sends of a relation, kept by fingerprint.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use ring::digest;

use super::batch::{Batch, SchemaVersion};
use crate::base::damage::{malformed, Damage};
use crate::base::limits::Limits;
use crate::base::relation::qualified;
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

/// A [`Table`] whose hash has been checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// The first 8 bytes, big endian, of SHA-256 over `bytes`.
    pub fingerprint: u64,
    /// Of the whole relation in the server's registry, as the schema was announced
    /// last; 0 without one.
    pub version: u32,
    /// Why rows are not in the version that was asked for, as it was announced last;
    /// empty where they are, or none was.
    pub unmapped: Box<str>,
    /// The table.
    pub table: Table,
    /// The serialized `Table`.
    pub bytes: Box<[u8]>,
}

/// The fingerprint of a serialized `Table`.
pub fn fingerprint(table: &[u8]) -> u64 {
    let hash = digest::digest(&digest::SHA256, table);
    hash.as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Schemas by fingerprint. They address their content, so a cache may outlive
/// connections and serve several servers.
#[derive(Clone, Debug, Default)]
pub struct SchemaCache {
    schemas: HashMap<u64, Arc<Schema>>,
    bytes: u64,
    limits: Limits,
}

impl SchemaCache {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        SchemaCache { limits, ..SchemaCache::default() }
    }

    /// Takes a schema up. Whether it is new.
    ///
    /// # Errors
    /// Damage: the hash is wrong, the fingerprint has come with other bytes,
    /// the bytes are no table. More schemas than the limits allow.
    pub fn add(&mut self, version: &SchemaVersion<'_>) -> Result<bool, Damage> {
        if let Some(known) = self.schemas.get_mut(&version.fingerprint) {
            if *known.bytes != *version.table {
                return malformed("two schemas have the same fingerprint");
            }
            if known.version != version.version || *known.unmapped != *version.unmapped {
                let known = Arc::make_mut(known);
                (known.version, known.unmapped) = (version.version, version.unmapped.into());
            }
            return Ok(false);
        }
        if fingerprint(version.table) != version.fingerprint {
            return malformed("schema does not match its fingerprint");
        }
        let bytes = self.bytes + version.table.len() as u64;
        if bytes > self.limits.max_schema_bytes {
            return Err(Damage::Limit("bytes of schemas", self.limits.max_schema_bytes));
        }
        if self.schemas.len() >= self.limits.max_schemas {
            return Err(Damage::Limit("schemas", self.limits.max_schemas as u64));
        }
        let table = Table::parse(version.table, &self.limits)?;
        let schema = Schema {
            fingerprint: version.fingerprint,
            version: version.version,
            unmapped: version.unmapped.into(),
            table,
            bytes: version.table.into(),
        };
        self.bytes = bytes;
        self.schemas.insert(version.fingerprint, Arc::new(schema));
        Ok(true)
    }

    /// Whether this very schema is there.
    pub(crate) fn has(&self, version: &SchemaVersion<'_>) -> bool {
        self.schemas.get(&version.fingerprint).is_some_and(|known| {
            known.version == version.version
                && *known.unmapped == *version.unmapped
                && *known.bytes == *version.table
        })
    }

    /// Takes up all schemas of a batch.
    ///
    /// # Errors
    /// As [`SchemaCache::add`].
    pub fn add_all(&mut self, batch: &Batch<'_>) -> Result<(), Damage> {
        for version in batch.schemas() {
            self.add(&version?)?;
        }
        Ok(())
    }

    /// The schema of an event.
    ///
    /// # Errors
    /// [`Damage::UnknownSchema`]
    pub fn get(&self, fingerprint: u64) -> Result<&Arc<Schema>, Damage> {
        self.schemas.get(&fingerprint).ok_or(Damage::UnknownSchema(fingerprint))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.schemas.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.schemas.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_its_hash() {
        let table = [0x0a, 1, b'a', 0x12, 1, b'b'];
        let mut cache = SchemaCache::new(Limits { max_schemas: 1, ..Limits::DEFAULT });
        let version = SchemaVersion {
            fingerprint: fingerprint(&table),
            table: &table,
            version: 3,
            ..SchemaVersion::default()
        };
        assert_eq!(cache.add(&version), Ok(true));
        assert_eq!(cache.add(&version), Ok(false));
        let later = SchemaVersion { version: 4, ..version };
        assert!(cache.has(&version) && !cache.has(&later));
        assert_eq!(cache.add(&later), Ok(false));
        assert_eq!(cache.get(version.fingerprint).unwrap().version, 4);
        let unmapped = SchemaVersion { unmapped: "why", ..later };
        assert!(!cache.has(&unmapped));
        assert_eq!(cache.add(&unmapped), Ok(false));
        assert_eq!(&*cache.get(version.fingerprint).unwrap().unmapped, "why");
        let other = SchemaVersion { table: &table[..3], ..version };
        assert_eq!(cache.add(&other), malformed("two schemas have the same fingerprint"));
        let wrong = SchemaVersion { fingerprint: 1, ..version };
        assert_eq!(cache.add(&wrong), malformed("schema does not match its fingerprint"));
        let more = SchemaVersion { fingerprint: fingerprint(&table[..3]), ..other };
        assert!(matches!(cache.add(&more), Err(Damage::Limit(..))));
        assert_eq!(cache.get(version.fingerprint).unwrap().table.to_string(), "a.b");
        assert_eq!(cache.get(7).map(drop), Err(Damage::UnknownSchema(7)));
    }

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
