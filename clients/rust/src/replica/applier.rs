//! Merges events into full rows.

use super::state::State;
use super::tables::{Known, Tables};
use super::whole::{whole_transactions, Takes};
use super::{migrate, rows};
use std::fmt;
use std::sync::Arc;

use crate::base::damage::Damage;
use crate::base::error::Error;
use crate::base::position::{Lsn, Position};
use crate::base::relation::Relation;
use crate::model::event::{Event, Op, SchemaChangeKind};
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

/// Merges the events of committed transactions into full rows, also across DDL:
/// `ADD COLUMN` with a default, `DROP COLUMN`, rewrites, other keys. Where the stream
/// tells changes of schemas ([`Op::Schema`]), relations are made, renamed, emptied and
/// dropped with the source's. What a change of a type makes of values that are there is
/// not in the stream.
///
/// Idempotent by position: what was applied before is passed over.
#[derive(Debug)]
pub struct Applier<S> {
    state: S,
    pub(crate) tables: Tables,
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
            tables: Tables::default(),
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
        let tables = Tables::of(tables);
        Applier { tables, last: position, resuming: true, ..Applier::new(state) }
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
        self.tables.schemas()
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
        self.tables.begin();
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
        let former = event.schema_change.and_then(|change| change.former());
        let relation = match schemas.get(event.schema) {
            Ok(schema) => schema.table.to_string(),
            Err(_) => former.map(|former| former.to_string()).unwrap_or_default(),
        };
        Error::Other(Box::new(ApplyError {
            position: event.position,
            relation,
            what: what.to_owned(),
        }))
    }

    /// Empties a relation, whatever schema it gets next.
    pub(crate) fn forget(&mut self, relation: &Relation) -> Result<(), Error> {
        self.tables.remove(relation);
        self.state.truncate(relation)
    }

    /// Rows that are held of a relation have this schema, or are brought to it by others.
    pub(super) fn have(&mut self, fingerprint: u64, schemas: &SchemaCache) -> Result<(), Error> {
        self.tables.know(fingerprint, schemas)?;
        self.tables.set(fingerprint);
        Ok(())
    }

    /// Nothing is left of a relation.
    pub(crate) fn remove(&mut self, relation: &Relation) -> Result<(), Error> {
        self.tables.remove(relation);
        self.lost.retain(|lost| lost != relation);
        self.state.remove(relation)
    }

    /// A relation has another name, in place of what was held under that.
    pub(super) fn rename(&mut self, from: &Relation, to: &Relation) -> Result<(), Error> {
        self.tables.rename(from, to);
        self.lost.retain(|lost| lost != to);
        self.lost.iter_mut().filter(|lost| *lost == from).for_each(|lost| *lost = to.clone());
        self.state.rename(from, to)
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
            self.pass(event, schemas)?;
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
        match event.op {
            Op::Unknown(_) => return Err(Damage::Unsupported("the op of an event").into()),
            Op::Message => return Ok(Applied::NoRow),
            Op::Schema => return self.follow(event, schemas),
            _ => self.prepare(event, schemas)?,
        }
        self.tables.note(event);
        let Known { schema, relation } = self.tables.at(event.schema);
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
            Op::Message | Op::Schema | Op::Unknown(_) => Ok(Applied::NoRow),
        }
    }

    /// Notes an event that is passed over.
    pub(super) fn pass(&mut self, event: &Event<'_>, schemas: &SchemaCache) -> Result<(), Error> {
        if event.schema != 0 {
            self.tables.know(event.schema, schemas)?;
        }
        self.tables.note(event);
        Ok(())
    }

    /// Brings the relation to the event's schema.
    pub(crate) fn prepare(
        &mut self,
        event: &Event<'_>,
        schemas: &SchemaCache,
    ) -> Result<(), Error> {
        self.tables.know(event.schema, schemas)?;
        let is_stale = self.tables.comes_back(event.schema);
        let before = self.tables.set(event.schema);
        let Known { schema, relation } = self.tables.at(event.schema);
        if event.rewrite_start || is_stale {
            return self.state.truncate(relation);
        }
        match before.and_then(|fingerprint| self.tables.get(fingerprint)) {
            Some(before) => {
                let before = &before.schema.table;
                migrate::migrate(&mut self.state, relation, before, &schema.table)
            }
            None => Ok(()),
        }
    }

    /// Does what a command has done to a relation.
    fn follow(&mut self, event: &Event<'_>, schemas: &SchemaCache) -> Result<Applied, Error> {
        let change = event.schema_change.ok_or(Damage::Malformed("change of no schema"))?;
        if event.schema != 0 {
            self.tables.know(event.schema, schemas)?;
        }
        let is_written = self.tables.is_written(event.schema);
        self.tables.note(event);
        match (change.kind, change.former()) {
            (SchemaChangeKind::Created | SchemaChangeKind::Entered, _) => {
                self.start(event.schema, is_written)?;
            }
            (SchemaChangeKind::Altered, former) => {
                if let Some(former) = former {
                    self.take_over(&former, event.schema, is_written)?;
                }
                self.prepare(event, schemas)?;
            }
            (SchemaChangeKind::Dropped, Some(former)) => self.remove(&former)?,
            (SchemaChangeKind::Left, Some(former)) => self.tables.leave(former),
            _ => return Err(Damage::Unsupported("the kind of a change of a schema").into()),
        }
        Ok(Applied::Done)
    }

    /// A relation begins with the rows that its command wrote, if any; what else is held
    /// under its name is of another one.
    fn start(&mut self, fingerprint: u64, is_written: bool) -> Result<(), Error> {
        let is_stale = self.tables.comes_back(fingerprint);
        self.tables.set(fingerprint);
        let relation = &self.tables.at(fingerprint).relation;
        if is_written && !is_stale {
            return Ok(());
        }
        self.lost.retain(|lost| lost != relation);
        self.state.truncate(relation)
    }

    /// What was held under a former name has the schema's, unless the command has written
    /// it anew.
    fn take_over(
        &mut self,
        former: &Relation,
        fingerprint: u64,
        is_written: bool,
    ) -> Result<(), Error> {
        let relation = self.tables.at(fingerprint).relation.clone();
        match (relation == *former, is_written) {
            (true, _) => Ok(()),
            (false, true) => self.remove(former),
            (false, false) => self.rename(former, &relation),
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

    /// An event of a command; the schemas are those of tables.
    fn schema_event(kind: pb::SchemaChangeKind, schema: u64, former: &str) -> pb::ChangeEvent {
        let schema_change = Some(pb::SchemaChange {
            kind: kind as i32,
            command_tag: "DDL".into(),
            former_schema: if former.is_empty() { String::new() } else { "public".into() },
            former_name: former.into(),
        });
        pb::ChangeEvent { op: pb::Op::Schema as i32, schema, schema_change, ..Default::default() }
    }

    impl Test {
        fn named(&mut self, name: &str, columns: u32) -> u64 {
            let table = table(columns, true, pb::ReplicaIdentity::Default);
            self.schema(&pb::Table { name: name.into(), ..table })
        }

        /// First columns of the rows of public.NAME; `None` where there is no such relation.
        fn ids(&mut self, name: &str) -> Option<Vec<u8>> {
            let relation = Relation { schema: "public".into(), name: name.into() };
            let rows = self.applier.state().rows(&relation)?;
            Some(rows.values().map(|row| row[1] / 2).collect())
        }

        fn transaction(&mut self, events: Vec<pb::ChangeEvent>) {
            self.commit += 100;
            self.apply_at(self.commit, events);
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<_> =
                self.applier.schemas().map(|schema| schema.table.name.clone()).collect();
            names.sort();
            names
        }
    }

    use pb::SchemaChangeKind::{Altered, Created, Dropped, Entered, Left};

    fn insert(schema: u64, id: u8) -> pb::ChangeEvent {
        event(pb::Op::Insert, schema, &[(1, id)], &[(2, id)])
    }

    #[test]
    fn names_of_tables() {
        let mut t = Test::new();
        let (a, b, c) = (t.named("a", 2), t.named("b", 2), t.named("c", 2));
        t.transaction(vec![schema_event(Created, a, ""), schema_event(Created, b, "")]);
        assert_eq!(t.names(), ["a", "b"]);
        t.transaction(vec![insert(a, 1), insert(b, 2), insert(b, 3)]);
        // exchanged, with a change under each name
        t.transaction(vec![
            schema_event(Altered, c, "a"),
            insert(c, 4),
            schema_event(Altered, a, "b"),
            schema_event(Altered, b, "c"),
            insert(a, 5),
        ]);
        assert_eq!(
            (t.ids("a"), t.ids("b"), t.ids("c")),
            (Some(vec![2, 3, 5]), Some(vec![1, 4]), None)
        );
        assert_eq!(t.names(), ["a", "b"]);
        // of one that was not held: it is there, and empty
        t.transaction(vec![schema_event(Altered, c, "elsewhere")]);
        assert_eq!(t.names(), ["a", "b", "c"]);
        // over what is left of another one, which was not told
        t.transaction(vec![schema_event(Altered, b, "a")]);
        assert_eq!((t.ids("a"), t.ids("b")), (None, Some(vec![2, 3, 5])));
        // at once with columns
        let wide = t.named("a", 3);
        t.transaction(vec![schema_event(Altered, wide, "b")]);
        assert_eq!(t.ids("a"), Some(vec![2, 3, 5]));
        assert_eq!(t.applier.tables.current(&"public.a".parse().unwrap()), Some(wide));
    }

    #[test]
    fn tables_that_go_and_come() {
        let mut t = Test::new();
        let (a, other) = (t.named("a", 2), t.named("a", 3));
        t.transaction(vec![insert(a, 1), insert(a, 2)]);
        let drop = schema_event(Dropped, 0, "a");
        t.transaction(vec![drop.clone()]);
        assert!(t.ids("a").is_none() && t.names().is_empty());
        // made anew under its name, with the same columns and with others
        t.transaction(vec![insert(a, 1), insert(a, 2)]);
        t.transaction(vec![insert(a, 3), drop.clone(), schema_event(Created, a, ""), insert(a, 9)]);
        assert_eq!(t.ids("a"), Some(vec![9]));
        t.transaction(vec![drop.clone(), insert(other, 5), schema_event(Created, other, "")]);
        assert_eq!(t.ids("a"), Some(vec![5]), "the rows of CREATE TABLE AS");
        // what is not followed is kept, and is a leftover when its name is used again
        t.transaction(vec![schema_event(Left, 0, "a")]);
        assert_eq!((t.ids("a"), t.names().len()), (Some(vec![5]), 1));
        t.transaction(vec![schema_event(Entered, other, ""), insert(other, 6)]);
        assert_eq!(t.ids("a"), Some(vec![6]));
        t.transaction(vec![insert(other, 7), schema_event(Left, 0, "a")]);
        t.transaction(vec![insert(a, 8), schema_event(Created, a, "")]);
        assert_eq!(t.ids("a"), Some(vec![8]));
        // and one that was logged again came with all of its rows
        t.transaction(vec![schema_event(Left, 0, "a")]);
        let mut first = event(pb::Op::Rewrite, a, &[(1, 4)], &[]);
        first.rewrite_start = true;
        t.transaction(vec![first.clone(), schema_event(Entered, a, "")]);
        assert_eq!(t.ids("a"), Some(vec![4]));
        t.transaction(vec![schema_event(Left, 0, "a")]);
        t.transaction(vec![first, schema_event(Entered, other, "")]);
        assert_eq!(t.ids("a"), Some(vec![4]), "under a schema with values for older rows");
        t.transaction(vec![schema_event(Left, 0, "a"), schema_event(Entered, a, "")]);
        assert_eq!(t.ids("a"), Some(vec![]));
    }

    #[test]
    fn columns_and_keys_without_a_row() {
        let mut t = Test::new();
        let s = t.schema(&table(2, true, pb::ReplicaIdentity::Full));
        t.transaction(vec![event(pb::Op::Insert, s, &[(1, 1)], &[(2, 2)])]);
        let mut wide = table(3, true, pb::ReplicaIdentity::Full);
        wide.columns[2].missing = row(&[(3, 8)]);
        let s = t.schema(&wide);
        t.transaction(vec![schema_event(Altered, s, "")]);
        assert_eq!(t.rows(), [row(&[(1, 1), (2, 2), (3, 8)])]);
        // the same again, as of a type: nothing that the stream says
        t.transaction(vec![schema_event(Altered, s, "")]);
        let s = t.schema(&table(1, false, pb::ReplicaIdentity::Full));
        t.transaction(vec![schema_event(Altered, s, "")]);
        assert_eq!(t.rows(), [row(&[(1, 1)])]);
        let relation = "public.t".parse().unwrap();
        assert!(t.applier.state().rows(&relation).unwrap().contains_key(&row(&[(1, 1)])));
        // another type needs a rewrite, unless there are no rows
        let mut other = table(1, false, pb::ReplicaIdentity::Full);
        other.columns[0].r#type = pb::Type::Bytes as i32;
        let other = t.schema(&other);
        let altered = |t: &mut Test| {
            t.commit += 100;
            let event = schema_event(Altered, other, "").encode_to_vec();
            let event = Event::parse(&event, Lsn(t.commit), Some(Lsn(t.commit))).unwrap();
            t.applier.apply(&event, &t.schemas)
        };
        t.transaction(vec![event(pb::Op::Truncate, s, &[], &[])]);
        assert_eq!(altered(&mut t).unwrap(), Applied::Done);
        t.transaction(vec![schema_event(Created, s, ""), event(pb::Op::Insert, s, &[], &[(1, 1)])]);
        assert!(altered(&mut t).unwrap_err().to_string().contains("without a rewrite"));
    }

    /// A transaction that comes again, after a restart in its middle.
    #[test]
    fn commands_are_done_once() {
        let mut t = Test::new();
        let (a, b) = (t.named("a", 2), t.named("b", 2));
        t.transaction(vec![insert(a, 1)]);
        let again = vec![
            schema_event(Altered, b, "a"),
            insert(a, 2),
            schema_event(Created, a, ""),
            insert(a, 3),
            schema_event(Dropped, 0, "b"),
        ];
        for cut in 1..again.len() {
            let mut t = Test {
                applier: Applier::new(t.applier.state().clone()),
                schemas: t.schemas.clone(),
                commit: 300,
            };
            t.apply_at(300, again[..cut].to_vec());
            let schemas: Vec<_> = t.applier.schemas().cloned().collect();
            let position = t.applier.position();
            let state = std::mem::take(t.applier.state());
            t.applier = Applier::resume(state, position, schemas);
            let applied = t.apply_at(300, again.clone());
            assert!(applied[..cut].iter().all(|applied| *applied == Applied::Before));
            assert_eq!((t.ids("a"), t.ids("b")), (Some(vec![2, 3]), None), "{cut}");
        }
    }

    #[test]
    fn a_kind_that_is_not_known() {
        let mut t = Test::new();
        let a = t.named("a", 2);
        let mut unknown = schema_event(Created, a, "");
        unknown.schema_change.as_mut().unwrap().kind = 9;
        let bytes = unknown.encode_to_vec();
        let event = Event::parse(&bytes, Lsn(1), Some(Lsn(2))).unwrap();
        let error = t.applier.apply(&event, &t.schemas).unwrap_err();
        assert!(matches!(error, Error::Damage(Damage::Unsupported(_))), "{error}");
    }
}
