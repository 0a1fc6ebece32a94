//! A view of a `Batch`, borrowed from its bytes.

use super::event::Event;
use crate::base::damage::{malformed, Damage};
use crate::base::position::Lsn;
use crate::wire::field::{put_varint, Fields, Numbers, Wire};

/// What follows of a transaction, or how it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// More parts follow. Without meaning where there is no transaction.
    #[default]
    Open,
    /// It is committed.
    Committed,
    /// Everything that was sent for it is void.
    RolledBack,
    /// Its events are complete; `Committed` or `RolledBack` follows, maybe on
    /// another connection.
    Prepared,
    /// One that this version does not know: who applies changes must stop.
    Unknown(u32),
}

impl From<u32> for Outcome {
    fn from(number: u32) -> Self {
        match number {
            0 => Outcome::Open,
            1 => Outcome::Committed,
            2 => Outcome::RolledBack,
            3 => Outcome::Prepared,
            other => Outcome::Unknown(other),
        }
    }
}

/// Entries of `cdc.set_metadata()`, sorted by key. Every user of the database
/// can write them: information, never a basis for authorization.
#[derive(Clone, Copy, Debug)]
pub struct Metadata<'a> {
    fields: Fields<'a>,
}

impl<'a> Metadata<'a> {
    /// The value of a key.
    pub fn get(self, key: &str) -> Option<&'a str> {
        let mut entries = self;
        entries.find(|entry| entry.0 == key).map(|entry| entry.1)
    }
}

fn entry(bytes: &[u8]) -> Result<(&str, &str), Damage> {
    let (mut key, mut value) = ("", "");
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            1 => key = field.value.str()?,
            2 => value = field.value.str()?,
            _ => (),
        }
    }
    Ok((key, value))
}

impl<'a> Iterator for Metadata<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        // read once already, by Transaction::parse
        self.fields.by_ref().flatten().find_map(|field| match (field.number, field.value) {
            (7, Wire::Bytes(bytes)) => entry(bytes).ok(),
            _ => None,
        })
    }
}

/// The transaction that a batch belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Transaction<'a> {
    /// Top-level transaction id. It wraps around: never an identity.
    pub xid: u32,
    /// Its first WAL record, from which the events' offsets count.
    pub first_lsn: Lsn,
    /// Start of its commit record, or that of COMMIT PREPARED; 0 until known.
    pub commit_lsn: Lsn,
    /// Microseconds since 1970-01-01 00:00 UTC; 0 until known.
    pub commit_time: i64,
    /// Replication origin; empty when the transaction was made on this server.
    pub origin: &'a str,
    /// Name given to PREPARE TRANSACTION; empty otherwise.
    pub gid: &'a str,
    /// The prepare record; 0 otherwise.
    pub prepare_lsn: Lsn,
    bytes: &'a [u8],
    has_metadata: bool,
}

impl<'a> Transaction<'a> {
    fn parse(bytes: &'a [u8], unknown: &mut u32) -> Result<Self, Damage> {
        let mut t = Transaction {
            xid: 0,
            first_lsn: Lsn::ZERO,
            commit_lsn: Lsn::ZERO,
            commit_time: 0,
            origin: "",
            gid: "",
            prepare_lsn: Lsn::ZERO,
            bytes,
            has_metadata: false,
        };
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                1 => t.xid = field.value.uint32()?,
                2 => t.first_lsn = Lsn(field.value.fixed64()?),
                3 => t.commit_lsn = Lsn(field.value.fixed64()?),
                4 => t.commit_time = field.value.fixed64()? as i64,
                5 => t.origin = field.value.str()?,
                6 => t.gid = field.value.str()?,
                7 => {
                    entry(field.value.bytes()?)?;
                    t.has_metadata = true;
                }
                8 => t.prepare_lsn = Lsn(field.value.fixed64()?),
                _ => *unknown += 1,
            }
        }
        Ok(t)
    }

    /// The entries that have been seen so far; the last part has all.
    pub fn metadata(&self) -> Metadata<'a> {
        Metadata { fields: Fields::new(if self.has_metadata { self.bytes } else { &[] }) }
    }

    /// The serialized message.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Where a stream comes from. Positions compare only within one system and one
/// history of timelines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source<'a> {
    /// Of the cluster.
    pub system_identifier: u64,
    /// The server's when the connection began.
    pub timeline: u32,
    /// Name of the database.
    pub database: &'a str,
    /// Name of the replication slot; empty for a snapshot.
    pub slot: &'a str,
    /// Version of the library in the server, for example `1.0`.
    pub plugin_version: &'a str,
    /// For example 150020.
    pub server_version: u32,
    /// Changes of schemas come as [`Op::Schema`](crate::Op::Schema).
    pub schema_changes: bool,
}

impl<'a> Source<'a> {
    fn parse(bytes: &'a [u8], unknown: &mut u32) -> Result<Self, Damage> {
        let mut s = Source::default();
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                1 => s.system_identifier = field.value.fixed64()?,
                2 => s.timeline = field.value.uint32()?,
                3 => s.database = field.value.str()?,
                4 => s.slot = field.value.str()?,
                5 => s.plugin_version = field.value.str()?,
                6 => s.server_version = field.value.uint32()?,
                7 => s.schema_changes = field.value.bool()?,
                _ => *unknown += 1,
            }
        }
        Ok(s)
    }
}

/// What the transaction saw that read the rows of a batch of
/// `cdc.snapshot()`. Transaction ids have 64 bits, with the epoch.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// Every transaction below it had ended.
    pub xmin: u64,
    /// Every transaction from it on had not started.
    pub xmax: u64,
    bytes: &'a [u8],
}

impl<'a> Snapshot<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Damage> {
        let mut s = Snapshot { xmin: 0, xmax: 0, bytes };
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                1 => s.xmin = field.value.varint()?,
                2 => s.xmax = field.value.varint()?,
                3 => s.check_xip(field.value)?,
                _ => (),
            }
        }
        Ok(s)
    }

    fn check_xip(&self, value: Wire<'_>) -> Result<(), Damage> {
        let Wire::Bytes(packed) = value else { return value.varint().map(drop) };
        let mut cursor = crate::wire::field::Cursor::new(packed);
        while !cursor.is_empty() {
            cursor.varint()?;
        }
        Ok(())
    }

    fn in_progress(&self, xid: u64) -> bool {
        Fields::new(self.bytes).flatten().any(|field| match (field.number, field.value) {
            (3, Wire::Varint(one)) => one == xid,
            (3, Wire::Bytes(packed)) => {
                let mut cursor = crate::wire::field::Cursor::new(packed);
                std::iter::from_fn(|| if cursor.is_empty() { None } else { cursor.varint().ok() })
                    .any(|one| one == xid)
            }
            _ => false,
        })
    }

    /// A transaction id of the stream with the epoch that brings it closest to
    /// `xmax`.
    pub fn widen(&self, xid: u32) -> u64 {
        let distance = xid.wrapping_sub(self.xmax as u32) as i32;
        self.xmax.saturating_add_signed(i64::from(distance))
    }

    /// Whether the rows have what this transaction of the stream did: then its
    /// changes are to be skipped for them.
    pub fn sees(&self, xid: u32) -> bool {
        let xid = self.widen(xid);
        xid < self.xmin || (xid < self.xmax && !self.in_progress(xid))
    }

    /// The serialized message, to be kept and parsed again by
    /// [`OwnedSnapshot`](crate::OwnedSnapshot).
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// [`Snapshot`] on its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnedSnapshot(Box<[u8]>);

impl OwnedSnapshot {
    /// Of a serialized `Snapshot`.
    ///
    /// # Errors
    /// Damage.
    pub fn new(bytes: &[u8]) -> Result<Self, Damage> {
        Snapshot::parse(bytes)?;
        Ok(OwnedSnapshot(bytes.into()))
    }

    /// Of the text of `pg_current_snapshot()`: xmin, xmax, and what is in progress.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let number = |field: u8, text: &str| -> Option<Vec<u8>> {
            let mut bytes = vec![field << 3];
            put_varint(&mut bytes, text.parse().ok()?);
            Some(bytes)
        };
        let mut bytes = [number(1, parts.next()?)?, number(2, parts.next()?)?].concat();
        for xid in parts.next()?.split(',').filter(|xid| !xid.is_empty()) {
            bytes.extend(number(3, xid)?);
        }
        OwnedSnapshot::new(&bytes).ok()
    }

    /// As [`Snapshot::sees`].
    pub fn sees(&self, xid: u32) -> bool {
        Snapshot::parse(&self.0).is_ok_and(|snapshot| snapshot.sees(xid))
    }

    /// Whether a transaction had not begun when it was taken: what commits after that one
    /// is not seen, either.
    pub(crate) fn precedes(&self, xid: u32) -> bool {
        Snapshot::parse(&self.0).is_ok_and(|snapshot| snapshot.widen(xid) >= snapshot.xmax)
    }

    /// The serialized message.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Snapshot<'_>> for OwnedSnapshot {
    fn from(snapshot: Snapshot<'_>) -> Self {
        OwnedSnapshot(snapshot.bytes.into())
    }
}

/// A serialized `Table` and its address, as they stand in a batch: not checked
/// yet. [`SchemaCache::add`](crate::SchemaCache::add) does that.
#[derive(Clone, Copy, Debug, Default)]
pub struct SchemaVersion<'a> {
    /// The first 8 bytes of SHA-256 over `table`.
    pub fingerprint: u64,
    /// A serialized `Table`.
    pub table: &'a [u8],
    /// Of the relation's whole schema in the server's registry; 0 without one.
    pub version: u32,
    /// Why rows are not in the version that was asked for; empty where they are, or
    /// none was.
    pub unmapped: &'a str,
}

impl<'a> SchemaVersion<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Damage> {
        let mut s = SchemaVersion::default();
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                1 => s.fingerprint = field.value.fixed64()?,
                2 => s.table = field.value.bytes()?,
                3 => s.version = field.value.uint32()?,
                4 => s.unmapped = field.value.str()?,
                _ => (),
            }
        }
        Ok(s)
    }
}

/// A batch: a whole transaction or a part of one, a message that stands outside
/// of transactions, or rows of a snapshot. Parsing looks at the batch's own
/// fields alone; events are read when they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Absent for a message outside of transactions and for a snapshot's rows.
    pub transaction: Option<Transaction<'a>>,
    /// 0, 1, 2 … within the transaction.
    pub part: u32,
    /// Whether this is the last part.
    pub outcome: Outcome,
    /// What to acknowledge when the transaction, or the message, is durable at
    /// the consumer; 0 in other parts.
    pub end_lsn: Lsn,
    /// With an outcome: events sent for the transaction on this connection.
    pub event_count: u64,
    /// In the first batch of a connection and when it changes.
    pub source: Option<Source<'a>>,
    /// With a snapshot's rows.
    pub snapshot: Option<Snapshot<'a>>,
    bytes: &'a [u8],
    events: Fields<'a>,
    len: u64,
    has_schemas: bool,
    has_rolled_back: bool,
    unknown: u32,
}

impl<'a> Batch<'a> {
    /// Of a serialized `Batch`, without its frame.
    ///
    /// # Errors
    /// Damage; [`Damage::Compressed`] for one that [`Inflater::parse`] reads.
    ///
    /// [`Inflater::parse`]: crate::Inflater::parse
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Damage> {
        let mut batch = Batch {
            transaction: None,
            part: 0,
            outcome: Outcome::Open,
            end_lsn: Lsn::ZERO,
            event_count: 0,
            source: None,
            snapshot: None,
            bytes,
            events: Fields::new(&[]),
            len: 0,
            has_schemas: false,
            has_rolled_back: false,
            unknown: 0,
        };
        let mut fields = Fields::new(bytes);
        let mut before = fields;
        while let Some(field) = fields.next() {
            let field = field?;
            let value = field.value;
            match field.number {
                1 => {
                    batch.transaction =
                        Some(Transaction::parse(value.bytes()?, &mut batch.unknown)?);
                }
                2 => batch.part = value.uint32()?,
                3 => batch.outcome = value.uint32()?.into(),
                4 => batch.end_lsn = Lsn(value.fixed64()?),
                5 => batch.event_count = value.varint()?,
                6 => {
                    value.bytes()?;
                    batch.has_schemas = true;
                }
                7 => {
                    value.bytes()?;
                    if batch.len == 0 {
                        batch.events = before;
                    }
                    batch.len += 1;
                }
                8 => batch.has_rolled_back = true,
                9 => batch.source = Some(Source::parse(value.bytes()?, &mut batch.unknown)?),
                10..=12 => return Err(Damage::Compressed),
                13 => batch.snapshot = Some(Snapshot::parse(value.bytes()?)?),
                _ => batch.unknown += 1,
            }
            before = fields;
        }
        batch.check()
    }

    fn check(self) -> Result<Self, Damage> {
        if let Some(t) = &self.transaction {
            if t.commit_lsn < t.first_lsn && t.commit_lsn != Lsn::ZERO && self.len > 0 {
                return malformed("transaction begins behind its commit");
            }
        }
        if self.has_rolled_back && self.len > 0 {
            return malformed("batch that rolls back has events");
        }
        Ok(self)
    }

    /// The events, in the order of the changes. Each is read as the iterator
    /// comes to it, without allocation.
    pub fn events(&self) -> Events<'a> {
        let (first_lsn, commit_lsn) = self.lsns();
        Events { fields: self.events, first_lsn, commit_lsn }
    }

    fn lsns(&self) -> (Lsn, Option<Lsn>) {
        match &self.transaction {
            Some(t) => (t.first_lsn, Some(t.commit_lsn)),
            None => (Lsn::ZERO, None),
        }
    }

    /// An event of this batch, of its bytes.
    pub(crate) fn event(&self, bytes: &'a [u8]) -> Result<Event<'a>, Damage> {
        let (first_lsn, commit_lsn) = self.lsns();
        Event::parse(bytes, first_lsn, commit_lsn)
    }

    /// How many events there are.
    pub fn event_len(&self) -> u64 {
        self.len
    }

    /// The schemas that the batch brings.
    pub fn schemas(&self) -> impl Iterator<Item = Result<SchemaVersion<'a>, Damage>> {
        Fields::new(if self.has_schemas { self.bytes } else { &[] })
            .filter(|field| !matches!(field, Ok(f) if f.number != 6))
            .map(|field| SchemaVersion::parse(field?.value.bytes()?))
    }

    /// Subtransactions whose events are void (streamed transactions only).
    pub fn rolled_back_xids(&self) -> Numbers<'a> {
        Numbers::new(if self.has_rolled_back { self.bytes } else { &[] }, 8)
    }

    /// Whether the batch ends a transaction, or is a message outside of them.
    pub fn is_end(&self) -> bool {
        match self.transaction {
            Some(_) => self.outcome != Outcome::Open,
            None => self.snapshot.is_none(),
        }
    }

    /// Fields that this version does not know: a newer server's.
    pub fn unknown_fields(&self) -> u32 {
        self.unknown
    }

    /// The serialized batch: what to pass on.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// The events of a batch.
#[derive(Clone, Debug)]
pub struct Events<'a> {
    fields: Fields<'a>,
    first_lsn: Lsn,
    commit_lsn: Option<Lsn>,
}

impl<'a> Iterator for Events<'a> {
    type Item = Result<Event<'a>, Damage>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let field = match self.fields.next()? {
                Ok(field) if field.number != 7 => continue,
                Ok(field) => field,
                Err(damage) => return Some(Err(damage)),
            };
            return Some(
                field
                    .value
                    .bytes()
                    .and_then(|bytes| Event::parse(bytes, self.first_lsn, self.commit_lsn)),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_as_text() {
        let snapshot = OwnedSnapshot::of_text;
        let current = snapshot("7:12:8,10").unwrap();
        let seen: Vec<_> = (5..14).filter(|&xid| current.sees(xid)).collect();
        assert_eq!(seen, [5, 6, 7, 9, 11]);
        assert!(
            snapshot("7:7:").is_some() && snapshot("7").is_none() && snapshot("a:b:").is_none()
        );
    }

    #[test]
    fn snapshots_see() {
        // xmin 2^32 + 5, xmax 2^32 + 10, xip 7 and 8
        let mut bytes = vec![0x08];
        put_varint(&mut bytes, (1 << 32) + 5);
        bytes.push(0x10);
        put_varint(&mut bytes, (1 << 32) + 10);
        let mut xip = Vec::new();
        for xid in [7u64, 8] {
            put_varint(&mut xip, (1 << 32) + xid);
        }
        crate::wire::field::put_bytes(&mut bytes, 3, &xip);
        let snapshot = OwnedSnapshot::new(&bytes).unwrap();
        let seen: Vec<u32> = (3..13).filter(|&xid| snapshot.sees(xid)).collect();
        assert_eq!(seen, [3, 4, 5, 6, 9]);
        assert!(snapshot.sees(u32::MAX), "of the epoch before");
        assert!(OwnedSnapshot::new(&[0x1a, 1, 0x80]).is_err());
    }
}
