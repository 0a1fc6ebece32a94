//! Puts transactions together that come in parts, before it is known whether
//! they commit.

use super::config::AssemblerConfig;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use ring::aead::LessSafeKey;

use super::spill;
use super::txn::{Kept, Txn};
use crate::base::damage::{malformed, Damage};
use crate::base::error::Error;
use crate::base::position::Lsn;
use crate::model::batch::{Batch, Outcome, Transaction};
use crate::model::schema::SchemaCache;
use crate::wire::field::Fields;

/// Keeps the events of transactions until their outcome is known.
///
/// Made for the plugin's options `streaming` and `two_phase`; ordinary
/// transactions in several parts are put together as well. When a connection
/// ends call [`Assembler::disconnected`].
#[derive(Debug)]
pub struct Assembler {
    open: HashMap<u32, Kept>,
    prepared: HashMap<String, Txn>,
    memory: usize,
    limit: usize,
    directory: PathBuf,
    key: Option<LessSafeKey>,
    /// Batches have been passed over: parts may be missing.
    tolerant: bool,
}

impl Default for Assembler {
    fn default() -> Self {
        let AssemblerConfig { memory_bytes, directory, .. } = AssemblerConfig::default();
        Assembler::new(memory_bytes, directory)
    }
}

/// How a batch's events are kept.
type Add<'f> = &'f dyn Fn(&mut Kept, &Batch<'_>) -> Result<(), Damage>;

impl Assembler {
    /// Keeps up to `limit` bytes in memory, and the rest in files (mode 0600)
    /// in `directory`, which have no name once they are open.
    pub fn new(limit: usize, directory: impl Into<PathBuf>) -> Self {
        Assembler {
            open: HashMap::new(),
            prepared: HashMap::new(),
            memory: 0,
            limit,
            directory: directory.into(),
            key: None,
            tolerant: false,
        }
    }

    pub(super) fn of(config: &AssemblerConfig) -> Result<Self, Error> {
        let assembler = Assembler::new(config.memory_bytes, &config.directory);
        match &config.key {
            Some(key) => assembler.encrypt(key),
            None => Ok(assembler),
        }
    }

    /// Encrypts the files with AES-256-GCM.
    ///
    /// # Errors
    /// None that is expected.
    pub fn encrypt(mut self, key: &[u8; 32]) -> Result<Self, Error> {
        self.key = Some(spill::key(key)?);
        Ok(self)
    }

    /// Takes a batch; the transaction, if its outcome is there now.
    ///
    /// A message outside of transactions comes out alone, with
    /// [`Outcome::Committed`]. After [`Outcome::Prepared`] the events are kept
    /// for [`Outcome::Committed`], which has them again: acknowledge the
    /// prepared transaction only when you keep them durably yourself, since the
    /// server will not send them again.
    ///
    /// # Errors
    /// Damage: then what had come of the transaction is forgotten, and further parts of
    /// it are refused. A file that cannot be written: then the assembler must not be used
    /// again.
    pub fn push(&mut self, batch: &Batch<'_>) -> Result<Option<Txn>, Error> {
        self.take(batch, &Kept::add)
    }

    /// The same, of a stream, which looks at the events later. `tolerant`: batches of this
    /// connection were passed over.
    pub(super) fn push_unseen(
        &mut self,
        batch: &Batch<'_>,
        schemas: &Arc<SchemaCache>,
        tolerant: bool,
    ) -> Result<Option<Txn>, Error> {
        self.tolerant = tolerant;
        self.take(batch, &|kept, batch| kept.add_unseen(batch, schemas))
    }

    fn take(&mut self, batch: &Batch<'_>, add: Add<'_>) -> Result<Option<Txn>, Error> {
        let Some(t) = &batch.transaction else {
            let mut kept = Kept::default();
            add(&mut kept, batch)?;
            return Ok(Some(self.txn(batch, Outcome::Committed, kept)));
        };
        let ends = matches!(batch.outcome, Outcome::Committed | Outcome::RolledBack);
        if ends && !t.gid.is_empty() && batch.event_count == 0 && batch.event_len() == 0 {
            return Ok(Some(self.end_of_prepared(batch, t)));
        }
        self.add(batch, t.xid, add)?;
        if batch.outcome == Outcome::Open {
            self.spill()?;
            return Ok(None);
        }
        let kept = self.open.remove(&t.xid).unwrap_or_default();
        self.memory -= kept.buffer.len();
        if kept.count != batch.event_count && !kept.gap && !self.tolerant {
            return Ok(malformed("transaction has another number of events than it should")?);
        }
        match batch.outcome {
            Outcome::Unknown(_) => Err(Damage::Unsupported("the outcome of a transaction").into()),
            Outcome::RolledBack => Ok(Some(self.txn(batch, Outcome::RolledBack, Kept::default()))),
            outcome => Ok(Some(self.txn(batch, outcome, kept))),
        }
    }

    /// A part.
    fn add(&mut self, batch: &Batch<'_>, xid: u32, add: Add<'_>) -> Result<(), Damage> {
        if batch.part == 0 {
            self.forget(xid);
        }
        let gap = self.open.get(&xid).map_or(0, |kept| kept.next_part) != batch.part;
        if gap && !self.tolerant {
            return malformed("gap between the parts of a transaction");
        }
        let kept = self.open.entry(xid).or_default();
        kept.gap |= gap;
        let before = kept.buffer.len();
        let added = add(kept, batch);
        self.memory += kept.buffer.len() - before;
        if added.is_err() {
            self.forget(xid);
        }
        added
    }

    fn end_of_prepared(&mut self, batch: &Batch<'_>, t: &Transaction<'_>) -> Txn {
        let Some(before) = self.prepared.remove(t.gid) else {
            let txn = self.txn(batch, batch.outcome, Kept::default());
            return Txn { is_known: false, ..txn };
        };
        self.memory -= before.kept.buffer.len();
        let kept = match batch.outcome {
            Outcome::Committed => before.kept,
            _ => Kept::default(),
        };
        let mut txn = self.txn(batch, batch.outcome, kept);
        txn.ids = before.ids;
        if txn.first_lsn == Lsn::ZERO {
            txn.first_lsn = before.first_lsn;
        }
        if txn.prepare_lsn == Lsn::ZERO {
            txn.prepare_lsn = before.prepare_lsn;
        }
        if txn.metadata.is_empty() {
            txn.metadata = before.metadata;
        }
        txn
    }

    fn txn(&self, batch: &Batch<'_>, outcome: Outcome, kept: Kept) -> Txn {
        let t = batch.transaction.as_ref();
        Txn {
            outcome,
            xid: t.map_or(0, |t| t.xid),
            first_lsn: t.map_or(Lsn::ZERO, |t| t.first_lsn),
            prepare_lsn: t.map_or(Lsn::ZERO, |t| t.prepare_lsn),
            unknown: unknown(batch),
            commit_lsn: t.map(|t| t.commit_lsn),
            commit_time: t.map_or(0, |t| t.commit_time),
            end_lsn: batch.end_lsn,
            origin: t.map_or("", |t| t.origin).to_owned(),
            gid: t.map_or("", |t| t.gid).to_owned(),
            metadata: t
                .into_iter()
                .flat_map(|t| t.metadata())
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            is_known: true,
            kept,
            key: self.key.clone(),
            from: None,
            ids: Vec::new(),
        }
    }

    /// Keeps what a prepared transaction brought until it is committed or
    /// rolled back. To be called with what [`Assembler::push`] returned, when
    /// its events have been looked at, or without looking at them.
    pub fn keep_prepared(&mut self, mut transaction: Txn) -> Result<(), Error> {
        if transaction.outcome != Outcome::Prepared {
            return Ok(());
        }
        // it may have come before, on another connection
        if let Some(before) = self.prepared.remove(&transaction.gid) {
            self.memory -= before.kept.buffer.len();
            transaction.ids.splice(0..0, before.ids);
        }
        self.memory += transaction.kept.buffer.len();
        self.prepared.insert(transaction.gid.clone(), transaction);
        self.spill()
    }

    /// What had come of a transaction is of no use.
    pub(super) fn forget(&mut self, xid: u32) {
        if let Some(kept) = self.open.remove(&xid) {
            self.memory -= kept.buffer.len();
        }
    }

    /// A connection has ended: the server sends again what has no outcome yet.
    /// Prepared transactions are kept.
    pub fn disconnected(&mut self) {
        self.open.clear();
        self.memory = self.prepared.values().map(|txn| txn.kept.buffer.len()).sum();
    }

    /// How many bytes are kept in memory.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes of events in memory.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Transactions without an outcome, prepared ones included.
    pub fn len(&self) -> usize {
        self.open.len() + self.prepared.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the largest ones to files until the rest fits.
    fn spill(&mut self) -> Result<(), Error> {
        while self.memory > self.limit {
            let prepared = self.prepared.values_mut().map(|txn| &mut txn.kept);
            let all = self.open.values_mut().chain(prepared);
            let Some(largest) = all.max_by_key(|kept| kept.buffer.len()) else { return Ok(()) };
            let len = largest.buffer.len();
            largest.spill(&self.directory, self.key.as_ref())?;
            self.memory -= len;
        }
        Ok(())
    }
}

/// Fields of the transaction of a batch that this version does not know.
fn unknown(batch: &Batch<'_>) -> Vec<u8> {
    let fields = Fields::new(batch.bytes()).flatten().filter(|field| field.number == 1);
    let headers = fields.filter_map(|field| field.value.bytes().ok());
    let unknown = headers.flat_map(Fields::new).flatten().filter(|field| field.number > 8);
    unknown.flat_map(|field| field.raw.to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::pb;

    fn batch(xid: u32, part: u32, outcome: pb::Outcome, events: &[(u64, u32)]) -> pb::Batch {
        pb::Batch {
            transaction: Some(pb::Transaction { xid, first_lsn: 100, ..Default::default() }),
            part,
            outcome: outcome as i32,
            events: events
                .iter()
                .map(|&(lsn_offset, subxid)| pb::ChangeEvent {
                    op: pb::Op::Insert as i32,
                    lsn_offset,
                    subxid,
                    new: vec![0x0a, 3, b'a', b'b', b'c'],
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }
    }

    fn push(assembler: &mut Assembler, batch: &pb::Batch) -> Option<Txn> {
        assembler.push(&Batch::parse(&batch.encode_to_vec()).unwrap()).unwrap()
    }

    fn offsets(assembled: &Txn) -> Vec<u64> {
        let mut found = Vec::new();
        assembled
            .for_each(|event| {
                found.push(event.position.lsn.0 - 100);
                Ok(())
            })
            .unwrap();
        found
    }

    /// Of a damaged part nothing is left behind.
    #[test]
    fn damage_in_the_middle() {
        let mut a = Assembler::default();
        let good = batch(1, 0, pb::Outcome::Open, &[(1, 1)]);
        push(&mut a, &good);
        let kept = a.memory();
        push(&mut a, &batch(2, 0, pb::Outcome::Open, &[(1, 2)]));
        // after an event that is in order one that is none
        let next = pb::Batch { part: 1, ..batch(2, 0, pb::Outcome::Open, &[(5, 2)]) };
        let damaged = [&next.encode_to_vec()[..], &[0x3a, 1, 0xff]].concat();
        assert!(a.push(&Batch::parse(&damaged).unwrap()).is_err());
        assert_eq!((a.memory(), a.len()), (kept, 1));
        assert!(a.push(&Batch::parse(&next.encode_to_vec()).unwrap()).is_err(), "a gap");
        assert_eq!(a.len(), 1);
        let last = pb::Batch { part: 1, ..batch(1, 0, pb::Outcome::Committed, &[]) };
        let last = pb::Batch { event_count: 1, ..last };
        assert_eq!(offsets(&push(&mut a, &last).unwrap()), [1]);
        assert_eq!((a.memory(), a.len()), (0, 0));
    }

    #[test]
    fn interleaved_rolled_back_and_spilled() {
        for (limit, key) in [(1 << 20, false), (0, false), (0, true)] {
            let mut a = Assembler::new(limit, std::env::temp_dir());
            if key {
                a = a.encrypt(&[1; 32]).unwrap();
            }
            assert!(
                push(&mut a, &batch(1, 0, pb::Outcome::Open, &[(1, 1), (2, 5), (3, 6)])).is_none()
            );
            assert!(push(&mut a, &batch(2, 0, pb::Outcome::Open, &[(9, 2)])).is_none());
            assert!(push(&mut a, &batch(1, 1, pb::Outcome::Open, &[(4, 1)])).is_none());
            let mut gone = batch(1, 2, pb::Outcome::Open, &[]);
            gone.rolled_back_xids = vec![5, 77];
            assert!(push(&mut a, &gone).is_none());
            assert_eq!((a.len(), a.memory() > 0), (2, limit > 0));
            // part 0 again: what came before is forgotten
            assert!(push(&mut a, &batch(2, 0, pb::Outcome::Open, &[(8, 2)])).is_none());
            let mut end = batch(1, 3, pb::Outcome::Committed, &[]);
            end.event_count = 4;
            let one = push(&mut a, &end).unwrap();
            assert_eq!(offsets(&one), [1, 3, 4]);
            assert_eq!(offsets(&one), [1, 3, 4], "again");
            let mut end = batch(2, 1, pb::Outcome::RolledBack, &[]);
            end.event_count = 1;
            let two = push(&mut a, &end).unwrap();
            assert_eq!((two.outcome, offsets(&two)), (Outcome::RolledBack, vec![]));
            assert_eq!((a.len(), a.memory()), (0, 0));
        }
    }

    #[test]
    fn lost_events_are_noticed() {
        let mut a = Assembler::default();
        push(&mut a, &batch(1, 0, pb::Outcome::Open, &[(1, 1)]));
        let gap = batch(1, 2, pb::Outcome::Open, &[(1, 1)]).encode_to_vec();
        assert!(a.push(&Batch::parse(&gap).unwrap()).is_err());
        push(&mut a, &batch(3, 0, pb::Outcome::Open, &[(1, 1)]));
        let mut short = batch(3, 1, pb::Outcome::Committed, &[]);
        short.event_count = 2;
        assert!(a.push(&Batch::parse(&short.encode_to_vec()).unwrap()).is_err());
    }

    #[test]
    fn prepared() {
        let mut a = Assembler::default();
        let prepare = |a: &mut Assembler, gid: &str| {
            let mut b = batch(1, 0, pb::Outcome::Prepared, &[(1, 0)]);
            b.transaction.as_mut().unwrap().gid = gid.into();
            b.event_count = 1;
            let prepared = push(a, &b).unwrap();
            assert_eq!(prepared.outcome, Outcome::Prepared);
            a.keep_prepared(prepared).unwrap();
        };
        let end = |a: &mut Assembler, gid: &str, outcome: pb::Outcome| {
            let mut b = batch(1, 0, outcome, &[]);
            b.transaction.as_mut().unwrap().gid = gid.into();
            push(a, &b).unwrap()
        };
        prepare(&mut a, "x");
        prepare(&mut a, "y");
        a.disconnected();
        assert_eq!(a.len(), 2);
        let x = end(&mut a, "x", pb::Outcome::Committed);
        assert_eq!((x.is_known, offsets(&x)), (true, vec![1]));
        let y = end(&mut a, "y", pb::Outcome::RolledBack);
        assert_eq!((y.is_known, offsets(&y)), (true, vec![]));
        let z = end(&mut a, "z", pb::Outcome::Committed);
        assert_eq!((z.is_known, offsets(&z)), (false, vec![]));
        assert_eq!((a.len(), a.memory()), (0, 0));
    }
}
