//! Puts transactions together that come in parts, before it is known whether
//! they commit.

use super::spill;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use ring::aead::LessSafeKey;

use super::spill::Spill;
use crate::base::damage::Damage;
use crate::base::error::Error;
use crate::base::position::Lsn;
use crate::model::batch::{Batch, Outcome};
use crate::model::event::Event;
use crate::wire::field::{put_bytes, put_varint, Cursor, Fields};

/// Chunks that are written to a file are about this large, in bytes.
const CHUNK: usize = 1 << 20;

/// The events of a transaction, one after the other, each after its length.
#[derive(Debug, Default)]
struct Events {
    buffer: Vec<u8>,
    spill: Option<Spill>,
    count: u64,
    next_part: u32,
    rolled_back: HashSet<u32>,
}

/// Keeps the events of transactions until their outcome is known.
///
/// Made for the plugin's options `streaming` and `two_phase`; ordinary
/// transactions in several parts are put together as well. When a connection
/// ends call [`Assembler::disconnected`].
#[derive(Debug)]
pub struct Assembler {
    open: HashMap<u32, Events>,
    prepared: HashMap<String, Events>,
    memory: usize,
    limit: usize,
    directory: PathBuf,
    key: Option<LessSafeKey>,
}

impl Default for Assembler {
    fn default() -> Self {
        Assembler::new(64 << 20, std::env::temp_dir())
    }
}

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
    pub fn push(&mut self, batch: &Batch<'_>) -> Result<Option<Assembled>, Error> {
        let Some(t) = &batch.transaction else {
            let mut events = Events::default();
            events.add(batch)?;
            return Ok(Some(self.assembled(batch, Outcome::Committed, events, true)));
        };
        if batch.outcome != Outcome::Open
            && !t.gid.is_empty()
            && batch.event_count == 0
            && batch.event_len() == 0
        {
            if let Some(result) = self.end_of_prepared(batch, t.gid)? {
                return Ok(Some(result));
            }
        }
        if batch.part == 0 {
            self.forget(t.xid);
        }
        if self.open.get(&t.xid).map_or(0, |events| events.next_part) != batch.part {
            return Err(Damage::Malformed("gap between the parts of a transaction").into());
        }
        let events = self.open.entry(t.xid).or_default();
        let before = events.buffer.len();
        let added = events.add(batch);
        self.memory += events.buffer.len() - before;
        if added.is_err() {
            self.forget(t.xid);
        }
        added?;
        if batch.outcome == Outcome::Open {
            self.spill()?;
            return Ok(None);
        }
        let events = self.open.remove(&t.xid).unwrap_or_default();
        self.memory -= events.buffer.len();
        if events.count != batch.event_count {
            return Err(Damage::Malformed(
                "transaction has another number of events than it should",
            )
            .into());
        }
        match batch.outcome {
            Outcome::Unknown(_) => Err(Damage::Unsupported("the outcome of a transaction").into()),
            Outcome::RolledBack => {
                Ok(Some(self.assembled(batch, Outcome::RolledBack, Events::default(), true)))
            }
            outcome => Ok(Some(self.assembled(batch, outcome, events, true))),
        }
    }

    fn end_of_prepared(
        &mut self,
        batch: &Batch<'_>,
        gid: &str,
    ) -> Result<Option<Assembled>, Error> {
        match batch.outcome {
            Outcome::Committed => {
                let known = self.prepared.remove(gid);
                let is_known = known.is_some();
                let events = known.unwrap_or_default();
                self.memory -= events.buffer.len();
                Ok(Some(self.assembled(batch, Outcome::Committed, events, is_known)))
            }
            Outcome::RolledBack => {
                let known = self.prepared.remove(gid);
                self.memory -= known.as_ref().map_or(0, |events| events.buffer.len());
                Ok(Some(self.assembled(
                    batch,
                    Outcome::RolledBack,
                    Events::default(),
                    known.is_some(),
                )))
            }
            _ => Ok(None),
        }
    }

    fn assembled(
        &self,
        batch: &Batch<'_>,
        outcome: Outcome,
        events: Events,
        known: bool,
    ) -> Assembled {
        let t = batch.transaction.as_ref();
        Assembled {
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
            is_known: known,
            events,
            key: self.key.clone(),
        }
    }

    /// Keeps what a prepared transaction brought until it is committed or
    /// rolled back. To be called with what [`Assembler::push`] returned, when
    /// its events have been looked at, or without looking at them.
    pub fn keep_prepared(&mut self, transaction: Assembled) -> Result<(), Error> {
        if transaction.outcome != Outcome::Prepared {
            return Ok(());
        }
        self.memory += transaction.events.buffer.len();
        if let Some(before) = self.prepared.insert(transaction.gid, transaction.events) {
            self.memory -= before.buffer.len();
        }
        self.spill()
    }

    fn forget(&mut self, xid: u32) {
        if let Some(events) = self.open.remove(&xid) {
            self.memory -= events.buffer.len();
        }
    }

    /// A connection has ended: the server sends again what has no outcome yet.
    /// Prepared transactions are kept.
    pub fn disconnected(&mut self) {
        self.open.clear();
        self.memory = self.prepared.values().map(|events| events.buffer.len()).sum();
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
            let all = self.open.values_mut().chain(self.prepared.values_mut());
            let Some(largest) = all.max_by_key(|events| events.buffer.len()) else { return Ok(()) };
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

/// A number of eight bytes, unless it is 0.
fn put_fixed64(out: &mut Vec<u8>, number: u8, value: u64) {
    if value != 0 {
        out.push(number << 3 | 1);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

impl Events {
    fn add(&mut self, batch: &Batch<'_>) -> Result<(), Damage> {
        self.next_part = self.next_part.wrapping_add(1);
        for xid in batch.rolled_back_xids() {
            self.rolled_back.insert(xid?);
        }
        for event in batch.events() {
            let event = event?;
            put_varint(&mut self.buffer, event.bytes().len() as u64);
            self.buffer.extend_from_slice(event.bytes());
            self.count += 1;
        }
        Ok(())
    }

    fn spill(
        &mut self,
        directory: &std::path::Path,
        key: Option<&LessSafeKey>,
    ) -> Result<(), Error> {
        let spill = match &mut self.spill {
            Some(spill) => spill,
            None => self.spill.insert(Spill::create(directory)?),
        };
        // cut between events
        let mut rest = &self.buffer[..];
        let mut chunk = Vec::with_capacity(CHUNK + 64);
        while !rest.is_empty() {
            let mut cursor = Cursor::new(rest);
            let len = cursor.varint()?;
            cursor.take(len)?;
            let size = rest.len() - cursor.remaining();
            if chunk.len() + size > CHUNK && !chunk.is_empty() {
                spill.append(&mut chunk, key)?;
            }
            chunk.extend_from_slice(&rest[..size]);
            rest = &rest[size..];
        }
        if !chunk.is_empty() {
            spill.append(&mut chunk, key)?;
        }
        self.buffer = Vec::new();
        Ok(())
    }
}

/// A transaction whose outcome is known, or a message outside of one.
#[derive(Debug)]
pub struct Assembled {
    /// Committed, rolled back or prepared.
    pub outcome: Outcome,
    /// 0 of a message outside of transactions.
    pub xid: u32,
    /// Its commit record; `None` of a message outside of transactions.
    pub commit_lsn: Option<Lsn>,
    /// Microseconds since 1970-01-01.
    pub commit_time: i64,
    /// What to acknowledge when it is durable.
    pub end_lsn: Lsn,
    /// Replication origin; empty if there is none.
    pub origin: String,
    /// Of two-phase commit; empty otherwise.
    pub gid: String,
    /// All entries.
    pub metadata: Vec<(String, String)>,
    /// `false`: the end of a prepared transaction that was not prepared here
    /// (nothing of it was sent, or it was sent to an earlier process).
    pub is_known: bool,
    first_lsn: Lsn,
    prepare_lsn: Lsn,
    /// Fields of the transaction that this version does not know.
    unknown: Vec<u8>,
    events: Events,
    key: Option<LessSafeKey>,
}

impl Assembled {
    /// What is known of it, as the field of a batch that says so.
    pub(crate) fn header(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let Some(commit_lsn) = self.commit_lsn else {
            put_fixed64(&mut out, 4, self.end_lsn.0);
            return out;
        };
        let mut header = Vec::new();
        if self.xid != 0 {
            header.push(1 << 3);
            put_varint(&mut header, self.xid.into());
        }
        put_fixed64(&mut header, 2, self.first_lsn.0);
        put_fixed64(&mut header, 3, commit_lsn.0);
        put_fixed64(&mut header, 4, self.commit_time as u64);
        for (number, text) in [(5, &self.origin), (6, &self.gid)] {
            if !text.is_empty() {
                put_bytes(&mut header, number, text.as_bytes());
            }
        }
        for (key, value) in &self.metadata {
            let mut entry = Vec::new();
            put_bytes(&mut entry, 1, key.as_bytes());
            put_bytes(&mut entry, 2, value.as_bytes());
            put_bytes(&mut header, 7, &entry);
        }
        put_fixed64(&mut header, 8, self.prepare_lsn.0);
        header.extend_from_slice(&self.unknown);
        put_bytes(&mut out, 1, &header);
        out
    }

    /// How many events there are, those of rolled back subtransactions
    /// included.
    pub fn event_len(&self) -> u64 {
        self.events.count
    }

    /// Calls `f` for every event that counts, in order. May be called again.
    ///
    /// # Errors
    /// A spill file that cannot be read, damage, `f`'s.
    pub fn for_each(
        &mut self,
        mut f: impl FnMut(&Event<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (first, commit) = (self.first_lsn, self.commit_lsn);
        let rolled_back = &self.events.rolled_back;
        let mut walk = |bytes: &[u8]| -> Result<(), Error> {
            let mut cursor = Cursor::new(bytes);
            while !cursor.is_empty() {
                let len = cursor.varint()?;
                let event = Event::parse(cursor.take(len)?, first, commit)?;
                if event.subxid == 0 || !rolled_back.contains(&event.subxid) {
                    f(&event)?;
                }
            }
            Ok(())
        };
        if let Some(spill) = &mut self.events.spill {
            let mut chunk = Vec::new();
            spill.rewind()?;
            for number in 0..spill.chunks() {
                spill.read(number, &mut chunk, self.key.as_ref())?;
                walk(&chunk)?;
            }
        }
        walk(&self.events.buffer)
    }

    /// The serialized events that count, joined as fields 7 of a `Batch`.
    ///
    /// # Errors
    /// As [`Assembled::for_each`].
    pub fn raw_events(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.for_each(|event| {
            crate::wire::field::put_bytes(out, 7, event.bytes());
            Ok(())
        })
    }
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

    fn push(assembler: &mut Assembler, batch: &pb::Batch) -> Option<Assembled> {
        assembler.push(&Batch::parse(&batch.encode_to_vec()).unwrap()).unwrap()
    }

    fn offsets(assembled: &mut Assembled) -> Vec<u64> {
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
        assert_eq!(offsets(&mut push(&mut a, &last).unwrap()), [1]);
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
            let mut one = push(&mut a, &end).unwrap();
            assert_eq!(offsets(&mut one), [1, 3, 4]);
            assert_eq!(offsets(&mut one), [1, 3, 4], "again");
            let mut end = batch(2, 1, pb::Outcome::RolledBack, &[]);
            end.event_count = 1;
            let mut two = push(&mut a, &end).unwrap();
            assert_eq!((two.outcome, offsets(&mut two)), (Outcome::RolledBack, vec![]));
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
        let mut x = end(&mut a, "x", pb::Outcome::Committed);
        assert_eq!((x.is_known, offsets(&mut x)), (true, vec![1]));
        let mut y = end(&mut a, "y", pb::Outcome::RolledBack);
        assert_eq!((y.is_known, offsets(&mut y)), (true, vec![]));
        let mut z = end(&mut a, "z", pb::Outcome::Committed);
        assert_eq!((z.is_known, offsets(&mut z)), (false, vec![]));
        assert_eq!((a.len(), a.memory()), (0, 0));
    }
}
