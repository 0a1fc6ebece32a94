//! Rows that were read from elsewhere, and what became of them.

use std::collections::{HashMap, HashSet};

use super::state::{ScanFn, State};
use crate::base::error::Error;
use crate::base::relation::Relation;

/// Keys and rows.
pub(super) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A state of which a part is held in memory. What is not held must not be asked for.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) parts: HashMap<Relation, Part>,
}

/// What is held of a relation.
#[derive(Debug, Default)]
pub(super) struct Part {
    rows: HashMap<Vec<u8>, Slot>,
    /// What is not in `rows` does not exist.
    whole: bool,
    /// Where the rows that were there before are; `None`: they are gone.
    pub(super) origin: Option<Relation>,
}

impl Part {
    fn of(relation: &Relation) -> Self {
        Part { origin: Some(relation.clone()), ..Part::default() }
    }

    /// All that was there before is gone.
    fn emptied() -> Self {
        Part { whole: true, ..Part::default() }
    }
}

#[derive(Debug)]
struct Slot {
    /// `None`: there is no such row.
    row: Option<Vec<u8>>,
    changed: bool,
}

impl Held {
    fn part(&mut self, relation: &Relation) -> &mut Part {
        if !self.parts.contains_key(relation) {
            self.parts.insert(relation.clone(), Part::of(relation));
        }
        self.parts.get_mut(relation).expect("it was just inserted")
    }

    /// Takes up what was read: of `keys` what there is, or with `None` of all.
    pub(super) fn fill(
        &mut self,
        relation: &Relation,
        keys: Option<impl IntoIterator<Item = Vec<u8>>>,
        rows: Pairs,
    ) {
        let part = self.part(relation);
        match keys {
            None => part.whole = true,
            Some(keys) => {
                let absent = keys.into_iter().map(|key| (key, Slot { row: None, changed: false }));
                part.rows.extend(absent);
            }
        }
        let rows = rows.into_iter();
        part.rows.extend(rows.map(|(key, row)| (key, Slot { row: Some(row), changed: false })));
    }
}

/// The rows that are to be written, and the keys of those that are to go.
#[derive(Debug)]
pub(super) struct Changes<'a> {
    pub(super) written: Vec<(&'a [u8], &'a [u8])>,
    pub(super) gone: Vec<&'a [u8]>,
}

/// What becomes of the rows that are stored under names.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Moves {
    /// These go.
    pub(super) gone: Vec<Relation>,
    /// From and to; what one comes to another may have to leave first.
    pub(super) moved: Vec<(Relation, Relation)>,
}

impl Held {
    pub(super) fn moves(&self) -> Moves {
        let mut moves = Moves::default();
        let origins: HashSet<_> = self.parts.values().filter_map(|p| p.origin.as_ref()).collect();
        let names = self.parts.keys().filter(|name| !origins.contains(name));
        moves.gone.extend(names.cloned());
        for (name, part) in &self.parts {
            if let Some(origin) = part.origin.as_ref().filter(|origin| *origin != name) {
                moves.moved.push((origin.clone(), name.clone()));
            }
        }
        moves.gone.sort();
        moves.moved.sort();
        moves
    }
}

impl Part {
    pub(super) fn changes(&self) -> Changes<'_> {
        let (mut written, mut gone) = (Vec::new(), Vec::new());
        for (key, slot) in self.rows.iter().filter(|(_, slot)| slot.changed) {
            match &slot.row {
                Some(row) => written.push((key.as_slice(), row.as_slice())),
                None => gone.push(key.as_slice()),
            }
        }
        Changes { written, gone }
    }
}

fn not_held<T>() -> Result<T, Error> {
    Err(Error::Protocol("a row is needed that was not read".into()))
}

impl State for Held {
    fn get(&mut self, relation: &Relation, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let part = self.part(relation);
        match part.rows.get(key) {
            Some(slot) => Ok(slot.row.clone()),
            None if part.whole => Ok(None),
            None => not_held(),
        }
    }

    fn put(&mut self, relation: &Relation, key: &[u8], row: &[u8]) -> Result<(), Error> {
        let slot = Slot { row: Some(row.to_vec()), changed: true };
        self.part(relation).rows.insert(key.to_vec(), slot);
        Ok(())
    }

    fn delete(&mut self, relation: &Relation, key: &[u8]) -> Result<(), Error> {
        self.part(relation).rows.insert(key.to_vec(), Slot { row: None, changed: true });
        Ok(())
    }

    fn truncate(&mut self, relation: &Relation) -> Result<(), Error> {
        self.parts.insert(relation.clone(), Part::emptied());
        Ok(())
    }

    fn rename(&mut self, from: &Relation, to: &Relation) -> Result<(), Error> {
        let part = self.parts.insert(from.clone(), Part::emptied());
        self.parts.insert(to.clone(), part.unwrap_or_else(|| Part::of(from)));
        Ok(())
    }

    fn scan(&mut self, relation: &Relation, f: &mut ScanFn<'_>) -> Result<(), Error> {
        let part = self.part(relation);
        if !part.whole {
            return not_held();
        }
        let mut rows = part.rows.iter().filter_map(|(key, slot)| Some((key, slot.row.as_ref()?)));
        rows.try_for_each(|(key, row)| f(key, row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_read_is_an_error() {
        let t = Relation { schema: "public".into(), name: "t".into() };
        let mut held = Held::default();
        assert!(held.get(&t, b"a").is_err());
        held.fill(&t, Some([b"a".to_vec(), b"b".to_vec()]), vec![(b"a".to_vec(), b"1".to_vec())]);
        assert_eq!(held.get(&t, b"a").unwrap().unwrap(), b"1");
        assert_eq!(held.get(&t, b"b").unwrap(), None);
        assert!(held.get(&t, b"c").is_err() && held.scan(&t, &mut |_, _| Ok(())).is_err());
        held.put(&t, b"c", b"3").unwrap();
        held.delete(&t, b"a").unwrap();
        let changes = held.parts[&t].changes();
        assert_eq!(
            (changes.written, changes.gone),
            (vec![(&b"c"[..], &b"3"[..])], vec![&b"a"[..]])
        );
        held.truncate(&t).unwrap();
        assert_eq!(held.get(&t, b"z").unwrap(), None);
        assert!(held.parts[&t].origin.is_none() && held.parts[&t].changes().written.is_empty());
    }

    #[test]
    fn names_are_exchanged() {
        let name = |name: &str| Relation { schema: "public".into(), name: name.into() };
        let (a, b, c, d) = (name("a"), name("b"), name("c"), name("d"));
        let mut held = Held::default();
        held.fill(&a, Some([b"k".to_vec()]), vec![(b"k".to_vec(), b"1".to_vec())]);
        for (from, to) in [(&a, &c), (&b, &a), (&c, &b)] {
            held.rename(from, to).unwrap();
        }
        held.truncate(&d).unwrap();
        assert_eq!(held.get(&b, b"k").unwrap().unwrap(), b"1");
        assert!(held.get(&a, b"k").is_err(), "of b, and was not read");
        let moved = vec![(a.clone(), b.clone()), (b.clone(), a.clone())];
        assert_eq!(held.moves(), Moves { gone: vec![c, d], moved });
        held.remove(&a).unwrap();
        assert_eq!(held.moves().moved, [(a.clone(), b)]);
        assert_eq!(held.get(&a, b"k").unwrap(), None);
    }
}
