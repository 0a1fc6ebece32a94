//! What is loaded of a place's tables. Rows that are read remember their snapshot: what a
//! transaction did that it saw does nothing to them.

use std::collections::{BTreeMap, HashMap};

use crate::base::damage::Damage;
use crate::base::relation::Relation;
use crate::model::batch::OwnedSnapshot;
use crate::model::row::Row;
use crate::replica::rows::MARK;
use crate::wire::field::{put_varint, Wire};

/// The loads of one place.
#[derive(Debug, Default)]
pub(super) struct Loads {
    /// Under which rows were read, and which no transaction has passed.
    pub(super) snapshots: HashMap<Relation, BTreeMap<u32, OwnedSnapshot>>,
    /// Between the begin and the end of a load: its number, and the mark of rows that change
    /// meanwhile, which is the number of no snapshot.
    pub(super) begun: HashMap<Relation, (u64, u32)>,
    /// Tables without a key are read as a whole, under the last of these.
    pub(super) whole: HashMap<Relation, OwnedSnapshot>,
    pub(super) next: u32,
    last: Option<(Relation, u32)>,
}

impl Loads {
    /// The number of a snapshot.
    pub(super) fn number(&mut self, relation: &Relation, snapshot: &[u8]) -> u32 {
        let known = self.snapshots.entry(relation.clone()).or_default();
        if let Some((last, number)) = &self.last {
            let is_it = |number: &u32| known.get(number).is_some_and(|s| s.bytes() == snapshot);
            if last == relation && is_it(number) {
                return *number;
            }
        }
        // what was read before this load began is not of it
        let first = self.begun.get(relation).map_or(0, |(_, mark)| *mark);
        let found = known.range(first..).find(|(_, known)| known.bytes() == snapshot);
        let number = match found.map(|(number, _)| *number) {
            Some(number) => number,
            None => {
                if let Ok(snapshot) = OwnedSnapshot::new(snapshot) {
                    known.insert(self.next, snapshot);
                }
                self.next += 1;
                self.next - 1
            }
        };
        self.last = Some((relation.clone(), number));
        number
    }

    /// A table without a key is read. Whether what is held of it is of another snapshot, or of
    /// another load.
    pub(super) fn begin_whole(&mut self, relation: &Relation, snapshot: &[u8]) -> bool {
        let next = self.next;
        let number = self.number(relation, snapshot);
        let again = self.begun.contains_key(relation) && number == next;
        if !again && self.whole.get(relation).is_some_and(|known| known.bytes() == snapshot) {
            return false;
        }
        if let Some(known) = self.snapshots.get_mut(relation) {
            known.retain(|other, _| *other == number);
        }
        if let Ok(snapshot) = OwnedSnapshot::new(snapshot) {
            self.whole.insert(relation.clone(), snapshot);
        }
        true
    }

    /// Forgets the snapshots that a transaction is behind: none that follows is seen by them.
    pub(super) fn pass(&mut self, xid: u32) {
        if self.snapshots.is_empty() {
            return;
        }
        for known in self.snapshots.values_mut() {
            known.retain(|_, snapshot| !snapshot.precedes(xid));
        }
        self.snapshots.retain(|_, known| !known.is_empty());
    }

    /// A load begins, perhaps anew.
    pub(super) fn begin(&mut self, relation: &Relation, load: u64) {
        self.begun.insert(relation.clone(), (load, self.next));
        self.next += 1;
        self.last = None;
    }

    /// A load ends: the mark of its rows, if its beginning was met.
    pub(super) fn end(&mut self, relation: &Relation, load: u64) -> Option<u32> {
        let (begun, mark) = *self.begun.get(relation)?;
        if begun != load {
            return None;
        }
        self.begun.remove(relation);
        Some(mark)
    }

    /// Marks a row that changes while its table is loaded.
    pub(super) fn tag(&self, relation: &Relation, row: &mut Vec<u8>) {
        if let Some((_, mark)) = self.begun.get(relation) {
            put_mark(row, *mark);
        }
    }

    /// Whether rows of a relation may be missing, or be newer than what comes.
    pub(super) fn is_loading(&self, relation: &Relation) -> bool {
        self.begun.contains_key(relation) || self.snapshots.contains_key(relation)
    }

    /// Whether any row can have been read when a transaction had committed.
    pub(super) fn any_saw(&self, relation: &Relation, xid: u32) -> bool {
        let known = self.snapshots.get(relation);
        known.is_some_and(|known| known.values().any(|snapshot| snapshot.sees(xid)))
    }

    /// The same of a table without a key: of all its rows.
    pub(super) fn all_saw(&self, relation: &Relation, xid: u32) -> bool {
        self.whole.contains_key(relation) && self.any_saw(relation, xid)
    }

    /// The same of one row.
    pub(super) fn saw(&self, relation: &Relation, row: &[u8], xid: u32) -> Result<bool, Damage> {
        let Some(known) = self.snapshots.get(relation) else { return Ok(false) };
        let snapshot = mark_of(row)?.and_then(|number| known.get(&number));
        Ok(snapshot.is_some_and(|snapshot| snapshot.sees(xid)))
    }

    /// Nothing is held of a relation any more.
    pub(super) fn remove(&mut self, relation: &Relation) {
        self.snapshots.remove(relation);
        self.begun.remove(relation);
        self.whole.remove(relation);
    }

    /// A relation has another name, which nothing else has.
    pub(super) fn rename(&mut self, from: &Relation, to: &Relation) {
        fn moved<T>(map: &mut HashMap<Relation, T>, from: &Relation, to: &Relation) {
            if let Some(value) = map.remove(from) {
                map.insert(to.clone(), value);
            }
        }
        moved(&mut self.snapshots, from, to);
        moved(&mut self.begun, from, to);
        moved(&mut self.whole, from, to);
    }
}

/// Marks a row with the number of its snapshot.
pub(super) fn put_mark(row: &mut Vec<u8>, number: u32) {
    put_varint(row, u64::from(MARK) << 3);
    put_varint(row, number.into());
}

/// The mark of a row, if it has one.
pub(super) fn mark_of(row: &[u8]) -> Result<Option<u32>, Damage> {
    for field in Row::new(row).fields() {
        let field = field?;
        if let (MARK, Wire::Varint(number)) = (field.number, field.value) {
            return Ok(u32::try_from(number).ok());
        }
    }
    Ok(None)
}
