//! Joins rows of snapshots with the stream: every row remembers what it was
//! read under, and what that snapshot saw does nothing to it.

use std::collections::{BTreeSet, HashMap};

use super::applier::{Applied, Applier};
use super::loaded::{Loaded, ReadTable};
use super::migrate::{has_same_key, migrate_some};
use super::rows::{has_all_columns, MARK};
use super::state::State;
use super::whole::{whole_transactions, Takes};
use crate::base::damage::Damage;
use crate::base::error::Error;
use crate::base::position::Lsn;
use crate::base::relation::Relation;
use crate::model::batch::{Batch, OwnedSnapshot};
use crate::model::event::{Event, Op, SchemaChangeKind};
use crate::model::row::Row;
use crate::model::schema::{Schema, SchemaCache};
use crate::stream::config::StreamConfig;
use crate::stream::guard::Guard;
use crate::wire::field::{put_varint, Wire};

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

/// A table that must be read anew: it has another key, values of a type read otherwise, it
/// has come back into what is sent; or the stream does not tell changes of schemas, and it
/// was altered after it was read, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reload {
    /// Its relation.
    pub relation: Relation,
    /// The OID of what was read.
    pub(super) owner: String,
    /// Transactions whose changes were passed over for that: it must be read as they
    /// left it.
    pub xids: Vec<u32>,
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
    /// Tables whose names were found to be those of others by now.
    displaced: Vec<(Relation, String)>,
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
            displaced: Vec::new(),
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
        owner: &str,
        tables: &[ReadTable],
        end_lsn: Lsn,
    ) -> Self {
        let mut joiner = Joiner { snapshots, ..Joiner::new(applier) };
        for table in tables {
            let new = || Loaded::new(owner, true);
            let loaded = joiner.loaded.entry(table.relation.clone()).or_insert_with(new);
            for number in table.first..table.end.min(joiner.snapshots.len()) {
                loaded.read(number, table.fingerprint);
            }
            loaded.end_lsn = end_lsn;
        }
        joiner
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
    /// after rereads, for as long as this is used.
    pub fn reloads(&self) -> Vec<Reload> {
        let reload = |relation: &Relation, owner: &str, xids: &[u32]| Reload {
            relation: relation.clone(),
            owner: owner.to_owned(),
            xids: xids.to_vec(),
        };
        let altered = self.loaded.iter().filter(|(_, loaded)| !loaded.passed_over.is_empty());
        let altered = altered.map(|(relation, l)| reload(relation, &l.owner, &l.passed_over));
        let displaced = self.displaced.iter().map(|(relation, owner)| reload(relation, owner, &[]));
        altered.chain(displaced).collect()
    }

    /// A row of an altered table cannot be read again alone.
    pub(super) fn must_reload(&mut self, reread: &Reread) {
        if let Some(loaded) = self.loaded.get_mut(&reread.relation) {
            loaded.passed_over.push(reread.xid);
        }
    }

    /// What was read of a relation does not count any more.
    fn forget(&mut self, relation: &Relation) -> Result<(), Error> {
        self.whole.remove(relation);
        self.loaded.remove(relation);
        self.rereads.retain(|reread| reread.relation != *relation);
        self.applier.forget(relation)
    }

    /// The same of what was read of a table, whatever it is called by now.
    pub(super) fn forget_all(&mut self, owner: &str) -> Result<(), Error> {
        self.displaced.retain(|(_, displaced)| displaced != owner);
        let of = self.loaded.iter().filter(|(_, loaded)| loaded.owner == owner);
        let now: Vec<_> = of.map(|(relation, _)| relation.clone()).collect();
        now.iter().try_for_each(|relation| self.forget(relation))
    }

    /// A read is over, and this is the end of the WAL.
    pub(super) fn read_until(&mut self, owner: &str, end_lsn: Lsn) {
        for loaded in self.loaded.values_mut().filter(|loaded| loaded.owner == owner) {
            loaded.end_lsn = end_lsn;
        }
    }

    /// Whether rows of another schema can stand beside those that were read before, until
    /// the stream brings these to it.
    pub(super) fn takes(&mut self, schema: &Schema) -> bool {
        let relation = Relation::from(&schema.table);
        let Some(loaded) = self.loaded.get(&relation) else { return true };
        loaded.keyed
            && loaded.schemas.values().all(|&fingerprint| {
                let known = self.applier.tables.get(fingerprint);
                known.is_some_and(|known| has_same_key(&known.schema.table, &schema.table))
            })
    }

    /// Takes rows of a snapshot.
    pub(super) fn load(
        &mut self,
        batch: &Batch<'_>,
        schemas: &SchemaCache,
        (owner, keyed): (&str, bool),
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
            if let Some(other) = self.loaded.get(&relation).filter(|l| l.owner != owner) {
                self.displaced.push((relation.clone(), other.owner.clone()));
                self.forget(&relation)?;
            }
            let new = || Loaded::new(owner, keyed);
            let loaded = self.loaded.entry(relation).or_insert_with(new);
            loaded.read(number, schema.fingerprint);
            // rows of before may have another one
            self.applier.have(schema.fingerprint, schemas)?;
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
            self.applier.pass(event, schemas)?;
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
        match event.op {
            Op::Message | Op::Unknown(_) => return self.applier.apply_new(event, schemas),
            Op::Schema => return self.follow(xid, event, schemas),
            _ => (),
        }
        let schema = schemas.get(event.schema)?;
        let relation = Relation::from(&schema.table);
        if let Some(applied) = self.pass_over(xid, event, &relation, schemas)? {
            self.applier.pass(event, schemas)?;
            return Ok(applied);
        }
        if self.whole.contains_key(&relation) {
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

    /// What becomes of an event that is not applied: all that was read has it, or the table
    /// must be read anew.
    fn pass_over(
        &mut self,
        xid: u32,
        event: &Event<'_>,
        relation: &Relation,
        schemas: &SchemaCache,
    ) -> Result<Option<Applied>, Error> {
        let Some(loaded) = self.loaded.get_mut(relation) else { return Ok(None) };
        if loaded.is_over(event.position.commit_lsn) {
            return Ok(None);
        }
        if loaded.passed_over.is_empty() {
            let is_seen = loaded.all_see(&self.snapshots, xid);
            if is_seen && !(loaded.keyed && loaded.has(event.schema)) {
                return Ok(Some(Applied::Before));
            }
            let table = &schemas.get(event.schema)?.table;
            if event.rewrite_start && loaded.keyed == table.has_key() {
                loaded.rewrite(&self.snapshots, xid, event.schema);
            }
            match loaded.fits(&self.snapshots, xid, event.schema) {
                Some(true) => return Ok(None),
                Some(false) => {
                    self.applier.have(event.schema, schemas)?;
                    return Ok(None);
                }
                // altered, and the stream has not told it
                None => loaded.passed_over.push(xid),
            }
        }
        must_be_read_anew(relation, loaded, xid).map(Some)
    }

    /// Does what a command has done to a relation, where what was read does not have it.
    fn follow(
        &mut self,
        xid: u32,
        event: &Event<'_>,
        schemas: &SchemaCache,
    ) -> Result<Applied, Error> {
        let change = event.schema_change.ok_or(Damage::Malformed("change of no schema"))?;
        let former = change.former();
        let relation = match event.schema {
            0 => former.clone().unwrap_or_default(),
            fingerprint => Relation::from(&schemas.get(fingerprint)?.table),
        };
        let commit_lsn = event.position.commit_lsn;
        for name in [Some(&relation), former.as_ref()].into_iter().flatten() {
            self.loaded.get_mut(name).map(|loaded| loaded.is_over(commit_lsn));
        }
        let done = match (change.kind, former) {
            (SchemaChangeKind::Altered, Some(former)) if former != relation => {
                self.renamed(xid, &former, &relation)?
            }
            (kind, _) if self.all_see(xid, &relation) == Some(true) => {
                if kind == SchemaChangeKind::Dropped {
                    self.remove_others(&relation)?;
                }
                Some(Applied::Before)
            }
            _ => None,
        };
        let done = match (done, change.kind) {
            (None, SchemaChangeKind::Altered) => self.alter(xid, &relation, event, schemas)?,
            (None, SchemaChangeKind::Entered) => self.enter(xid, &relation)?,
            // it must be read anew when it enters again
            (None, SchemaChangeKind::Left) if self.loaded.contains_key(&relation) => {
                Some(Applied::Done)
            }
            (None, SchemaChangeKind::Created | SchemaChangeKind::Dropped) => {
                self.unload(&relation);
                None
            }
            (done, _) => done,
        };
        match done {
            Some(applied) => self.applier.pass(event, schemas).map(|()| applied),
            None => self.applier.apply_new(event, schemas),
        }
    }

    /// Whether all that was read of a relation has what a transaction did; `None` if it was
    /// not read.
    fn all_see(&mut self, xid: u32, relation: &Relation) -> Option<bool> {
        let loaded = self.loaded.get_mut(relation)?;
        Some(loaded.all_see(&self.snapshots, xid))
    }

    /// The relation is the stream's alone.
    fn unload(&mut self, relation: &Relation) {
        self.whole.remove(relation);
        self.loaded.remove(relation);
        self.rereads.retain(|reread| reread.relation != *relation);
    }

    /// What was read under a name is of another table than the one that had it until now:
    /// removes that one's rows.
    fn remove_others(&mut self, relation: &Relation) -> Result<(), Error> {
        if self.whole.contains_key(relation) {
            return Ok(());
        }
        let mut gone = Vec::new();
        self.applier.state().scan(relation, &mut |key, row| {
            if mark(row)?.is_none() {
                gone.push(key.to_vec());
            }
            Ok(())
        })?;
        gone.iter().try_for_each(|key| self.applier.state().delete(relation, key))
    }

    /// A relation that was read is sent again: what it was not sent for is missing, unless
    /// all of its rows have just come.
    fn enter(&mut self, xid: u32, relation: &Relation) -> Result<Option<Applied>, Error> {
        let loaded = self.loaded.get_mut(relation);
        let is_whole = loaded.as_ref().is_none_or(|loaded| loaded.is_rewritten(xid));
        let Some(loaded) = loaded.filter(|_| !is_whole) else { return Ok(None) };
        loaded.passed_over.push(xid);
        Ok(Some(Applied::MissingRow))
    }

    /// A relation has another name. What has become of the event, if that is all.
    fn renamed(
        &mut self,
        xid: u32,
        from: &Relation,
        to: &Relation,
    ) -> Result<Option<Applied>, Error> {
        let both = (self.all_see(xid, from), self.all_see(xid, to));
        match both {
            (None, None) => return Ok(None),
            // the names are of other relations by now
            (Some(true), None | Some(true)) => {
                self.remove_others(from)?;
                return Ok(Some(Applied::Before));
            }
            // it was read under its new name
            (None, Some(true)) => {
                self.applier.remove(from)?;
                return Ok(Some(Applied::Before));
            }
            (Some(false), None) => (),
            // what is there under the new name was another's, which the stream has not told
            (Some(false), Some(false)) => self.forget(to)?,
            // part of it under each
            (from_seen, Some(_)) => {
                if from_seen != Some(true) {
                    self.forget(from)?;
                }
                let loaded = self.loaded.get_mut(to).into_iter();
                loaded.for_each(|loaded| loaded.passed_over.push(xid));
                return Ok(Some(Applied::MissingRow));
            }
        }
        self.rename(from, to)?;
        Ok(None)
    }

    fn rename(&mut self, from: &Relation, to: &Relation) -> Result<(), Error> {
        if let Some(number) = self.whole.remove(from) {
            self.whole.insert(to.clone(), number);
        }
        if let Some(loaded) = self.loaded.remove(from) {
            self.loaded.insert(to.clone(), loaded);
        }
        for reread in self.rereads.iter_mut().filter(|reread| reread.relation == *from) {
            reread.relation = to.clone();
        }
        self.applier.rename(from, to)
    }

    /// The same of a relation of which the stream is behind all that was read.
    fn alter_applied(
        &mut self,
        xid: u32,
        relation: &Relation,
        event: &Event<'_>,
        schemas: &SchemaCache,
    ) -> Result<Applied, Error> {
        let tables = &self.applier.tables;
        let is_new = tables.current(relation) != Some(event.schema);
        if is_new || tables.is_written(event.schema) {
            self.applier.prepare(event, schemas)?;
            return Ok(Applied::Done);
        }
        let loaded = self.loaded.get_mut(relation).into_iter();
        loaded.for_each(|loaded| loaded.passed_over.push(xid));
        Ok(Applied::MissingRow)
    }

    /// Brings the rows that do not have it to another schema. `None` where
    /// nothing was read.
    fn alter(
        &mut self,
        xid: u32,
        relation: &Relation,
        event: &Event<'_>,
        schemas: &SchemaCache,
    ) -> Result<Option<Applied>, Error> {
        let Some(loaded) = self.loaded.get_mut(relation) else { return Ok(None) };
        if !loaded.passed_over.is_empty() {
            return must_be_read_anew(relation, loaded, xid).map(Some);
        }
        if loaded.is_over(event.position.commit_lsn) {
            return self.alter_applied(xid, relation, event, schemas).map(Some);
        }
        let snapshots = &self.snapshots;
        let unseen: BTreeSet<_> = loaded.unseen(snapshots, xid).collect();
        let has_it = unseen.first() == Some(&event.schema);
        if loaded.take_rewritten(xid) && has_it && unseen.len() == 1 {
            return Ok(Some(Applied::Done));
        }
        let after = &schemas.get(event.schema)?.table;
        let before = unseen.first().filter(|_| unseen.len() == 1 && !has_it);
        let before = before.and_then(|fingerprint| self.applier.tables.get(*fingerprint));
        let before = before.map(|known| known.schema.clone());
        let Some(before) = before.filter(|before| has_same_key(&before.table, after)) else {
            // values of a type read otherwise, or rows are found otherwise
            loaded.passed_over.push(xid);
            return Ok(Some(Applied::MissingRow));
        };
        loaded.alter(snapshots, xid, event.schema);
        if loaded.keyed {
            let state = self.applier.state();
            let is_before = |row: &[u8]| Ok(!saw(snapshots, xid, row)?);
            migrate_some(state, relation, &before.table, after, is_before)?;
        } else {
            migrate_some(self.applier.state(), relation, &before.table, after, |_| Ok(true))?;
        }
        self.applier.have(event.schema, schemas)?;
        Ok(Some(Applied::Done))
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

fn must_be_read_anew(relation: &Relation, loaded: &Loaded, xid: u32) -> Result<Applied, Error> {
    if loaded.passed_over.contains(&xid) {
        return Ok(Applied::MissingRow);
    }
    let what = format!("{relation} was altered and must be read anew first: see Joiner::reloads()");
    Err(Error::Other(what.into()))
}

/// The number of the snapshot that brought a row, if one did.
fn mark(row: &[u8]) -> Result<Option<u64>, Damage> {
    for field in Row::new(row).fields() {
        let field = field?;
        if let (MARK, Wire::Varint(number)) = (field.number, field.value) {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

fn saw(snapshots: &[OwnedSnapshot], xid: u32, row: &[u8]) -> Result<bool, Damage> {
    let Some(number) = mark(row)? else { return Ok(false) };
    let snapshot = snapshots.get(number as usize);
    Ok(snapshot.ok_or(Damage::Malformed("row of an unknown snapshot"))?.sees(xid))
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::super::memory::MemoryState;
    use super::*;
    use crate::base::limits::Limits;
    use crate::model::batch::SchemaVersion;
    use crate::model::schema::fingerprint;
    use crate::pb;

    /// Rows that were read under snapshots, and a stream behind them.
    struct Test {
        joiner: Joiner<MemoryState>,
        schemas: SchemaCache,
        commit: u64,
    }

    impl Test {
        fn new() -> Self {
            let joiner = Joiner::new(Applier::new(MemoryState::default()));
            Test { joiner, schemas: SchemaCache::new(Limits::DEFAULT), commit: 0 }
        }

        /// public.NAME with int4 columns; the first one is the key, the third one is 8 in
        /// older rows.
        fn table(&mut self, name: &str, columns: u32) -> u64 {
            let column = |number| pb::Column {
                number,
                name: format!("c{number}"),
                r#type: pb::Type::Int32 as i32,
                key: number == 1,
                missing: if number == 3 { vec![24, 16] } else { Vec::new() },
                ..Default::default()
            };
            let (schema, name) = ("public".into(), name.into());
            let columns = (1..=columns).map(column).collect();
            let table = pb::Table { schema, name, columns, ..Default::default() }.encode_to_vec();
            let fingerprint = fingerprint(&table);
            let version = SchemaVersion { fingerprint, table: &table, ..Default::default() };
            self.schemas.add(&version).unwrap();
            fingerprint
        }

        /// A snapshot that sees transactions below `xmax`.
        fn read(&mut self, owner: &str, xmax: u64, schema: u64, ids: &[u8]) {
            let row = |id: &u8| change(pb::Op::Read, schema, *id);
            let table = self.schemas.get(schema).unwrap().bytes.to_vec();
            let version = pb::SchemaVersion { fingerprint: schema, table, ..Default::default() };
            let batch = pb::Batch {
                snapshot: Some(pb::Snapshot { xmin: xmax, xmax, ..Default::default() }),
                schemas: vec![version],
                events: ids.iter().map(row).collect(),
                ..Default::default()
            }
            .encode_to_vec();
            let batch = Batch::parse(&batch).unwrap();
            self.joiner.load(&batch, &self.schemas, (owner, true)).unwrap();
        }

        fn apply(&mut self, xid: u32, events: Vec<pb::ChangeEvent>) -> Vec<Applied> {
            self.commit += 100;
            self.joiner.begin(Some(Lsn(self.commit)));
            let mut applied = Vec::new();
            for (at, event) in (0..).zip(events) {
                let bytes = event.encode_to_vec();
                let event = Event::parse(&bytes, Lsn(at), Some(Lsn(self.commit))).unwrap();
                applied.push(self.joiner.apply(xid, &event, &self.schemas).unwrap());
            }
            applied
        }

        /// Keys, and the third column.
        fn rows(&mut self, name: &str) -> Option<Vec<(i32, i32)>> {
            let relation = Relation { schema: "public".into(), name: name.into() };
            let rows = self.joiner.applier().state().rows(&relation)?.values();
            let row = |row: &Vec<u8>| {
                let value = |number| {
                    let mut fields = Row::new(row).fields().flatten();
                    let field = fields.find(|field| field.number == number);
                    field.map_or(0, |field| field.value.varint().unwrap() as i32 / 2)
                };
                (value(1), value(3))
            };
            Some(rows.map(row).collect())
        }
    }

    fn change(op: pb::Op, schema: u64, id: u8) -> pb::ChangeEvent {
        let (op, key) = (op as i32, vec![8, id * 2]);
        pb::ChangeEvent { op, schema, key, ..Default::default() }
    }

    fn command(kind: pb::SchemaChangeKind, schema: u64, former: &str) -> pb::ChangeEvent {
        let (former_schema, former_name) = ("public".into(), former.into());
        let (kind, command_tag) = (kind as i32, "DDL".into());
        let change = pb::SchemaChange { kind, command_tag, former_schema, former_name };
        let schema_change = Some(change);
        pb::ChangeEvent { op: pb::Op::Schema as i32, schema, schema_change, ..Default::default() }
    }

    use pb::SchemaChangeKind::{Altered, Dropped, Entered, Left};

    /// Rows of two schemas stand beside each other until the stream has the command.
    #[test]
    fn altered_between_two_reads() {
        let mut t = Test::new();
        let (narrow, wide) = (t.table("t", 2), t.table("t", 3));
        t.read("1", 10, narrow, &[1, 2]);
        t.read("1", 20, wide, &[3, 4]);
        let ops = vec![
            change(pb::Op::Insert, narrow, 5),
            change(pb::Op::Delete, narrow, 4),
            command(Altered, wide, ""),
            change(pb::Op::Insert, wide, 6),
        ];
        use Applied::{Before, Done};
        assert_eq!(t.apply(12, ops), [Done, Before, Done, Done]);
        let wanted = [(1, 8), (2, 8), (3, 0), (4, 0), (5, 8), (6, 0)];
        assert_eq!(t.rows("t").unwrap(), wanted);
        assert!(t.joiner.reloads().is_empty());
        // as before, where no command is told
        let other = t.table("t", 4);
        assert_eq!(t.apply(30, vec![change(pb::Op::Insert, other, 7)]), [Applied::MissingRow]);
        assert_eq!(t.joiner.reloads().len(), 1);
    }

    #[test]
    fn names_that_are_exchanged() {
        for xmax in [10, 20] {
            let mut t = Test::new();
            let (a, b, x) = (t.table("a", 2), t.table("b", 2), t.table("x", 2));
            t.read("1", xmax, a, &[1]);
            t.read("2", xmax, b, &[2]);
            let swap = vec![
                change(pb::Op::Insert, a, 9),
                command(Altered, x, "a"),
                command(Altered, a, "b"),
                command(Altered, b, "x"),
                change(pb::Op::Insert, b, 3),
            ];
            t.apply(12, swap);
            // what the snapshots saw is there already
            let wanted = match xmax {
                10 => (Some(vec![(2, 0)]), Some(vec![(1, 0), (3, 0), (9, 0)])),
                _ => (Some(vec![(1, 0)]), Some(vec![(2, 0), (3, 0)])),
            };
            assert_eq!((t.rows("a"), t.rows("b"), t.rows("x")), (wanted.0, wanted.1, None));
            assert!(t.joiner.reloads().is_empty());
        }
    }

    /// What was read under the name of a table that had it before is read anew.
    #[test]
    fn a_name_of_another_one() {
        let mut t = Test::new();
        let a = t.table("a", 2);
        t.read("1", 10, a, &[1, 2]);
        t.read("2", 20, a, &[3]);
        assert_eq!(t.rows("a").unwrap(), [(3, 0)]);
        let reloads = t.joiner.reloads();
        assert!(reloads.len() == 1 && reloads[0].owner == "1" && reloads[0].xids.is_empty());
        t.joiner.forget_all("1").unwrap();
        assert!(t.joiner.reloads().is_empty());
        assert_eq!(t.rows("a").unwrap(), [(3, 0)]);
        // and the stream's rows of the former one go with it
        t.apply(12, vec![change(pb::Op::Insert, a, 7), command(Dropped, 0, "a")]);
        assert_eq!(t.rows("a").unwrap(), [(3, 0)]);
        t.apply(30, vec![command(Dropped, 0, "a")]);
        assert_eq!(t.rows("a"), None);
    }

    #[test]
    fn what_the_stream_does_not_say() {
        let mut t = Test::new();
        let a = t.table("a", 2);
        t.read("1", 10, a, &[1, 2]);
        t.joiner.read_until("1", Lsn(150));
        // a type, that all saw and that none did
        assert_eq!(t.apply(9, vec![command(Altered, a, "")]), [Applied::Before]);
        assert!(t.joiner.reloads().is_empty());
        t.joiner.read_until("1", Lsn(900));
        assert_eq!(t.apply(11, vec![command(Altered, a, "")]), [Applied::MissingRow]);
        assert_eq!(t.joiner.reloads()[0].xids, [11]);
        t.joiner.forget_all("1").unwrap();
        t.read("1", 12, a, &[1]);
        t.joiner.read_until("1", Lsn(250));
        // also behind the end of the load; so what comes back
        t.apply(20, vec![command(Left, 0, "a"), command(Entered, a, "")]);
        assert_eq!(t.joiner.reloads()[0].xids, [20]);
    }
}
