//! Whole transactions.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ring::aead::LessSafeKey;

use super::about::About;
use super::change::{Change, Sieve};
use super::config::StreamConfig;
use super::letters::{apply, set_aside, Letters};
use super::spill::Spill;
use super::store::deadletter::{DeadLetter, Reason};
use crate::base::damage::Damage;
use crate::base::error::Error;
use crate::base::position::Lsn;
use crate::model::batch::{Batch, Outcome};
use crate::model::event::Event;
use crate::model::schema::{Schema, SchemaCache};
use crate::model::single::single_under;
use crate::wire::field::{put_bytes, put_varint, Cursor, Fields};

/// Chunks that are written to a file are about this large, in bytes.
const CHUNK: usize = 1 << 20;

/// The events of a transaction, one after the other, each after its length.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) buffer: Vec<u8>,
    spill: Option<Spill>,
    pub(super) count: u64,
    pub(super) next_part: u32,
    /// Something before is lost.
    pub(super) gap: bool,
    rolled_back: HashSet<u32>,
    /// From which event on which schemas count.
    schemas: Vec<(u64, Arc<SchemaCache>)>,
}

impl Kept {
    /// The events of a batch that is in order.
    pub(super) fn add(&mut self, batch: &Batch<'_>) -> Result<(), Damage> {
        self.note(batch)?;
        batch.events().try_for_each(|event| {
            self.push(event?.bytes());
            Ok(())
        })
    }

    /// Whatever stands where events do: it is looked at when it is asked for.
    pub(super) fn add_unseen(
        &mut self,
        batch: &Batch<'_>,
        schemas: &Arc<SchemaCache>,
    ) -> Result<(), Damage> {
        self.note(batch)?;
        if self.schemas.last().is_none_or(|(_, last)| !Arc::ptr_eq(last, schemas)) {
            self.schemas.push((self.count, schemas.clone()));
        }
        for field in Fields::new(batch.bytes()) {
            let field = field?;
            if field.number == 7 {
                self.push(field.value.bytes()?);
            }
        }
        Ok(())
    }

    fn note(&mut self, batch: &Batch<'_>) -> Result<(), Damage> {
        self.next_part = batch.part.wrapping_add(1);
        for xid in batch.rolled_back_xids() {
            self.rolled_back.insert(xid?);
        }
        Ok(())
    }

    fn push(&mut self, event: &[u8]) {
        put_varint(&mut self.buffer, event.len() as u64);
        self.buffer.extend_from_slice(event);
        self.count += 1;
    }

    /// Writes what is in memory to a file.
    pub(super) fn spill(
        &mut self,
        directory: &Path,
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

/// Where an event is.
enum Place<'t> {
    Memory(&'t [u8]),
    /// From and to, in the chunk that was read last.
    Chunk(usize, usize),
}

/// Goes over the events of a transaction, those in the file first.
#[derive(Debug)]
struct Walk<'t> {
    kept: &'t Kept,
    key: Option<&'t LessSafeKey>,
    chunk: Vec<u8>,
    /// Chunks that were read.
    chunks: u64,
    /// In the chunk, or behind the last one in memory.
    at: usize,
    in_memory: bool,
    /// Of the event that comes next.
    number: u64,
}

impl<'t> Walk<'t> {
    fn new(txn: &'t Txn) -> Self {
        let (kept, key) = (&txn.kept, txn.key.as_ref());
        Walk { kept, key, chunk: Vec::new(), chunks: 0, at: 0, in_memory: false, number: 0 }
    }

    fn step(&mut self) -> Result<Option<Place<'t>>, Error> {
        loop {
            let (kept, chunk) = (self.kept, &self.chunk);
            let bytes = if self.in_memory { &kept.buffer } else { chunk };
            if self.at < bytes.len() {
                let mut cursor = Cursor::new(&bytes[self.at..]);
                let len = cursor.varint()?;
                cursor.take(len)?;
                let end = bytes.len() - cursor.remaining();
                let start = end - len as usize;
                (self.at, self.number) = (end, self.number + 1);
                return Ok(Some(match self.in_memory {
                    true => Place::Memory(&kept.buffer[start..end]),
                    false => Place::Chunk(start, end),
                }));
            }
            if self.in_memory {
                return Ok(None);
            }
            self.at = 0;
            match &self.kept.spill {
                Some(spill) if self.chunks < spill.chunks() => {
                    spill.read(self.chunks, &mut self.chunk, self.key)?;
                    self.chunks += 1;
                }
                _ => self.in_memory = true,
            }
        }
    }
}

/// What a stream knows of its transactions.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) config: Arc<StreamConfig>,
    pub(super) schemas: Arc<SchemaCache>,
    pub(super) source: Bytes,
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origin").finish_non_exhaustive()
    }
}

/// A transaction whose outcome is known, or a message outside of one: what
/// [`Stream::next`](crate::Stream::next) gives, and an [`Assembler`](crate::Assembler).
#[derive(Debug)]
pub struct Txn {
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
    pub(super) first_lsn: Lsn,
    pub(super) prepare_lsn: Lsn,
    /// Fields of the transaction that this version does not know.
    pub(super) unknown: Vec<u8>,
    pub(super) kept: Kept,
    pub(super) key: Option<LessSafeKey>,
    /// Of a stream's.
    pub(super) from: Option<Origin>,
    /// What to acknowledge it by.
    pub(super) ids: Vec<u64>,
}

impl Txn {
    /// What is known of it, as the field of a batch that says so.
    fn header(&self, source: Option<&[u8]>) -> Vec<u8> {
        let mut out = Vec::new();
        match self.commit_lsn {
            Some(commit_lsn) => put_bytes(&mut out, 1, &self.transaction(commit_lsn)),
            None => put_fixed64(&mut out, 4, self.end_lsn.0),
        }
        if let Some(source) = source {
            put_bytes(&mut out, 9, source);
        }
        out
    }

    fn transaction(&self, commit_lsn: Lsn) -> Vec<u8> {
        let mut out = Vec::new();
        if self.xid != 0 {
            out.push(1 << 3);
            put_varint(&mut out, self.xid.into());
        }
        put_fixed64(&mut out, 2, self.first_lsn.0);
        put_fixed64(&mut out, 3, commit_lsn.0);
        put_fixed64(&mut out, 4, self.commit_time as u64);
        for (number, text) in [(5, &self.origin), (6, &self.gid)] {
            if !text.is_empty() {
                put_bytes(&mut out, number, text.as_bytes());
            }
        }
        for (key, value) in &self.metadata {
            let mut entry = Vec::new();
            put_bytes(&mut entry, 1, key.as_bytes());
            put_bytes(&mut entry, 2, value.as_bytes());
            put_bytes(&mut out, 7, &entry);
        }
        put_fixed64(&mut out, 8, self.prepare_lsn.0);
        out.extend_from_slice(&self.unknown);
        out
    }

    /// How many events there are, those of rolled back subtransactions
    /// included.
    pub fn event_len(&self) -> u64 {
        self.kept.count
    }

    /// The schemas that have come with the stream by its end; none of what an
    /// [`Assembler`](crate::Assembler) of your own gives.
    pub fn schemas(&self) -> &SchemaCache {
        static NONE: std::sync::OnceLock<SchemaCache> = std::sync::OnceLock::new();
        match &self.from {
            Some(origin) => &origin.schemas,
            None => NONE.get_or_init(SchemaCache::default),
        }
    }

    /// The source that came last.
    fn source(&self) -> Option<&[u8]> {
        self.from.as_ref().map(|origin| &origin.source[..]).filter(|source| !source.is_empty())
    }

    fn counts(&self, event: &Event<'_>) -> bool {
        event.subxid == 0 || !self.kept.rolled_back.contains(&event.subxid)
    }

    /// The changes of one of a stream, in order, each with its schema, without those of
    /// subtransactions that were rolled back. Events that cannot be read and those with a
    /// `failure` are treated as the policies say. May be called again.
    pub fn changes(&self) -> TxnChanges<'_> {
        let config = self.from.as_ref().map(|origin| &*origin.config);
        TxnChanges { txn: self, walk: Walk::new(self), sieve: Sieve::new(config), part: 0 }
    }

    /// Calls `f` for every event that counts, in order, whatever the policies say. May be
    /// called again.
    ///
    /// # Errors
    /// A spill file that cannot be read, damage, `f`'s.
    pub fn for_each(
        &self,
        mut f: impl FnMut(&Event<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut walk = Walk::new(self);
        while let Some(place) = walk.step()? {
            let raw = match place {
                Place::Memory(raw) => raw,
                Place::Chunk(from, to) => &walk.chunk[from..to],
            };
            let event = Event::parse(raw, self.first_lsn, self.commit_lsn)?;
            if self.counts(&event) {
                f(&event)?;
            }
        }
        Ok(())
    }

    /// The serialized events that count, joined as fields 7 of a `Batch`.
    ///
    /// # Errors
    /// As [`Txn::for_each`].
    pub fn raw_events(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.for_each(|event| {
            put_bytes(out, 7, event.bytes());
            Ok(())
        })
    }

    /// Sets a change of one of a stream aside that the caller's code could not handle, as
    /// [`StreamConfig::on_handler_error`] says.
    ///
    /// # Errors
    /// `error`, if the policy is to stop; what prevents the dead letter.
    pub fn reject(
        &self,
        change: &Change<'_>,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<(), Error> {
        let error = Error::Other(error.into());
        let Some(Origin { config, .. }) = &self.from else { return Err(error) };
        let alone = single_under(&self.header(self.source()), &change.event, change.schema);
        let about = About::new(change.event.schema, change.schema);
        set_aside(config, Reason::Handler, change.position, about, &alone, error)
    }

    /// Sets all changes of one of a stream aside, a letter for each, as [`Txn::reject`]
    /// does. It is to be acknowledged then.
    ///
    /// # Errors
    /// As [`Txn::reject`]; a spill file that cannot be read.
    pub fn reject_all(
        &self,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<(), Error> {
        let error = error.into();
        let Some(Origin { config, schemas, .. }) = &self.from else {
            return Err(Error::Other(error));
        };
        self.reject_as(config, schemas, self.source(), &error.to_string())
    }

    pub(super) fn reject_as(
        &self,
        config: &StreamConfig,
        schemas: &SchemaCache,
        source: Option<&[u8]>,
        error: &str,
    ) -> Result<(), Error> {
        let mut letters = Letters::new(config, error);
        let header = self.header(source);
        self.for_each(|event| {
            let schema = match event.schema {
                0 => None,
                fingerprint => Some(&**schemas.get(fingerprint)?),
            };
            letters.add(event.position, single_under(&header, event, schema))
        })?;
        letters.put()
    }
}

/// The changes of a [`Txn`]. No iterator, since what was in a file is held one piece after
/// the other:
///
/// ```
/// # fn show(txn: &pgcdc::Txn) -> Result<(), pgcdc::Error> {
/// let mut changes = txn.changes();
/// while let Some(change) = changes.next() {
///     println!("{:?}", change?.op);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TxnChanges<'t> {
    txn: &'t Txn,
    walk: Walk<'t>,
    sieve: Sieve<'t>,
    /// Of what the schemas are for.
    part: usize,
}

impl<'t> TxnChanges<'t> {
    /// The next one, until the one after it is asked for; `None` at the end.
    ///
    /// # Errors
    /// What the policies make one; a spill file that cannot be read. Nothing of the
    /// transaction may then be taken for dealt with.
    #[allow(clippy::should_implement_trait)] // it lends
    pub fn next(&mut self) -> Option<Result<Change<'_>, Error>> {
        let (from, to) = loop {
            match self.walk.step() {
                Err(error) => return Some(Err(error)),
                Ok(None) => return None,
                Ok(Some(Place::Memory(raw))) => match self.change(raw) {
                    Ok(None) => (),
                    Ok(Some(change)) => return Some(Ok(change)),
                    Err(error) => return Some(Err(error)),
                },
                Ok(Some(Place::Chunk(from, to))) => {
                    let chunk = std::mem::take(&mut self.walk.chunk);
                    let wanted = self.change(&chunk[from..to]).map(|change| change.is_some());
                    self.walk.chunk = chunk;
                    match wanted {
                        Ok(false) => (),
                        Ok(true) => break (from, to),
                        Err(error) => return Some(Err(error)),
                    }
                }
            }
        };
        // it was looked at before: what is lent to the caller is read again
        let raw = &self.walk.chunk[from..to];
        let event = Event::parse(raw, self.txn.first_lsn, self.txn.commit_lsn);
        Some(event.map(|event| Change { event, schema: self.sieve.last() }).map_err(Error::from))
    }

    /// `None` if it is passed over.
    fn change<'e>(&mut self, raw: &'e [u8]) -> Result<Option<Change<'e>>, Error>
    where
        't: 'e,
    {
        let txn = self.txn;
        let event = match Event::parse(raw, txn.first_lsn, txn.commit_lsn) {
            Ok(event) => event,
            Err(damage) => return self.damaged(raw, damage).map(|()| None),
        };
        if !txn.counts(&event) {
            return Ok(None);
        }
        let schemas = self.schemas();
        self.sieve.change(event, schemas, |event, schema: Option<&Schema>| {
            Ok(single_under(&txn.header(txn.source()), event, schema))
        })
    }

    /// Those that counted when the event came.
    fn schemas(&mut self) -> &'t SchemaCache {
        let txn = self.txn;
        let parts = &txn.kept.schemas;
        while parts.get(self.part + 1).is_some_and(|(from, _)| *from < self.walk.number) {
            self.part += 1;
            self.sieve.forget();
        }
        parts.get(self.part).map_or(txn.schemas(), |(_, schemas)| schemas)
    }

    /// What is no event.
    fn damaged(&self, raw: &[u8], damage: Damage) -> Result<(), Error> {
        let Some(Origin { config, .. }) = &self.txn.from else { return Err(damage.into()) };
        let mut batch = self.txn.header(self.txn.source());
        put_bytes(&mut batch, 7, raw);
        let text = damage.to_string();
        let letter = DeadLetter {
            reason: damage.into(),
            error: &text,
            slot: &config.slot,
            position: None,
            batch: &batch,
        };
        apply(config, config.on_damage, &letter, About::default(), damage.into())
    }
}

/// A number of eight bytes, unless it is 0.
fn put_fixed64(out: &mut Vec<u8>, number: u8, value: u64) {
    if value != 0 {
        out.push(number << 3 | 1);
        out.extend_from_slice(&value.to_le_bytes());
    }
}
