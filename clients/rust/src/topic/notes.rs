//! What is kept of places besides rows, as messages in the state.

use std::sync::Arc;

use prost::Message;

use super::loads::Loads;
use crate::base::damage::Damage;
use crate::base::relation::Relation;
use crate::model::batch::OwnedSnapshot;
use crate::model::schema::Schema;
use crate::pb;
use crate::replica::tables::{Kept, Tables};

/// Name of a relation, and what is told of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Message)]
pub(super) struct Named {
    #[prost(string, tag = "1")]
    pub(super) schema: String,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(uint64, tag = "3")]
    pub(super) number: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) snapshot: Vec<u8>,
}

impl Named {
    fn new(relation: &Relation, number: u64, snapshot: &[u8]) -> Self {
        let Relation { schema, name } = relation.clone();
        Named { schema, name, number, snapshot: snapshot.to_vec() }
    }

    pub(super) fn relation(&self) -> Relation {
        Relation { schema: self.schema.clone(), name: self.name.clone() }
    }
}

/// A load that has begun, with its number.
#[derive(Clone, PartialEq, Message)]
struct Begun {
    #[prost(message, optional, tag = "1")]
    relation: Option<Named>,
    #[prost(uint32, tag = "2")]
    mark: u32,
}

/// Of one place.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Notes {
    #[prost(message, repeated, tag = "1")]
    schemas: Vec<pb::SchemaVersion>,
    #[prost(message, repeated, tag = "2")]
    current: Vec<Named>,
    #[prost(message, repeated, tag = "3")]
    left: Vec<Named>,
    #[prost(fixed64, repeated, tag = "4")]
    written: Vec<u64>,
    #[prost(message, repeated, tag = "5")]
    snapshots: Vec<Named>,
    #[prost(message, repeated, tag = "6")]
    begun: Vec<Begun>,
    #[prost(message, repeated, tag = "7")]
    whole: Vec<Named>,
    #[prost(uint32, tag = "8")]
    next: u32,
    /// Rows that are not whole.
    #[prost(uint64, tag = "9")]
    pub(super) partials: u64,
}

fn sorted(list: impl Iterator<Item = Named>) -> Vec<Named> {
    let mut list: Vec<_> = list.collect();
    list.sort();
    list
}

impl Notes {
    pub(super) fn new(tables: &Tables, loads: &Loads, partials: u64) -> Self {
        let kept = tables.keep();
        let schemas = kept.schemas.iter().map(|schema| pb::SchemaVersion {
            fingerprint: schema.fingerprint,
            table: schema.bytes.to_vec(),
            version: schema.version,
            ..Default::default()
        });
        let current = kept.current.iter().map(|(name, known)| Named::new(name, *known, &[]));
        let snapshots = loads.snapshots.iter().flat_map(|(name, known)| {
            let named = |(n, s): (&u32, &OwnedSnapshot)| Named::new(name, (*n).into(), s.bytes());
            known.iter().map(named)
        });
        let mut begun: Vec<_> = loads.begun.iter().collect();
        begun.sort();
        let begun = begun.into_iter().map(|(name, (load, mark))| Begun {
            relation: Some(Named::new(name, *load, &[])),
            mark: *mark,
        });
        Notes {
            schemas: schemas.collect(),
            current: current.collect(),
            left: kept.left.iter().map(|name| Named::new(name, 0, &[])).collect(),
            written: kept.written,
            snapshots: sorted(snapshots),
            begun: begun.collect(),
            whole: sorted(loads.whole.iter().map(|(name, s)| Named::new(name, 0, s.bytes()))),
            next: loads.next,
            partials,
        }
    }

    pub(super) fn tables(&self) -> Result<Tables, Damage> {
        let schemas = self.schemas.iter();
        let schemas = schemas.map(|s| Schema::from_bytes(&s.table, s.version).map(Arc::new));
        Tables::having(Kept {
            schemas: schemas.collect::<Result<_, _>>()?,
            current: self.current.iter().map(|named| (named.relation(), named.number)).collect(),
            left: self.left.iter().map(Named::relation).collect(),
            written: self.written.clone(),
        })
    }

    pub(super) fn loads(&self) -> Result<Loads, Damage> {
        let mut loads = Loads::default();
        loads.next = self.next;
        for named in &self.snapshots {
            let known = loads.snapshots.entry(named.relation()).or_default();
            known.insert(named.number as u32, OwnedSnapshot::new(&named.snapshot)?);
        }
        for Begun { relation, mark } in &self.begun {
            if let Some(named) = relation {
                loads.begun.insert(named.relation(), (named.number, *mark));
            }
        }
        for named in &self.whole {
            loads.whole.insert(named.relation(), OwnedSnapshot::new(&named.snapshot)?);
        }
        Ok(loads)
    }
}

/// A row whose key changes, which goes out twice: what the first of the two messages leaves for the
/// other, which finds it by the change's position.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Moving {
    /// The one under the old key has come. `row` is what it left; without one, and without
    /// `waits`, there was none.
    #[prost(bool, tag = "1")]
    pub(super) left: bool,
    /// The one that has what is left, since that is not whole itself.
    #[prost(bytes = "vec", tag = "2")]
    pub(super) waits: Vec<u8>,
    /// The row, or what is known of it, and the columns that are known to be NULL.
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(super) row: Option<Vec<u8>>,
    #[prost(uint32, repeated, tag = "4")]
    pub(super) nulls: Vec<u32>,
    /// The schema of both.
    #[prost(bytes = "vec", tag = "5")]
    pub(super) table: Vec<u8>,
    /// Where the row is that asks for what is missing.
    #[prost(message, optional, tag = "6")]
    pub(super) at: Option<RowAt>,
    /// The one that it has moved on to. Neither: nobody wants it any more.
    #[prost(bytes = "vec", tag = "7")]
    pub(super) to: Vec<u8>,
}

/// A row of a place.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RowAt {
    #[prost(string, tag = "1")]
    pub(super) place: String,
    #[prost(string, tag = "2")]
    pub(super) schema: String,
    #[prost(string, tag = "3")]
    pub(super) name: String,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) key: Vec<u8>,
}

impl RowAt {
    pub(super) fn relation(&self) -> Relation {
        Relation { schema: self.schema.clone(), name: self.name.clone() }
    }
}
