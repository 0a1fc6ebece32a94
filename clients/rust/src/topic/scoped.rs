//! A state of which each place has a part of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::error::Error;
use crate::base::relation::Relation;
use crate::replica::state::{ScanFn, State};

/// A state that several share. Nobody waits for it: one thing is done after the other.
#[derive(Debug)]
pub(super) struct Shared<S>(Arc<Mutex<S>>);

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Shared(self.0.clone())
    }
}

impl<S> Shared<S> {
    pub(super) fn new(state: S) -> Self {
        Shared(Arc::new(Mutex::new(state)))
    }

    pub(super) fn get(&self) -> MutexGuard<'_, S> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The relations of one place, under names that no table of another one has.
#[derive(Debug)]
pub(super) struct Scoped<S> {
    state: Shared<S>,
    place: String,
    names: HashMap<Relation, Relation>,
}

impl<S> Scoped<S> {
    pub(super) fn new(state: Shared<S>, place: &str) -> Self {
        Scoped { state, place: place.to_owned(), names: HashMap::new() }
    }
}

/// `t` is `t@PLACE` in the state.
fn scoped<'n>(
    names: &'n mut HashMap<Relation, Relation>,
    place: &str,
    relation: &Relation,
) -> &'n Relation {
    if !names.contains_key(relation) {
        let Relation { schema, name } = relation;
        let scoped = Relation { schema: schema.clone(), name: format!("{name}@{place}") };
        names.insert(relation.clone(), scoped);
    }
    &names[relation]
}

impl<S: State> State for Scoped<S> {
    fn get(&mut self, relation: &Relation, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let relation = scoped(&mut self.names, &self.place, relation);
        self.state.get().get(relation, key)
    }

    fn put(&mut self, relation: &Relation, key: &[u8], row: &[u8]) -> Result<(), Error> {
        let relation = scoped(&mut self.names, &self.place, relation);
        self.state.get().put(relation, key, row)
    }

    fn delete(&mut self, relation: &Relation, key: &[u8]) -> Result<(), Error> {
        let relation = scoped(&mut self.names, &self.place, relation);
        self.state.get().delete(relation, key)
    }

    fn truncate(&mut self, relation: &Relation) -> Result<(), Error> {
        let relation = scoped(&mut self.names, &self.place, relation);
        self.state.get().truncate(relation)
    }

    fn rename(&mut self, from: &Relation, to: &Relation) -> Result<(), Error> {
        let from = scoped(&mut self.names, &self.place, from).clone();
        let to = scoped(&mut self.names, &self.place, to);
        self.state.get().rename(&from, to)
    }

    fn remove(&mut self, relation: &Relation) -> Result<(), Error> {
        let relation = scoped(&mut self.names, &self.place, relation);
        self.state.get().remove(relation)
    }

    fn scan(&mut self, relation: &Relation, f: &mut ScanFn<'_>) -> Result<(), Error> {
        let relation = scoped(&mut self.names, &self.place, relation);
        self.state.get().scan(relation, f)
    }
}
