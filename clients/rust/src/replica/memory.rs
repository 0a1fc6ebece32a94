//! Rows in memory.

use std::collections::{BTreeMap, HashMap};

use super::state::{ScanFn, State};
use crate::base::error::Error;
use crate::base::relation::Relation;

/// All rows in memory, ordered by the bytes of their keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryState {
    relations: HashMap<Relation, BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl MemoryState {
    /// The relations that have or had rows, in any order.
    pub fn relations(&self) -> impl Iterator<Item = &Relation> {
        self.relations.keys()
    }

    /// The rows of a relation by their keys; `None` if it never had one, or is gone.
    pub fn rows(&self, relation: &Relation) -> Option<&BTreeMap<Vec<u8>, Vec<u8>>> {
        self.relations.get(relation)
    }
}

impl State for MemoryState {
    fn get(&mut self, relation: &Relation, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.relations.get(relation).and_then(|rows| rows.get(key)).cloned())
    }

    fn put(&mut self, relation: &Relation, key: &[u8], row: &[u8]) -> Result<(), Error> {
        match self.relations.get_mut(relation) {
            Some(rows) => rows.insert(key.to_vec(), row.to_vec()),
            None => {
                let rows = self.relations.entry(relation.clone()).or_default();
                rows.insert(key.to_vec(), row.to_vec())
            }
        };
        Ok(())
    }

    fn delete(&mut self, relation: &Relation, key: &[u8]) -> Result<(), Error> {
        self.relations.get_mut(relation).map(|rows| rows.remove(key));
        Ok(())
    }

    fn truncate(&mut self, relation: &Relation) -> Result<(), Error> {
        self.relations.get_mut(relation).map(BTreeMap::clear);
        Ok(())
    }

    fn rename(&mut self, from: &Relation, to: &Relation) -> Result<(), Error> {
        match self.relations.remove(from) {
            Some(rows) => self.relations.insert(to.clone(), rows),
            None => self.relations.remove(to),
        };
        Ok(())
    }

    fn remove(&mut self, relation: &Relation) -> Result<(), Error> {
        self.relations.remove(relation);
        Ok(())
    }

    fn scan(&mut self, relation: &Relation, f: &mut ScanFn<'_>) -> Result<(), Error> {
        let mut rows = self.relations.get(relation).into_iter().flatten();
        rows.try_for_each(|(key, row)| f(key, row))
    }
}
