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
}

impl Wants {
    fn key(&mut self, relation: &Relation, key: Vec<u8>) {
        match self.keys.get_mut(relation) {
            Some(keys) => keys.insert(key),
            None => self.keys.entry(relation.clone()).or_default().insert(key),
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
        let schema = schemas.get(event.schema)?;
        let relation = Relation::from(&schema.table);
        let before = wants.current.insert(relation.clone(), event.schema);
        let before = before.or_else(|| self.current.get(&relation).copied());
        if let Some(before) = before.filter(|before| *before != event.schema) {
            let known = self.known.get(&before).map(|known| &known.schema);
            let before = known.map_or_else(|| schemas.get(before), Ok)?;
            if !event.rewrite_start && migrate::changes_rows(&before.table, &schema.table)? {
                wants.whole.insert(relation.clone());
            }
        }
        match event.op {
            Op::Truncate => Ok(()),
            Op::Update | Op::Delete if !event.key.is_empty() => {
                wants.key(&relation, event.key.bytes().to_vec());
                Ok(())
            }
            _ if !event.key.is_empty() => Ok(()),
            _ => without_key(event, schema, &relation, wants),
        }
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
