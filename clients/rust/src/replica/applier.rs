//! Merges events into full rows.

use super::state::State;
use super::whole::{whole_transactions, Takes};
use super::{migrate, rows};
use std::collections::hash_map::{Entry, HashMap};
use std::fmt;
use std::sync::Arc;

use crate::base::damage::Damage;
use crate::base::error::Error;
use crate::base::position::{Lsn, Position};
use crate::base::relation::Relation;
use crate::model::event::{Event, Op};
use crate::model::row::{overlay, Row};
use crate::model::schema::{Schema, SchemaCache};
use crate::model::table::{ReplicaIdentity, Table};

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The state has it now.
    Done,
    /// It was applied before, by its position.
    Before,
    /// It changes no row: a message.
    NoRow,
    /// The row that it changes or deletes is not in the state, and the event
    /// does not have all of its columns. Only when the state was not complete
    /// to begin with: read the row again.
    MissingRow,
    /// The WAL does not say which row was met (REPLICA IDENTITY NOTHING, or
    /// DEFAULT without a key): the relation cannot be followed any more, see
    /// [`Applier::lost`].
    Unlocated,
}

/// Why a transaction could not be applied.
#[derive(Debug)]
pub struct ApplyError {
    /// Of the event at fault.
    pub position: Position,
    /// Its relation.
    pub relation: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {} in {}: {}", self.position, self.relation, self.what)
    }
}

impl std::error::Error for ApplyError {}

#[derive(Debug)]
pub(super) struct Known {
    pub(super) schema: Arc<Schema>,
    relation: Relation,
}

/// Merges the events of committed transactions into full rows, also across DDL:
/// `ADD COLUMN` with a default, `DROP COLUMN`, rewrites, other keys.
///
/// Idempotent by position: what was applied before is passed over.
#[derive(Debug)]
pub struct Applier<S> {
    state: S,
    pub(super) known: HashMap<u64, Known>,
    /// The fingerprint that each relation has now.
    pub(super) current: HashMap<Relation, u64>,
    lost: Vec<Relation>,
    last: Position,
    /// Events are passed over up to the one at `last`.
    resuming: bool,
    scratch: Vec<u8>,
}

impl<S: State> Applier<S> {
    /// Over a state that is empty or goes with the stream from its beginning.
    pub fn new(state: S) -> Self {
        Applier {
            state,
            known: HashMap::new(),
            current: HashMap::new(),
            lost: Vec::new(),
            last: Position::default(),
            resuming: false,
            scratch: Vec::new(),
        }
    }

    /// Goes on with a state in which everything up to a position has been
    /// applied. `tables` are the schemas that the relations had then: what they
    /// announced must not be done twice. [`Applier::schemas`] gives them.
    pub fn resume(
        state: S,
        position: Position,
        tables: impl IntoIterator<Item = Arc<Schema>>,
    ) -> Self {
        let mut applier = Applier { last: position, resuming: true, ..Applier::new(state) };
        for schema in tables {
            let relation = Relation::from(&schema.table);
            applier.current.insert(relation.clone(), schema.fingerprint);
            applier.known.insert(schema.fingerprint, Known { schema, relation });
        }
        applier
    }

    /// The state.
    pub fn state(&mut self) -> &mut S {
        &mut self.state
    }

    /// Takes the state out.
    pub fn into_state(self) -> S {
        self.state
    }

    /// The last change applied.
    pub fn position(&self) -> Position {
        self.last
    }

    /// The schema that each relation has now.
    pub fn schemas(&self) -> impl Iterator<Item = &Arc<Schema>> {
        self.current.values().filter_map(|fingerprint| Some(&self.known.get(fingerprint)?.schema))
    }

    /// Relations of which a change could not be located: their rows are not
    /// the source's.
    pub fn lost(&self) -> &[Relation] {
        &self.lost
    }

    whole_transactions!();

    /// A transaction begins: one of which a part was applied is passed over up
    /// to there.
    pub fn begin(&mut self, commit_lsn: Option<Lsn>) {
        self.resuming = commit_lsn == Some(self.last.commit_lsn);
    }

    pub(super) fn strictly(
        &mut self,
        event: &Event<'_>,
        schemas: &SchemaCache,
    ) -> Result<(), Error> {
        if self.apply(event, schemas)? == Applied::MissingRow {
            return Err(self.error(event, schemas, "the row is not there"));
        }
        Ok(())
    }

    fn error(&self, event: &Event<'_>, schemas: &SchemaCache, what: &str) -> Error {
        let relation = schemas.get(event.schema).map(|schema| schema.table.to_string());
        Error::Other(Box::new(ApplyError {
            position: event.position,
            relation: relation.unwrap_or_default(),
            what: what.to_owned(),
        }))
    }

    /// Empties a relation, whatever schema it gets next.
    pub(crate) fn forget(&mut self, relation: &Relation) -> Result<(), Error> {
        self.current.remove(relation);
        self.state.truncate(relation)
    }

    pub(crate) fn applied(&mut self, position: Position) {
        self.last = position;
    }

    pub(crate) fn is_before(&mut self, position: Position) -> bool {
        if position.commit_lsn != self.last.commit_lsn {
            self.resuming = false;
            return position.commit_lsn < self.last.commit_lsn;
        }
        if self.resuming {
            self.resuming = position != self.last;
            return true;
        }
        position == self.last
    }

    /// Applies one event of a committed transaction.
    ///
    /// # Errors
    /// Damage, an event with a `failure`, an unknown op, the state's.
    pub fn apply(&mut self, event: &Event<'_>, schemas: &SchemaCache) -> Result<Applied, Error> {
        if event.position.commit_lsn == Lsn::ZERO {
            return Err(self.error(event, schemas, "the transaction is not committed"));
        }
        if self.is_before(event.position) {
            return Ok(Applied::Before);
        }
        let applied = self.apply_new(event, schemas)?;
        self.last = event.position;
        Ok(applied)
    }

    /// Applies an event whatever its position, as for rows of a snapshot.
    ///
    /// # Errors
    /// As [`Applier::apply`].
    pub fn apply_new(
        &mut self,
        event: &Event<'_>,
        schemas: &SchemaCache,
    ) -> Result<Applied, Error> {
        if let Some(failure) = event.failure {
            return Err(Error::Failure {
                position: event.position,
                sqlstate: failure.sqlstate.into(),
                message: failure.message.into(),
            });
        }
        if let Op::Unknown(_) = event.op {
            return Err(Damage::Unsupported("the op of an event").into());
        }
        if event.op == Op::Message {
            return Ok(Applied::NoRow);
        }
        self.prepare(event, schemas)?;
        let Known { schema, relation } = &self.known[&event.schema];
        let target = Target { state: &mut self.state, relation, table: &schema.table };
        match event.op {
            Op::Insert | Op::Rewrite | Op::Read => target.insert(event, &mut self.scratch),
            Op::Truncate => target.state.truncate(relation).map(|()| Applied::Done),
            Op::Update | Op::Delete => {
                let applied = target.change(event, &mut self.scratch)?;
                if applied == Applied::Unlocated && !self.lost.contains(relation) {
                    self.lost.push(relation.clone());
                }
                Ok(applied)
            }
            Op::Message | Op::Unknown(_) => Ok(Applied::NoRow),
        }
    }

    /// Brings the relation to the event's schema.
    fn prepare(&mut self, event: &Event<'_>, schemas: &SchemaCache) -> Result<(), Error> {
        if let Entry::Vacant(entry) = self.known.entry(event.schema) {
            let schema = schemas.get(event.schema)?.clone();
            let relation = Relation::from(&schema.table);
            entry.insert(Known { schema, relation });
        }
        let Known { schema, relation } = &self.known[&event.schema];
        if event.rewrite_start {
            self.state.truncate(relation)?;
        }
        let before = match self.current.get_mut(relation) {
            Some(current) if *current == event.schema => return Ok(()),
            Some(current) => Some(std::mem::replace(current, event.schema)),
            None => self.current.insert(relation.clone(), event.schema),
        };
        let before = before.and_then(|fingerprint| self.known.get(&fingerprint));
        match before {
            Some(before) if !event.rewrite_start => {
                migrate::migrate(&mut self.state, relation, &before.schema.table, &schema.table)
            }
            _ => Ok(()),
        }
    }
}

impl<S: State> Takes for Applier<S> {
    fn begin(&mut self, commit_lsn: Option<Lsn>) {
        self.begin(commit_lsn);
    }

    fn take(&mut self, _: u32, event: &Event<'_>, schemas: &SchemaCache) -> Result<(), Error> {
        self.strictly(event, schemas)
    }
}

/// A relation while an event is applied to it.
struct Target<'a, S> {
    state: &'a mut S,
    relation: &'a Relation,
    table: &'a Table,
}

impl<S: State> Target<'_, S> {
    fn insert(self, event: &Event<'_>, row: &mut Vec<u8>) -> Result<Applied, Error> {
        row.clear();
        if !event.key.is_empty() {
            row.extend_from_slice(event.key.bytes());
            row.extend_from_slice(event.new.bytes());
            self.state.put(self.relation, event.key.bytes(), row)?;
        } else {
            rows::add(self.state, self.relation, event.new)?;
        }
        Ok(Applied::Done)
    }

    fn change(self, event: &Event<'_>, row: &mut Vec<u8>) -> Result<Applied, Error> {
        if !event.key.is_empty() {
            return self.change_by_key(event, row);
        }
        if self.table.replica_identity != ReplicaIdentity::Full || self.table.has_key() {
            return Ok(Applied::Unlocated);
        }
        if !rows::remove(self.state, self.relation, event.old)? {
            return Ok(Applied::MissingRow);
        }
        if event.op == Op::Update {
            row.clear();
            overlay(row, event.old, event.new, event.nulls())?;
            rows::add(self.state, self.relation, Row::new(row))?;
        }
        Ok(Applied::Done)
    }

    fn change_by_key(self, event: &Event<'_>, row: &mut Vec<u8>) -> Result<Applied, Error> {
        let key = event.key.bytes();
        let base = self.state.get(self.relation, key)?;
        if event.op == Op::Delete {
            self.state.delete(self.relation, key)?;
            return Ok(if base.is_some() { Applied::Done } else { Applied::MissingRow });
        }
        let base = match base {
            Some(base) => base,
            None if rows::has_all_columns(self.table, event)? => key.to_vec(),
            None => return Ok(Applied::MissingRow),
        };
        row.clear();
        // key and other columns have different numbers
        let mut delta = event.new_key.bytes().to_vec();
        delta.extend_from_slice(event.new.bytes());
        overlay(row, Row::new(&base), Row::new(&delta), event.nulls())?;
        let mut after = key;
        if !event.new_key.is_empty() && event.new_key != event.key {
            self.state.delete(self.relation, key)?;
            after = event.new_key.bytes();
        }
        self.state.put(self.relation, after, row)?;
        Ok(Applied::Done)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::super::memory::MemoryState;
    use super::*;
    use crate::base::limits::Limits;
    use crate::model::batch::Batch;
    use crate::model::batch::SchemaVersion;
    use crate::model::schema::fingerprint;
    use crate::pb;

    /// public.t with columns 1 (key, if there is one) to n, all int4.
    fn table(columns: u32, key: bool, identity: pb::ReplicaIdentity) -> pb::Table {
        let column = |number| pb::Column {
            number,
            name: format!("c{number}"),
            r#type: pb::Type::Int32 as i32,
            pg_type: "pg_catalog.int4".into(),
            key: key && number == 1,
            ..Default::default()
        };
        pb::Table {
            schema: "public".into(),
            name: "t".into(),
            columns: (1..=columns).map(column).collect(),
            replica_identity: identity as i32,
        }
    }

    struct Test {
        applier: Applier<MemoryState>,
        schemas: SchemaCache,
        commit: u64,
    }

    impl Test {
        fn new() -> Self {
            Test {
                applier: Applier::new(MemoryState::default()),
                schemas: SchemaCache::new(Limits::DEFAULT),
                commit: 100,
            }
        }

        fn schema(&mut self, table: &pb::Table) -> u64 {
            let table = table.encode_to_vec();
            let version = SchemaVersion {
                fingerprint: fingerprint(&table),
                table: &table,
                ..Default::default()
            };
            self.schemas.add(&version).unwrap();
            version.fingerprint
        }

        fn apply_at(&mut self, commit_lsn: u64, events: Vec<pb::ChangeEvent>) -> Vec<Applied> {
            let batch = pb::Batch {
                transaction: Some(pb::Transaction {
                    commit_lsn,
                    first_lsn: 1,
                    ..Default::default()
                }),
                events: (0..)
                    .zip(events)
                    .map(|(i, e)| pb::ChangeEvent { lsn_offset: i, ..e })
                    .collect(),
                ..Default::default()
            }
            .encode_to_vec();
            let batch = Batch::parse(&batch).unwrap();
            self.applier.begin(Some(Lsn(commit_lsn)));
            let events = batch.events();
            events
                .map(|event| self.applier.apply(&event.unwrap(), &self.schemas).unwrap())
                .collect()
        }

        fn apply(&mut self, event: pb::ChangeEvent) -> Applied {
            self.commit += 100;
            self.apply_at(self.commit, vec![event])[0]
        }

        fn rows(&mut self) -> Vec<Vec<u8>> {
            let relation = Relation { schema: "public".into(), name: "t".into() };
            let rows = self.applier.state().rows(&relation);
            rows.into_iter().flat_map(|rows| rows.values().cloned()).collect()
        }
    }

    /// Column and value, encoded.
    fn row(values: &[(u8, u8)]) -> Vec<u8> {
        values.iter().flat_map(|(number, value)| [number << 3, value * 2]).collect()
    }

    fn event(op: pb::Op, schema: u64, key: &[(u8, u8)], new: &[(u8, u8)]) -> pb::ChangeEvent {
        pb::ChangeEvent {
            op: op as i32,
            schema,
            key: row(key),
            new: row(new),
            ..Default::default()
        }
    }

    #[test]
    fn deltas_keys_and_nulls() {
        let mut t = Test::new();
        let s = t.schema(&table(3, true, pb::ReplicaIdentity::Default));
        t.apply(event(pb::Op::Insert, s, &[(1, 1)], &[(2, 5), (3, 6)]));
        t.apply(event(pb::Op::Update, s, &[(1, 1)], &[(3, 7)]));
        assert_eq!(t.rows(), [row(&[(1, 1), (2, 5), (3, 7)])]);
        let mut moved = event(pb::Op::Update, s, &[(1, 1)], &[]);
        (moved.new_key, moved.nulls) = (row(&[(1, 9)]), vec![2]);
        t.apply(moved);
        assert_eq!(t.rows(), [row(&[(3, 7), (1, 9)])]);
        assert_eq!(t.apply(event(pb::Op::Delete, s, &[(1, 1)], &[])), Applied::MissingRow);
        assert_eq!(t.apply(event(pb::Op::Update, s, &[(1, 1)], &[(2, 1)])), Applied::MissingRow);
        // all columns are there: the row before is not needed
        t.apply(event(pb::Op::Update, s, &[(1, 2)], &[(2, 1), (3, 1)]));
        assert_eq!(t.rows().len(), 2);
        assert_eq!(t.apply(event(pb::Op::Delete, s, &[(1, 9)], &[])), Applied::Done);
        t.apply(event(pb::Op::Truncate, s, &[], &[]));
        assert!(t.rows().is_empty());
    }

    #[test]
    fn idempotent_by_position() {
        let mut t = Test::new();
        let s = t.schema(&table(2, true, pb::ReplicaIdentity::Default));
        let insert = |id| event(pb::Op::Insert, s, &[(1, id)], &[(2, id)]);
        use Applied::{Before, Done};
        assert_eq!(t.apply_at(1000, vec![insert(1), insert(2)]), [Done, Done]);
        // half of it had been applied when the connection broke
        assert_eq!(t.apply_at(1000, vec![insert(1), insert(2), insert(3)]), [Before, Before, Done]);
        assert_eq!(t.apply_at(900, vec![insert(4)]), [Before]);
        assert_eq!(t.apply_at(1100, vec![insert(5)]), [Done]);
        let (position, schemas) =
            (t.applier.position(), t.applier.schemas().cloned().collect::<Vec<_>>());
        let state = std::mem::replace(&mut t, Test::new()).applier.into_state();
        t.schema(&table(2, true, pb::ReplicaIdentity::Default));
        t.applier = Applier::resume(state, position, schemas);
        assert_eq!(t.apply_at(1100, vec![insert(5), insert(6)]), [Before, Done]);
        assert_eq!(t.rows().len(), 5);
    }

    #[test]
    fn rows_without_a_key() {
        let mut t = Test::new();
        let s = t.schema(&table(2, false, pb::ReplicaIdentity::Full));
        for _ in 0..3 {
            t.apply(event(pb::Op::Insert, s, &[], &[(1, 1), (2, 2)]));
        }
        let mut update = event(pb::Op::Update, s, &[], &[(2, 3)]);
        update.old = row(&[(1, 1), (2, 2)]);
        t.apply(update.clone());
        let mut delete = event(pb::Op::Delete, s, &[], &[]);
        delete.old = row(&[(1, 1), (2, 2)]);
        // one of the two that are left
        assert_eq!(t.apply(delete.clone()), Applied::Done);
        assert_eq!(t.rows(), [row(&[(1, 1), (2, 2)]), row(&[(1, 1), (2, 3)])]);
        t.apply(delete.clone());
        assert_eq!(t.apply(delete), Applied::MissingRow);
        assert_eq!(t.apply(update), Applied::MissingRow);
    }

    #[test]
    fn changes_that_can_not_be_located() {
        let mut t = Test::new();
        let s = t.schema(&table(2, true, pb::ReplicaIdentity::Nothing));
        t.apply(event(pb::Op::Insert, s, &[(1, 1)], &[(2, 2)]));
        assert!(t.applier.lost().is_empty());
        assert_eq!(t.apply(event(pb::Op::Delete, s, &[], &[])), Applied::Unlocated);
        assert_eq!(t.applier.lost().len(), 1);
    }

    #[test]
    fn ddl() {
        let mut t = Test::new();
        let s = t.schema(&table(2, true, pb::ReplicaIdentity::Full));
        t.apply(event(pb::Op::Insert, s, &[(1, 1)], &[(2, 2)]));
        // a column with a value for rows that are older
        let mut with_missing = table(3, true, pb::ReplicaIdentity::Full);
        with_missing.columns[2].missing = row(&[(3, 8)]);
        let s = t.schema(&with_missing);
        t.apply(event(pb::Op::Insert, s, &[(1, 2)], &[]));
        assert_eq!(t.rows(), [row(&[(1, 1), (2, 2), (3, 8)]), row(&[(1, 2)])]);
        // columns 2 and 3 go, then the key
        let s = t.schema(&table(1, true, pb::ReplicaIdentity::Full));
        t.apply(event(pb::Op::Delete, s, &[(1, 2)], &[]));
        assert_eq!(t.rows(), [row(&[(1, 1)])]);
        let s = t.schema(&table(1, false, pb::ReplicaIdentity::Full));
        let mut delete = event(pb::Op::Delete, s, &[], &[]);
        delete.old = row(&[(1, 1)]);
        assert_eq!(t.apply(delete), Applied::Done);
        // a rewrite empties the table first
        t.apply(event(pb::Op::Insert, s, &[], &[(1, 5)]));
        let wide = t.schema(&table(2, true, pb::ReplicaIdentity::Full));
        let mut first = event(pb::Op::Rewrite, wide, &[(1, 6)], &[(2, 1)]);
        first.rewrite_start = true;
        t.apply(first);
        t.apply(event(pb::Op::Rewrite, wide, &[(1, 7)], &[(2, 1)]));
        assert_eq!(t.rows().len(), 2);
    }

    #[test]
    fn what_must_not_be_applied() {
        let mut t = Test::new();
        let s = t.schema(&table(2, true, pb::ReplicaIdentity::Full));
        let mut bad = [
            event(pb::Op::Insert, s, &[(1, 1)], &[]),
            event(pb::Op::Insert, s + 1, &[(1, 1)], &[]),
            event(pb::Op::Unspecified, s, &[(1, 1)], &[]),
        ];
        bad[0].failure = Some(pb::Failure { sqlstate: "22P02".into(), ..Default::default() });
        for event in bad {
            let batch = pb::Batch {
                transaction: Some(pb::Transaction { commit_lsn: 5, ..Default::default() }),
                events: vec![event],
                ..Default::default()
            };
            let bytes = batch.encode_to_vec();
            let batch = Batch::parse(&bytes).unwrap();
            assert!(t.applier.apply_batch(&batch, &t.schemas).is_err());
        }
        let uncommitted = pb::Batch {
            events: vec![event(pb::Op::Insert, s, &[(1, 1)], &[])],
            ..Default::default()
        };
        let bytes = pb::Batch { transaction: Some(pb::Transaction::default()), ..uncommitted }
            .encode_to_vec();
        assert!(t.applier.apply_batch(&Batch::parse(&bytes).unwrap(), &t.schemas).is_err());
        assert!(t.rows().is_empty());
    }
}
