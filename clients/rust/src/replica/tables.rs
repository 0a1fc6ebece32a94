//! Which schema each relation has now, and what the transaction has done to it.

use std::collections::hash_map::{Entry, HashMap};
use std::collections::HashSet;
use std::sync::Arc;

use crate::base::damage::Damage;
use crate::base::relation::Relation;
use crate::model::event::{Event, Op, SchemaChangeKind};
use crate::model::schema::{Schema, SchemaCache};

/// A schema that has been met, and whose it is.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) schema: Arc<Schema>,
    pub(crate) relation: Relation,
}

/// Relations by their names.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    known: HashMap<u64, Known>,
    /// The fingerprint that each relation has now.
    current: HashMap<Relation, u64>,
    /// Schemas under which rows have come in this transaction, unless the relation has
    /// gone since.
    written: HashSet<u64>,
    /// The last one of them.
    wrote: u64,
    /// What is held of them is no longer followed.
    left: HashSet<Relation>,
}

/// What has to be kept of tables, to go on with them.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// All that the others name.
    pub(crate) schemas: Vec<Arc<Schema>>,
    pub(crate) current: Vec<(Relation, u64)>,
    pub(crate) left: Vec<Relation>,
    pub(crate) written: Vec<u64>,
}

impl Tables {
    /// What is to be kept, in order.
    pub(crate) fn keep(&self) -> Kept {
        let mut kept = Kept {
            current: self.current.iter().map(|(name, known)| (name.clone(), *known)).collect(),
            left: self.left.iter().cloned().collect(),
            written: self.written.iter().copied().collect(),
            schemas: Vec::new(),
        };
        kept.current.sort();
        kept.left.sort();
        kept.written.sort_unstable();
        let named = kept.current.iter().map(|(_, known)| known).chain(&kept.written);
        let named: std::collections::BTreeSet<_> = named.collect();
        kept.schemas.extend(named.into_iter().map(|known| self.known[known].schema.clone()));
        kept
    }

    /// Of what was kept.
    pub(crate) fn having(kept: Kept) -> Result<Self, Damage> {
        let mut tables = Tables::default();
        kept.schemas.iter().for_each(|schema| tables.learn(schema));
        let named = kept.current.iter().map(|(_, known)| known).chain(&kept.written);
        for fingerprint in named {
            tables.get(*fingerprint).ok_or(Damage::UnknownSchema(*fingerprint))?;
        }
        tables.current.extend(kept.current);
        tables.left.extend(kept.left);
        tables.written.extend(kept.written);
        Ok(tables)
    }

    /// Takes a schema up, whether or not it is of a relation by now.
    pub(crate) fn learn(&mut self, schema: &Arc<Schema>) {
        self.known.entry(schema.fingerprint).or_insert_with(|| Known {
            schema: schema.clone(),
            relation: Relation::from(&schema.table),
        });
    }

    /// The schema that a relation has now.
    pub(crate) fn schema_of(&self, relation: &Relation) -> Option<&Arc<Schema>> {
        Some(&self.get(self.current(relation)?)?.schema)
    }

    /// Whether no more rows of a relation come.
    pub(crate) fn has_left(&self, relation: &Relation) -> bool {
        self.left.contains(relation)
    }

    /// Of schemas that relations have.
    pub(super) fn of(schemas: impl IntoIterator<Item = Arc<Schema>>) -> Self {
        let mut tables = Tables::default();
        for schema in schemas {
            let (fingerprint, relation) = (schema.fingerprint, Relation::from(&schema.table));
            tables.current.insert(relation.clone(), fingerprint);
            tables.known.insert(fingerprint, Known { schema, relation });
        }
        tables
    }

    /// A transaction begins.
    pub(crate) fn begin(&mut self) {
        self.written.clear();
        self.wrote = 0;
    }

    /// Takes a schema up.
    pub(super) fn know(&mut self, fingerprint: u64, schemas: &SchemaCache) -> Result<(), Damage> {
        if let Entry::Vacant(entry) = self.known.entry(fingerprint) {
            let schema = schemas.get(fingerprint)?.clone();
            let relation = Relation::from(&schema.table);
            entry.insert(Known { schema, relation });
        }
        Ok(())
    }

    pub(crate) fn get(&self, fingerprint: u64) -> Option<&Known> {
        self.known.get(&fingerprint)
    }

    /// One that was taken up.
    pub(super) fn at(&self, fingerprint: u64) -> &Known {
        &self.known[&fingerprint]
    }

    pub(crate) fn current(&self, relation: &Relation) -> Option<u64> {
        self.current.get(relation).copied()
    }

    /// The relation has the schema from here on; what it had, if that was another.
    pub(super) fn set(&mut self, fingerprint: u64) -> Option<u64> {
        let relation = &self.known[&fingerprint].relation;
        match self.current.get_mut(relation) {
            Some(current) if *current == fingerprint => None,
            Some(current) => Some(std::mem::replace(current, fingerprint)),
            None => self.current.insert(relation.clone(), fingerprint),
        }
    }

    pub(super) fn schemas(&self) -> impl Iterator<Item = &Arc<Schema>> {
        self.current.values().filter_map(|fingerprint| Some(&self.known.get(fingerprint)?.schema))
    }

    /// Whether rows of the schema's relation have come in the transaction, since it has the name:
    /// those that SET LOGGED writes come under a schema that still has values for older rows.
    pub(crate) fn is_written(&self, fingerprint: u64) -> bool {
        let is_same = |known: &Known| Some(&known.relation) == self.relation(fingerprint);
        self.written.iter().any(|written| self.known.get(written).is_some_and(is_same))
    }

    fn relation(&self, fingerprint: u64) -> Option<&Relation> {
        Some(&self.known.get(&fingerprint)?.relation)
    }

    /// Notes what an event does, applied or not.
    pub(crate) fn note(&mut self, event: &Event<'_>) {
        match (event.op, &event.schema_change) {
            (Op::Schema, Some(change)) => {
                let goes = !matches!(change.kind, SchemaChangeKind::Entered);
                if let Some(former) = change.former().filter(|_| goes) {
                    self.unwrite(&former);
                }
            }
            (Op::Message | Op::Read | Op::Unknown(_), _) => (),
            _ if self.wrote != event.schema => {
                self.wrote = event.schema;
                self.written.insert(event.schema);
            }
            _ => (),
        }
    }

    fn unwrite(&mut self, relation: &Relation) {
        let known = &self.known;
        let is_of = |known: &Known| known.relation == *relation;
        self.written.retain(|fingerprint| !known.get(fingerprint).is_some_and(is_of));
        self.wrote = 0;
    }

    /// Nothing is held of a relation any more.
    pub(super) fn remove(&mut self, relation: &Relation) {
        self.current.remove(relation);
        self.left.remove(relation);
    }

    /// A relation has another name, in place of what was held under that.
    pub(super) fn rename(&mut self, from: &Relation, to: &Relation) {
        self.remove(to);
        self.left.remove(from);
        if let Some(fingerprint) = self.current.remove(from) {
            self.current.insert(to.clone(), fingerprint);
        }
    }

    /// No more rows of a relation come.
    pub(super) fn leave(&mut self, relation: Relation) {
        self.left.insert(relation);
    }

    /// Whether what is held of a relation is of before it left; it is back now.
    pub(super) fn comes_back(&mut self, fingerprint: u64) -> bool {
        !self.left.is_empty() && self.left.remove(&self.known[&fingerprint].relation)
    }
}
