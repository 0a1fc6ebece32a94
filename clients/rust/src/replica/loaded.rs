//! What has been read of a relation, and what the stream has made of it since.

use std::collections::BTreeMap;

use crate::base::position::Lsn;
use crate::base::relation::Relation;
use crate::model::batch::OwnedSnapshot;

/// A table as it was read: under snapshots from one on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ReadTable {
    pub(super) relation: Relation,
    pub(super) fingerprint: u64,
    pub(super) first: usize,
    /// Behind the last one.
    pub(super) end: usize,
}

/// Of one relation.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// The OID of the table that was read, whatever it is called by now; of a partitioned
    /// one its own.
    pub(super) owner: String,
    /// The snapshots that were read under, and the schemas that their rows have now.
    pub(super) schemas: BTreeMap<usize, u64>,
    /// Whether rows have a key, and each the number of its snapshot.
    pub(super) keyed: bool,
    /// No snapshot sees what committed behind it.
    pub(super) end_lsn: Lsn,
    /// The stream is behind all that was read.
    over: bool,
    /// Since it must be read anew, if it must.
    pub(super) passed_over: Vec<u32>,
    /// The transaction that wrote all of its rows anew, if one did.
    rewritten: Option<u32>,
    /// The last transaction that was asked for, and whether all snapshots saw it.
    seen: Option<(u32, bool)>,
    /// The last transaction and schema that the rows were found to be of.
    fits: Option<(u32, u64)>,
}

impl Loaded {
    /// Nothing is read of a relation yet.
    pub(super) fn new(owner: &str, keyed: bool) -> Self {
        Loaded { owner: owner.to_owned(), keyed, ..Loaded::default() }
    }

    /// Whether there are rows of a schema.
    pub(super) fn has(&self, fingerprint: u64) -> bool {
        self.schemas.values().any(|schema| *schema == fingerprint)
    }

    /// Rows have been read, and the end is not known.
    pub(super) fn read(&mut self, snapshot: usize, fingerprint: u64) {
        self.schemas.insert(snapshot, fingerprint);
        self.end_lsn = Lsn(u64::MAX);
        (self.over, self.seen, self.fits) = (false, None, None);
    }

    /// Whether a transaction is behind all that was read, and nothing is to be read anew.
    pub(super) fn is_over(&mut self, commit_lsn: Lsn) -> bool {
        self.over |= commit_lsn > self.end_lsn;
        self.over && self.passed_over.is_empty()
    }

    /// Whether what a transaction did is in all that was read.
    pub(super) fn all_see(&mut self, snapshots: &[OwnedSnapshot], xid: u32) -> bool {
        match self.seen {
            _ if self.over => false,
            Some((known, seen)) if known == xid => seen,
            _ => {
                let seen = self.schemas.keys().all(|&number| snapshots[number].sees(xid));
                self.seen = Some((xid, seen));
                seen
            }
        }
    }

    /// The schemas of rows that a transaction changes.
    pub(super) fn unseen<'a>(
        &'a self,
        snapshots: &'a [OwnedSnapshot],
        xid: u32,
    ) -> impl Iterator<Item = u64> + 'a {
        let unseen = move |number: &&usize| !snapshots[**number].sees(xid);
        self.schemas.keys().filter(unseen).map(|number| self.schemas[number])
    }

    /// These rows have another schema from here on.
    pub(super) fn alter(&mut self, snapshots: &[OwnedSnapshot], xid: u32, fingerprint: u64) {
        for (&number, schema) in &mut self.schemas {
            if !snapshots[number].sees(xid) {
                *schema = fingerprint;
            }
        }
        self.fits = None;
    }

    /// The transaction writes all rows anew.
    pub(super) fn rewrite(&mut self, snapshots: &[OwnedSnapshot], xid: u32, fingerprint: u64) {
        self.rewritten = Some(xid);
        self.alter(snapshots, xid, fingerprint);
    }

    /// Whether a transaction has written all rows anew.
    pub(super) fn is_rewritten(&self, xid: u32) -> bool {
        self.rewritten == Some(xid)
    }

    /// Whether it has, since this was asked last.
    pub(super) fn take_rewritten(&mut self, xid: u32) -> bool {
        self.rewritten.take() == Some(xid)
    }

    /// Whether the rows that a transaction changes have the schema of its event;
    /// `Some(true)` where that was asked before.
    pub(super) fn fits(
        &mut self,
        snapshots: &[OwnedSnapshot],
        xid: u32,
        fingerprint: u64,
    ) -> Option<bool> {
        if self.fits == Some((xid, fingerprint)) {
            return Some(true);
        }
        let fits = self.unseen(snapshots, xid).all(|schema| schema == fingerprint);
        self.fits = fits.then_some((xid, fingerprint));
        fits.then_some(false)
    }
}
