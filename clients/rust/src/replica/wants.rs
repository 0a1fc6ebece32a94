//! What of a state events need, so that it can be read before they are applied.

use std::collections::{HashMap, HashSet};

use super::applier::Applier;
use super::state::State;
use super::{migrate, rows};
use crate::base::error::Error;
use crate::base::relation::Relation;
use crate::model::event::{Event, Op};
use crate::model::row::{overlay, Row};
use crate::model::schema::{Schema, SchemaCache};
use crate::model::table::ReplicaIdentity;

/// Rows by their keys, and relations of which all rows are needed.
#[derive(Debug, Default)]
pub(super) struct Wants {
    pub(super) keys: HashMap<Relation, HashSet<Vec<u8>>>,
    pub(super) whole: HashSet<Relation>,
    /// What the events so far make of the relations.
    current: HashMap<Relation, u64>,
    /// Where the rows are kept of relations that have another name by now.
    stored: HashMap<Relation, Relation>,
}

impl Wants {
    fn key(&mut self, relation: &Relation, key: Vec<u8>) {
        let relation = self.stored.get(relation).unwrap_or(relation);
        match self.keys.get_mut(relation) {
            Some(keys) => keys.insert(key),
            None => self.keys.entry(relation.clone()).or_default().insert(key),
        };
    }

    fn all(&mut self, relation: &Relation) {
        self.whole.insert(self.stored.get(relation).unwrap_or(relation).clone());
    }

    fn rename(&mut self, from: &Relation, to: &Relation, before: Option<u64>) {
        let stored = self.stored.remove(from).unwrap_or_else(|| from.clone());
        self.stored.insert(to.clone(), stored);
        self.current.remove(from);
        match before {
            Some(before) => self.current.insert(to.clone(), before),
            None => self.current.remove(to),
        };
    }
}

impl<S: State> Applier<S> {
    /// Adds what an event needs, after those that were added before.
    pub(super) fn wants(
        &self,
        event: &Event<'_>,
        schemas: &SchemaCache,
        wants: &mut Wants,
    ) -> Result<(), Error> {
        if matches!(event.op, Op::Message | Op::Unknown(_)) || event.failure.is_some() {
            return Ok(());
        }
        // nothing that is there is needed of what goes
        if event.op == Op::Schema && event.schema == 0 {
            return Ok(());
        }
        let schema = schemas.get(event.schema)?;
        let relation = Relation::from(&schema.table);
        if let Some(former) = event.schema_change.and_then(|change| change.former()) {
            wants.rename(&former, &relation, self.before(&former, wants));
        }
        let before = self.before(&relation, wants);
        wants.current.insert(relation.clone(), event.schema);
        if let Some(before) = before.filter(|before| *before != event.schema) {
            let known = self.tables.get(before).map(|known| &known.schema);
            let before = known.map_or_else(|| schemas.get(before), Ok)?;
            if !event.rewrite_start && migrate::changes_rows(&before.table, &schema.table) {
                wants.all(&relation);
            }
        }
        match event.op {
            Op::Truncate | Op::Schema => Ok(()),
            Op::Update | Op::Delete if !event.key.is_empty() => {
                wants.key(&relation, event.key.bytes().to_vec());
                Ok(())
            }
            _ if !event.key.is_empty() => Ok(()),
            _ => without_key(event, schema, &relation, wants),
        }
    }
}

impl<S: State> Applier<S> {
    /// The schema that a relation has before the next event.
    fn before(&self, relation: &Relation, wants: &Wants) -> Option<u64> {
        wants.current.get(relation).copied().or_else(|| self.tables.current(relation))
    }
}

/// Rows without a key are counted.
fn without_key(
    event: &Event<'_>,
    schema: &Schema,
    relation: &Relation,
    wants: &mut Wants,
) -> Result<(), Error> {
    if !matches!(event.op, Op::Update | Op::Delete) {
        wants.key(relation, rows::canonical(event.new)?.0);
        return Ok(());
    }
    if schema.table.replica_identity != ReplicaIdentity::Full || schema.table.has_key() {
        return Ok(()); // it cannot be located
    }
    wants.key(relation, rows::canonical(event.old)?.0);
    if event.op == Op::Update {
        let mut after = Vec::new();
        overlay(&mut after, event.old, event.new, event.nulls())?;
        wants.key(relation, rows::canonical(Row::new(&after))?.0);
    }
    Ok(())
}
