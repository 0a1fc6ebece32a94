//! Joins rows of snapshots with the stream: every row remembers what it was
//! read under, and what that snapshot saw does nothing to it.

use std::collections::HashMap;

use super::applier::{Applied, Applier};
use super::rows::has_all_columns;
use super::state::State;
use super::whole::{whole_transactions, Takes};
use crate::base::damage::Damage;
use crate::base::error::Error;
use crate::base::position::Lsn;
use crate::base::relation::Relation;
use crate::model::batch::{Batch, OwnedSnapshot};
use crate::model::event::{Event, Op};
use crate::model::row::Row;
use crate::model::schema::SchemaCache;
use crate::stream::config::StreamConfig;
use crate::stream::guard::Guard;
use crate::wire::field::{put_varint, Wire};

/// The number of a row's snapshot stands in the row, as a field that no table
/// has: so it is kept where the row is kept.
const MARK: u32 = (1 << 29) - 2;

/// A row that must be read again: one that moved to another key, while one was
/// read after and the other before, and whose event does not have all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reread {
    /// Its relation.
    pub relation: Relation,
    /// Names and values, as text, of the key columns.
    pub key: Vec<(String, String)>,
    /// The transaction that moved it: it must be read as that left it.
    pub xid: u32,
}

/// A table that was altered after it was read, or a part of it: it must be read anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// Its relation.
    pub relation: Relation,
    /// Transactions whose changes were passed over for that: it must be read as they
    /// left it.
    pub xids: Vec<u32>,
}

/// What has been read of a relation.
#[derive(Debug, Default)]
struct Loaded {
    /// Its schema.
    fingerprint: u64,
    /// The snapshots that were read under.
    snapshots: Vec<usize>,
    /// No snapshot sees what committed behind it.
    end_lsn: Lsn,
    /// Since it was altered, if it was.
    passed_over: Vec<u32>,
    /// The last transaction that was asked for, and whether all snapshots saw it.
    seen: Option<(u32, bool)>,
}

impl Loaded {
    fn all_see(&mut self, snapshots: &[OwnedSnapshot], xid: u32) -> bool {
        match self.seen {
            Some((known, seen)) if known == xid => seen,
            _ => {
                let seen = self.snapshots.iter().all(|&number| snapshots[number].sees(xid));
                self.seen = Some((xid, seen));
                seen
            }
        }
    }
}

impl Reread {
    pub(super) fn value(&self, name: &str) -> Option<String> {
        self.key.iter().find(|(column, _)| column == name).map(|(_, value)| value.clone())
    }
}

/// An [`Applier`] while tables are loaded, and until the stream has passed the
/// load's end.
#[derive(Debug)]
pub struct Joiner<S> {
    applier: Applier<S>,
    snapshots: Vec<OwnedSnapshot>,
    /// Tables without a key were read under one snapshot.
    whole: HashMap<Relation, usize>,
    loaded: HashMap<Relation, Loaded>,
    rereads: Vec<Reread>,
    guard: Option<Guard>,
}

impl<S: State> Joiner<S> {
    /// For a load that begins.
    pub fn new(applier: Applier<S>) -> Self {
        Joiner {
            applier,
            snapshots: Vec::new(),
            whole: HashMap::new(),
            loaded: HashMap::new(),
            rereads: Vec::new(),
            guard: None,
        }
    }

    /// Of rows that are read, expects the versions that these settings of the stream
    /// do, with the same policy: rows that are converted in the stream are so when
    /// they are read too. One that cannot be ends the load. Without this the load
    /// refuses rows in other versions than it asked for.
    ///
    /// # Errors
    /// Settings that are wrong.
    pub fn expect(mut self, config: &StreamConfig) -> Result<Self, Error> {
        self.guard = Some(config.guard()?.0);
        Ok(self)
    }

    pub(super) fn guard(&self) -> Option<Guard> {
        self.guard.clone()
    }

    /// With what was read before, under these snapshots from `first` on.
    pub(super) fn having_read(
        applier: Applier<S>,
        snapshots: Vec<OwnedSnapshot>,
        first: usize,
        tables: &[(Relation, u64)],
        end_lsn: Lsn,
    ) -> Self {
        let of = |fingerprint| Loaded {
            fingerprint,
            snapshots: (first..snapshots.len()).collect(),
            end_lsn,
            ..Loaded::default()
        };
        let loaded = tables.iter().map(|(relation, f)| (relation.clone(), of(*f))).collect();
        Joiner { loaded, snapshots, ..Joiner::new(applier) }
    }

    /// The applier, for its state.
    pub fn applier(&mut self) -> &mut Applier<S> {
        &mut self.applier
    }

    /// When the join is over.
    pub fn into_applier(self) -> Applier<S> {
        self.applier
    }

    /// Rows that must be read again by
    /// [`Loader::reread`](crate::Loader::reread), before or after what
    /// follows.
    pub fn take_rereads(&mut self) -> Vec<Reread> {
        std::mem::take(&mut self.rereads)
    }

    /// Tables that must be read anew, by
    /// [`Loader::reload`](crate::Loader::reload) and what follows it, before the
    /// transaction that was applied last is acknowledged. Until then all changes of them
    /// are passed over, and those of another transaction are an error. To be looked at
    /// after rereads.
    pub fn reloads(&self) -> Vec<Reload> {
        let altered = self.loaded.iter().filter(|(_, loaded)| !loaded.passed_over.is_empty());
        altered
            .map(|(relation, loaded)| Reload {
                relation: relation.clone(),
                xids: loaded.passed_over.clone(),
            })
            .collect()
    }

    /// A row of an altered table cannot be read again alone.
    pub(super) fn must_reload(&mut self, reread: &Reread) {
        let loaded = self.loaded.entry(reread.relation.clone()).or_default();
        loaded.passed_over.push(reread.xid);
    }

    /// What was read of a relation does not count any more.
    pub(super) fn forget(&mut self, relation: &Relation) -> Result<(), Error> {
        self.whole.remove(relation);
        self.loaded.remove(relation);
        self.rereads.retain(|reread| reread.relation != *relation);
        self.applier.forget(relation)
    }

    /// A read of a relation is over, and this is the end of the WAL.
    pub(super) fn read_until(&mut self, relation: &Relation, end_lsn: Lsn) {
        if let Some(loaded) = self.loaded.get_mut(relation) {
            loaded.end_lsn = end_lsn;
        }
    }

    /// Takes rows of a snapshot.
    pub(super) fn load(
        &mut self,
        batch: &Batch<'_>,
        schemas: &SchemaCache,
        keyed: bool,
    ) -> Result<(), Error> {
        let snapshot = batch.snapshot.ok_or(Damage::Malformed("rows without a snapshot"))?;
        let snapshot = OwnedSnapshot::from(snapshot);
        let number = match self.snapshots.iter().rposition(|known| *known == snapshot) {
            Some(number) => number,
            None => {
                self.snapshots.push(snapshot);
                self.snapshots.len() - 1
            }
        };
        for version in batch.schemas() {
            let schema = schemas.get(version?.fingerprint)?;
            let relation = Relation::from(&schema.table);
            // a read that was interrupted begins anew
            if !keyed && self.whole.get(&relation) != Some(&number) {
                self.forget(&relation)?;
                self.whole.insert(relation.clone(), number);
            }
            let loaded = self.loaded.entry(relation).or_default();
            loaded.fingerprint = schema.fingerprint;
            // until it is known
            loaded.end_lsn = Lsn(u64::MAX);
            loaded.seen = None;
            if !loaded.snapshots.contains(&number) {
                loaded.snapshots.push(number);
            }
        }
        for event in batch.events() {
            let event = event?;
            self.applier.apply_new(&event, schemas)?;
            if keyed {
                self.mark(&event, schemas, number)?;
            }
        }
        Ok(())
    }

    fn mark(
        &mut self,
        event: &Event<'_>,
        schemas: &SchemaCache,
        number: usize,
    ) -> Result<(), Error> {
        let relation = Relation::from(&schemas.get(event.schema)?.table);
        let key = event.key.bytes();
        if let Some(mut row) = self.applier.state().get(&relation, key)? {
            put_varint(&mut row, u64::from(MARK) << 3);
            put_varint(&mut row, number as u64);
            self.applier.state().put(&relation, key, &row)?;
        }
        Ok(())
    }

    whole_transactions!();

    /// Applies an event of a transaction.
    ///
    /// # Errors
    /// As [`Applier::apply`].
    pub fn apply(
        &mut self,
        xid: u32,
        event: &Event<'_>,
        schemas: &SchemaCache,
    ) -> Result<Applied, Error> {
        if self.applier.is_before(event.position) {
            return Ok(Applied::Before);
        }
        let applied = self.join(xid, event, schemas)?;
        self.applier.applied(event.position);
        Ok(applied)
    }

    fn join(
        &mut self,
        xid: u32,
        event: &Event<'_>,
        schemas: &SchemaCache,
    ) -> Result<Applied, Error> {
        if event.op == Op::Message {
            return Ok(Applied::NoRow);
        }
        let schema = schemas.get(event.schema)?;
        let relation = Relation::from(&schema.table);
        if let Some(applied) = self.other_schema(xid, event, &relation)? {
            return Ok(applied);
        }
        if let Some(&number) = self.whole.get(&relation) {
            if self.snapshots[number].sees(xid) {
                return Ok(Applied::Before);
            }
            return self.applier.apply_new(event, schemas);
        }
        if event.op == Op::Truncate || event.rewrite_start {
            self.truncate(xid, &relation)?;
            if event.op == Op::Truncate {
                return Ok(Applied::Done);
            }
        }
        if event.rewrite_start {
            // it has been emptied, of what it may be emptied of
            return self.insert_rewritten(xid, &relation, event, schemas);
        }
        if event.key.is_empty() {
            return self.applier.apply_new(event, schemas);
        }
        if event.op == Op::Update && !event.new_key.is_empty() && event.new_key != event.key {
            return self.move_row(xid, &relation, event, schemas);
        }
        match self.sees(xid, &relation, event.key)? {
            Some(true) => Ok(Applied::Before),
            // a row that was not read takes what comes
            _ => self.applier.apply_new(event, schemas),
        }
    }

    /// What becomes of an event whose schema is not that of the rows that were read.
    fn other_schema(
        &mut self,
        xid: u32,
        event: &Event<'_>,
        relation: &Relation,
    ) -> Result<Option<Applied>, Error> {
        let Some(loaded) = self.loaded.get_mut(relation) else { return Ok(None) };
        if event.position.commit_lsn > loaded.end_lsn && loaded.passed_over.is_empty() {
            // it is behind all that was read
            self.loaded.remove(relation);
            return Ok(None);
        }
        if loaded.passed_over.is_empty() {
            if loaded.fingerprint == event.schema {
                return Ok(None);
            }
            // of before the table was altered, and what was read is of after that
            if loaded.all_see(&self.snapshots, xid) {
                return Ok(Some(Applied::Before));
            }
            loaded.passed_over.push(xid);
        }
        if !loaded.passed_over.contains(&xid) {
            let Relation { schema, name } = relation;
            let what = format!(
                "{schema}.{name} was altered and must be read anew first: see Joiner::reloads()"
            );
            return Err(Error::Other(what.into()));
        }
        Ok(Some(Applied::MissingRow))
    }

    /// Whether the row is there, and whether its snapshot saw the transaction.
    fn sees(&mut self, xid: u32, relation: &Relation, key: Row<'_>) -> Result<Option<bool>, Error> {
        let Some(row) = self.applier.state().get(relation, key.bytes())? else { return Ok(None) };
        Ok(Some(saw(&self.snapshots, xid, &row)?))
    }

    fn truncate(&mut self, xid: u32, relation: &Relation) -> Result<(), Error> {
        let (snapshots, mut gone) = (&self.snapshots, Vec::new());
        self.applier.state().scan(relation, &mut |key, row| {
            if !saw(snapshots, xid, row)? {
                gone.push(key.to_vec());
            }
            Ok(())
        })?;
        gone.iter().try_for_each(|key| self.applier.state().delete(relation, key))
    }

    /// The first row of a rewrite, without emptying the table again.
    fn insert_rewritten(
        &mut self,
        xid: u32,
        relation: &Relation,
        event: &Event<'_>,
        schemas: &SchemaCache,
    ) -> Result<Applied, Error> {
        if !event.key.is_empty() && self.sees(xid, relation, event.key)? == Some(true) {
            return Ok(Applied::Before);
        }
        let mut event = *event;
        event.rewrite_start = false;
        self.applier.apply_new(&event, schemas)
    }

    fn move_row(
        &mut self,
        xid: u32,
        relation: &Relation,
        event: &Event<'_>,
        schemas: &SchemaCache,
    ) -> Result<Applied, Error> {
        let from = self.sees(xid, relation, event.key)?;
        let to = self.sees(xid, relation, event.new_key)?;
        if to == Some(true) {
            // read where it went; what was read where it came from goes
            if from == Some(false) {
                self.applier.state().delete(relation, event.key.bytes())?;
            }
            return Ok(Applied::Done);
        }
        if from == Some(false) {
            return self.applier.apply_new(event, schemas);
        }
        // not read before, or another row is there by now
        let table = &schemas.get(event.schema)?.table;
        if has_all_columns(table, event)? {
            let mut insert = *event;
            (insert.op, insert.key, insert.new_key) = (Op::Insert, event.new_key, Row::new(&[]));
            return self.applier.apply_new(&insert, schemas);
        }
        let key = event.new_key.values(table);
        let key =
            key.map(|value| value.map(|(column, value)| (column.name.clone(), value.to_string())));
        self.rereads.push(Reread {
            relation: relation.clone(),
            key: key.collect::<Result<_, _>>()?,
            xid,
        });
        Ok(Applied::MissingRow)
    }
}

impl<S: State> Takes for Joiner<S> {
    fn begin(&mut self, commit_lsn: Option<Lsn>) {
        self.applier.begin(commit_lsn);
    }

    fn take(&mut self, xid: u32, event: &Event<'_>, schemas: &SchemaCache) -> Result<(), Error> {
        self.apply(xid, event, schemas).map(drop)
    }
}

fn saw(snapshots: &[OwnedSnapshot], xid: u32, row: &[u8]) -> Result<bool, Damage> {
    for field in Row::new(row).fields() {
        let field = field?;
        if let (MARK, Wire::Varint(number)) = (field.number, field.value) {
            let snapshot = snapshots.get(number as usize);
            return Ok(snapshot.ok_or(Damage::Malformed("row of an unknown snapshot"))?.sees(xid));
        }
    }
    Ok(false)
}
