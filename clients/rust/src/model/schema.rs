//! Schemas: what a stream sends of a relation, kept by fingerprint.

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message;
use ring::digest;

use super::batch::{Batch, SchemaVersion};
use super::table::Table;
use crate::base::damage::{malformed, Damage};
use crate::base::limits::Limits;
use crate::pb;

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

impl Schema {
    /// Of a table and a major version: what a [`Convert`](crate::Convert) makes events to be of.
    ///
    /// # Errors
    /// A table that is none.
    pub fn new(table: &pb::Table, version: u32) -> Result<Self, Damage> {
        Self::from_bytes(&table.encode_to_vec(), version)
    }

    /// The same of a serialized `Table`: `descriptor` in `cdc.schema_detail`, or
    /// [`Schema::bytes`] of one that has come.
    ///
    /// # Errors
    /// Damage.
    pub fn from_bytes(table: &[u8], version: u32) -> Result<Self, Damage> {
        Ok(Schema {
            fingerprint: fingerprint(table),
            version,
            unmapped: "".into(),
            table: Table::parse(table, &Limits::DEFAULT)?,
            bytes: table.into(),
        })
    }

    /// Name and major version, `public.orders.v2`: what to call a topic. Without the
    /// version where the relation has none.
    pub fn versioned_name(&self) -> String {
        match self.version {
            0 => self.table.to_string(),
            version => format!("{}.v{version}", self.table),
        }
    }
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
    fn names_of_topics() {
        let table = pb::Table { schema: "public".into(), name: "A".into(), ..Default::default() };
        assert_eq!(Schema::new(&table, 2).unwrap().versioned_name(), "public.\"A\".v2");
        assert_eq!(Schema::new(&table, 0).unwrap().versioned_name(), "public.\"A\"");
    }
}
