//! Rows whose keys change, from one partition to another.
//!
//! The change is told under the old key and under the new one: whichever message comes first
//! leaves something for the other. The one under the old key leaves the row. The one under the
//! new key, if it comes first, asks for it and leaves what it knows itself, which is kept apart
//! until the row is whole.

use prost::Message as _;

use super::applier::{joined, own, Applier, Change};
use super::error::Error;
use super::notes::{Moving, RowAt};
use crate::base::damage::{malformed, Damage};
use crate::base::limits::Limits;
use crate::base::relation::Relation;
use crate::model::row::{overlay, Row};
use crate::model::table::{Table, REDACTED_BASE};
use crate::replica::migrate;
use crate::replica::rows;
use crate::replica::state::State;

const MOVING: &str = "@moving";

/// Keys, and entries.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// The row that a move begins with.
#[derive(Default)]
struct Base {
    row: Option<Vec<u8>>,
    /// The entry of one that is not whole.
    waits: Vec<u8>,
}

fn partials(place: &str, relation: &Relation) -> Relation {
    own(&format!("@partial {relation}@{place}"))
}

impl Moving {
    /// Brings it to another schema.
    fn convert(&mut self, to: &Table, bytes: &[u8]) -> Result<(), Error> {
        if self.table.is_empty() || self.table == bytes {
            self.table = bytes.to_vec();
            return Ok(());
        }
        let from = Table::parse(&self.table, &Limits::DEFAULT)?;
        if let Some(row) = &mut self.row {
            // of a row that asks, what is missing comes with the other
            let missing = if self.left { migrate::missing(&from, to) } else { Vec::new() };
            *row = migrate::migrated(row, &from, to, &missing)?.0;
        }
        self.nulls.retain(|number| to.column(*number).is_some());
        self.table = bytes.to_vec();
        Ok(())
    }

    /// Puts what is known later upon it.
    fn update(&mut self, delta: &[u8], nulls: &[u32]) -> Result<(), Error> {
        let mut row = Vec::new();
        let base = self.row.take().unwrap_or_default();
        let gone = nulls.iter().copied().map(Ok);
        overlay(&mut row, Row::new(&base), Row::new(delta), gone)?;
        let mut set = Vec::new();
        for field in Row::new(delta).fields() {
            set.push(field?.number);
        }
        let is_set = |number: u32| set.contains(&number) || set.contains(&(number + REDACTED_BASE));
        self.nulls.retain(|number| !is_set(*number) && !nulls.contains(number));
        self.nulls.extend(nulls);
        self.nulls.sort_unstable();
        self.row = Some(rows::canonical(Row::new(&row))?.0);
        Ok(())
    }
}

impl<S: State> Applier<S> {
    fn entry(&mut self, name: &[u8]) -> Result<Option<Moving>, Error> {
        let Some(bytes) = self.state.get().get(&own(MOVING), name)? else { return Ok(None) };
        let damage = |_| Damage::Malformed("row that moves, in the state");
        Ok(Some(Moving::decode(&bytes[..]).map_err(damage)?))
    }

    fn set_entry(&mut self, name: &[u8], entry: &Moving) -> Result<(), Error> {
        Ok(self.state.get().put(&own(MOVING), name, &entry.encode_to_vec())?)
    }

    fn drop_entry(&mut self, name: &[u8]) -> Result<(), Error> {
        Ok(self.state.get().delete(&own(MOVING), name)?)
    }

    /// Changes an entry that there is.
    fn change_entry(
        &mut self,
        name: &[u8],
        f: impl FnOnce(&mut Moving) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(mut entry) = self.entry(name)? else {
            return Ok(malformed("row that moves is missing in the state")?);
        };
        f(&mut entry)?;
        self.set_entry(name, &entry)
    }

    /// Nobody waits for an entry any more. The message that comes for it finds that.
    fn unwanted(&mut self, name: &[u8]) -> Result<(), Error> {
        if name.is_empty() {
            return Ok(());
        }
        self.change_entry(name, |entry| {
            *entry = Moving::default();
            Ok(())
        })
    }

    /// How many rows are on their way from one partition to another: 0 when all of them have been
    /// read to the same end.
    ///
    /// # Errors
    /// The state's.
    pub fn waiting(&mut self) -> Result<usize, Error> {
        let mut n = 0;
        self.state.get().scan(&own(MOVING), &mut |_, bytes| {
            let damage = |_| Damage::Malformed("row that moves, in the state");
            let entry = Moving::decode(bytes).map_err(damage)?;
            let asks = entry.at.is_some() || !entry.to.is_empty();
            n += usize::from((entry.left && entry.waits.is_empty()) || asks);
            Ok(())
        })?;
        Ok(n)
    }

    /// The entry of a row that is not whole; empty if there is none.
    fn partial(&mut self, place: &str, relation: &Relation, key: &[u8]) -> Result<Vec<u8>, Error> {
        if self.place(place).partials == 0 {
            return Ok(Vec::new());
        }
        let found = self.state.get().get(&partials(place, relation), key)?;
        Ok(found.unwrap_or_default())
    }

    /// Notes that; empty: there is no such row any more.
    fn set_partial(
        &mut self,
        place: &str,
        relation: &Relation,
        key: &[u8],
        name: &[u8],
    ) -> Result<(), Error> {
        let had = !self.partial(place, relation, key)?.is_empty();
        let kept = partials(place, relation);
        match name {
            [] => self.state.get().delete(&kept, key)?,
            name => self.state.get().put(&kept, key, name)?,
        }
        let partials = &mut self.place(place).partials;
        *partials = *partials + u64::from(!name.is_empty()) - u64::from(had);
        Ok(())
    }

    pub(super) fn drop_partial(
        &mut self,
        place: &str,
        relation: &Relation,
        key: &[u8],
    ) -> Result<(), Error> {
        let name = self.partial(place, relation, key)?;
        if name.is_empty() {
            return Ok(());
        }
        self.unwanted(&name)?;
        self.set_partial(place, relation, key, &[])
    }

    /// Keys and entries of those of a relation.
    pub(super) fn partials_of(&mut self, place: &str, relation: &Relation) -> Result<Pairs, Error> {
        let mut found = Vec::new();
        if self.place(place).partials > 0 {
            self.state.get().scan(&partials(place, relation), &mut |key, name| {
                found.push((key.to_vec(), name.to_vec()));
                Ok(())
            })?;
        }
        Ok(found)
    }

    pub(super) fn drop_partials(&mut self, place: &str, relation: &Relation) -> Result<(), Error> {
        for (key, _) in self.partials_of(place, relation)? {
            self.drop_partial(place, relation, &key)?;
        }
        Ok(())
    }

    pub(super) fn rename_partials(
        &mut self,
        place: &str,
        from: &Relation,
        to: &Relation,
    ) -> Result<(), Error> {
        for (key, name) in self.partials_of(place, from)? {
            self.change_entry(&name, |entry| {
                if let Some(at) = &mut entry.at {
                    (at.schema, at.name) = (to.schema.clone(), to.name.clone());
                }
                Ok(())
            })?;
            self.set_partial(place, from, &key, &[])?;
            self.set_partial(place, to, &key, &name)?;
        }
        Ok(())
    }

    /// Updates one, if there is.
    pub(super) fn update_partial(&mut self, change: &Change<'_>) -> Result<bool, Error> {
        let key = change.event.key;
        let name = self.partial(change.place(), &change.relation, key.bytes())?;
        if name.is_empty() {
            return Ok(false);
        }
        self.change_entry(&name, |entry| change.lay(entry, key))?;
        Ok(true)
    }

    /// Takes the row with the old key out of the place.
    fn take(&mut self, change: &Change<'_>) -> Result<Base, Error> {
        let (relation, key) = (&change.relation, change.event.key.bytes());
        let state = self.place(change.place()).core.state();
        if let Some(row) = state.get(relation, key)? {
            state.delete(relation, key)?;
            let (row, _) = rows::canonical(Row::new(&row))?;
            return Ok(Base { row: Some(row), ..Base::default() });
        }
        let waits = self.partial(change.place(), relation, key)?;
        if !waits.is_empty() {
            self.set_partial(change.place(), relation, key, &[])?;
        }
        Ok(Base { waits, ..Base::default() })
    }

    /// The message under the old key.
    pub(super) fn move_out(&mut self, change: &Change<'_>) -> Result<(), Error> {
        let base = match self.saw(change, change.event.key)? {
            true => Base::default(),
            false => self.take(change)?,
        };
        if self.is_whole(change)? {
            return self.unwanted(&base.waits);
        }
        let name = change.entry();
        match self.entry(&name)? {
            Some(asks) => {
                self.drop_entry(&name)?;
                self.give(change, &asks, base)
            }
            None => self.leave(change, &name, base),
        }
    }

    /// Leaves the row for the message under the new key.
    fn leave(&mut self, change: &Change<'_>, name: &[u8], base: Base) -> Result<(), Error> {
        let mut left = Moving {
            left: true,
            waits: base.waits.clone(),
            row: base.row,
            table: change.table_bytes(),
            ..Moving::default()
        };
        if left.row.is_some() {
            change.lay(&mut left, change.event.new_key)?;
        } else if !base.waits.is_empty() {
            self.change_entry(&base.waits, |entry| {
                (entry.at, entry.to) = (None, name.to_vec());
                change.lay(entry, change.event.new_key)
            })?;
        }
        self.set_entry(name, &left)
    }

    /// Gives the row to the one that has asked for it.
    fn give(&mut self, change: &Change<'_>, asks: &Moving, base: Base) -> Result<(), Error> {
        if asks.at.is_none() && asks.to.is_empty() {
            return self.unwanted(&base.waits);
        }
        let asked = Table::parse(&asks.table, &Limits::DEFAULT)?;
        let over = |entry: &mut Moving| {
            entry.convert(&asked, &asks.table)?;
            entry.update(asks.row.as_deref().unwrap_or_default(), &asks.nulls)
        };
        if let Some(row) = base.row {
            let table = change.table_bytes();
            let mut whole = Moving { left: true, row: Some(row), table, ..Moving::default() };
            over(&mut whole)?;
            return self.settle(asks, &[], Some(whole));
        }
        if base.waits.is_empty() {
            self.settle(asks, &[], None)?;
            return self.missing(change);
        }
        self.change_entry(&base.waits, |entry| {
            (entry.at, entry.to) = (asks.at.clone(), asks.to.clone());
            over(entry)
        })?;
        self.settle(asks, &base.waits, None)
    }

    /// Tells the one that has asked: here is the whole row, or who has it now, or neither.
    fn settle(&mut self, asks: &Moving, waits: &[u8], whole: Option<Moving>) -> Result<(), Error> {
        let Some(at) = &asks.at else {
            return self.change_entry(&asks.to, |entry| {
                entry.waits = waits.to_vec();
                if let Some(whole) = whole {
                    (entry.row, entry.table) = (whole.row, whole.table);
                }
                Ok(())
            });
        };
        let relation = at.relation();
        self.open(&at.place)?;
        self.set_partial(&at.place, &relation, &at.key, waits)?;
        let Some(mut whole) = whole else { return Ok(()) };
        let core = &mut self.place(&at.place).core;
        let Some(schema) = core.tables.schema_of(&relation).cloned() else {
            return Ok(malformed("the state lacks a schema")?);
        };
        whole.convert(&schema.table, &schema.bytes)?;
        let row = whole.row.unwrap_or_default();
        let key = rows::key_of(&schema.table, &row)?;
        self.keep(&at.place, &relation, &key, &row)
    }

    /// The message under the new key.
    pub(super) fn move_in(&mut self, change: &Change<'_>) -> Result<(), Error> {
        let (event, relation) = (&change.event, &change.relation);
        let saw = self.saw(change, event.new_key)?;
        if self.is_whole(change)? {
            // one that was seen is there already, as it became later
            return match saw {
                true => Ok(()),
                false => self.lay(change, event.new_key, Row::new(&joined(event.key, event.old))),
            };
        }
        if !saw {
            self.drop_partial(change.place(), relation, event.new_key.bytes())?;
        }
        let name = change.entry();
        let Some(mut left) = self.entry(&name)? else { return self.ask(change, &name, saw) };
        self.drop_entry(&name)?;
        if saw {
            return self.unwanted(&left.waits);
        }
        if !left.waits.is_empty() {
            let at = change.at();
            self.change_entry(&left.waits, |entry| {
                (entry.at, entry.to) = (Some(at), Vec::new());
                Ok(())
            })?;
            let key = event.new_key.bytes();
            return self.set_partial(change.place(), relation, key, &left.waits);
        }
        if left.row.is_none() {
            return self.missing(change);
        }
        left.convert(change.table, &change.table_bytes())?;
        let row = left.row.unwrap_or_default();
        self.keep(change.place(), relation, event.new_key.bytes(), &row)
    }

    /// Asks for the row before the change.
    fn ask(&mut self, change: &Change<'_>, name: &[u8], saw: bool) -> Result<(), Error> {
        let mut asks = Moving::default();
        if !saw {
            asks.at = Some(change.at());
            change.lay(&mut asks, change.event.new_key)?;
            let key = change.event.new_key.bytes();
            self.set_partial(change.place(), &change.relation, key, name)?;
        }
        self.set_entry(name, &asks)
    }
}

impl Change<'_> {
    /// The name under which both messages find what the other has left.
    fn entry(&self) -> Vec<u8> {
        format!("{} {}", self.event.position, self.relation).into_bytes()
    }

    fn at(&self) -> RowAt {
        let Relation { schema, name } = self.relation.clone();
        RowAt {
            place: self.place().to_owned(),
            schema,
            name,
            key: self.event.new_key.bytes().to_vec(),
        }
    }

    fn table_bytes(&self) -> Vec<u8> {
        self.message.schema.as_ref().map_or_else(Vec::new, |schema| schema.bytes.to_vec())
    }

    /// Puts what the UPDATE says of the row with a key upon what is known of it.
    fn lay(&self, entry: &mut Moving, key: Row<'_>) -> Result<(), Error> {
        entry.convert(self.table, &self.table_bytes())?;
        let nulls = self.event.nulls().collect::<Result<Vec<_>, _>>()?;
        entry.update(&joined(key, self.event.new), &nulls)
    }
}
