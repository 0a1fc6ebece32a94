//! What a consumer gets: a batch, its events, its schemas.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use super::assembler::Assembled;
use super::config::StreamConfig;
use super::metrics::Counter;
use super::store::deadletter::{DeadLetter, Policy, Reason};
use super::versions::VersionPolicy;
use crate::base::damage::Damage;
use crate::base::error::Error;
use crate::base::position::Position;
use crate::model::batch::{Batch, Events};
use crate::model::event::{Event, Op};
use crate::model::schema::{Schema, SchemaCache};
use crate::model::single::{header, single, single_under};
use crate::model::table::Table;
use crate::wire::field::put_bytes;

/// What to do about something that cannot be handled: goes on, or is the
/// error.
pub(super) fn apply(
    config: &StreamConfig,
    policy: Policy,
    letter: &DeadLetter<'_>,
    error: Error,
) -> Result<(), Error> {
    if policy == Policy::Stop {
        return Err(error);
    }
    tracing::warn!(slot = letter.slot, reason = letter.reason.name(), %error,
        position = letter.position.map(|p| p.to_string()), "passed over");
    if let (Some(sink), Policy::DeadLetter) = (&config.dead_letters, policy) {
        sink.put(letter)?;
    }
    config.metrics.add(Counter::DeadLetters(letter.reason.name()), 1);
    Ok(())
}

/// A batch of the stream. Holds its bytes; cheap to move and to clone.
#[derive(Clone)]
pub struct Delivery {
    pub(super) bytes: Bytes,
    pub(super) schemas: Arc<SchemaCache>,
    pub(super) config: Arc<StreamConfig>,
    pub(super) source: Bytes,
    pub(super) id: Option<u64>,
    pub(super) first: bool,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery").field("bytes", &self.bytes.len()).field("id", &self.id).finish()
    }
}

impl Delivery {
    /// The view of the batch.
    ///
    /// # Errors
    /// None in fact: the batch has been parsed before.
    pub fn batch(&self) -> Result<Batch<'_>, Damage> {
        Batch::parse(&self.bytes)
    }

    /// The serialized batch, without compression, and with events that were converted:
    /// what to pass on.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The schemas that have come so far.
    pub fn schemas(&self) -> &SchemaCache {
        &self.schemas
    }

    /// Whether it ends a transaction or is a message outside of one: what
    /// [`Stream::ack`](crate::Stream::ack) is for.
    pub fn is_end(&self) -> bool {
        self.id.is_some()
    }

    /// Whether it is the first one of a connection: transactions that had no
    /// outcome before it are sent again, see
    /// [`Assembler::disconnected`](crate::Assembler::disconnected).
    pub fn is_first_of_connection(&self) -> bool {
        self.first
    }

    /// The changes, each with its schema. Events that cannot be read and those
    /// with a `failure` are treated as the policies say.
    pub fn changes(&self) -> Changes<'_> {
        let batch = self.batch();
        let (batch, damage) = match batch {
            Ok(batch) => (Some(batch), None),
            Err(damage) => (None, Some(damage)),
        };
        let events = batch.as_ref().map(Batch::events);
        Changes { delivery: self, batch, events, damage, counts: Counts::default(), last: None }
    }

    fn dispose(
        &self,
        reason: Reason,
        batch: &Batch<'_>,
        event: &Event<'_>,
        schema: Option<&Schema>,
        error: Error,
    ) -> Result<(), Error> {
        set_aside(&self.config, reason, self.source(), batch, event, schema, error)
    }

    /// Sets a change aside that the caller's code could not handle, as
    /// [`StreamConfig::on_handler_error`] says.
    ///
    /// # Errors
    /// `error`, if the policy is to stop; what prevents the dead letter.
    pub fn reject(
        &self,
        change: &Change<'_>,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<(), Error> {
        let error = error.into();
        let batch = self.batch()?;
        self.dispose(Reason::Handler, &batch, &change.event, change.schema, Error::Other(error))
    }
}

impl Delivery {
    /// Sets all changes of this delivery aside, a letter for each, as
    /// [`Delivery::reject`] does. A transaction of several deliveries is rejected by
    /// rejecting each of them.
    ///
    /// # Errors
    /// As [`Delivery::reject`].
    pub fn reject_all(
        &self,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<(), Error> {
        let text = error.into().to_string();
        let mut letters = Letters::new(&self.config, &text);
        let header = header(&self.batch()?, self.source())?;
        for change in self.changes() {
            let change = change?;
            letters.add(change.position, single_under(&header, &change.event, change.schema))?;
        }
        letters.put()
    }

    /// The source that came last.
    fn source(&self) -> Option<&[u8]> {
        Some(&self.source[..]).filter(|source| !source.is_empty())
    }

    /// Sets all events of a transaction aside that was put together, a letter for each:
    /// with all that is known of it in the end. This is the delivery that completed it.
    ///
    /// # Errors
    /// As [`Delivery::reject`]; a spill file that cannot be read.
    pub fn reject_assembled(
        &self,
        transaction: &mut Assembled,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<(), Error> {
        let text = error.into().to_string();
        let mut letters = Letters::new(&self.config, &text);
        let mut header = transaction.header();
        if let Some(source) = self.source() {
            put_bytes(&mut header, 9, source);
        }
        transaction.for_each(|event| {
            let schema = match event.schema {
                0 => None,
                fingerprint => Some(&**self.schemas.get(fingerprint)?),
            };
            letters.add(event.position, single_under(&header, event, schema))
        })?;
        letters.put()
    }
}

/// How many letters are put at once.
const TOGETHER: usize = 256;

/// Events that are rejected together.
struct Letters<'a> {
    config: &'a StreamConfig,
    error: &'a str,
    held: Vec<(Position, Vec<u8>)>,
}

impl<'a> Letters<'a> {
    fn new(config: &'a StreamConfig, error: &'a str) -> Self {
        Letters { config, error, held: Vec::new() }
    }

    fn add(&mut self, position: Position, batch: Vec<u8>) -> Result<(), Error> {
        if self.config.on_handler_error == Policy::Stop {
            return Err(Error::Other(self.error.to_owned().into()));
        }
        self.held.push((position, batch));
        match self.held.len() < TOGETHER {
            true => Ok(()),
            false => self.put(),
        }
    }

    fn put(&mut self) -> Result<(), Error> {
        let config = self.config;
        let letters: Vec<_> = self
            .held
            .iter()
            .map(|(position, batch)| DeadLetter {
                reason: Reason::Handler,
                error: self.error,
                slot: &config.slot,
                position: Some(*position),
                batch,
            })
            .collect();
        let Some(first) = letters.first() else { return Ok(()) };
        tracing::warn!(
            slot = first.slot,
            reason = first.reason.name(),
            error = first.error,
            position = first.position.map(|p| p.to_string()),
            events = letters.len(),
            "passed over"
        );
        if let (Some(sink), Policy::DeadLetter) = (&config.dead_letters, config.on_handler_error) {
            sink.put_all(&letters)?;
        }
        let name = first.reason.name();
        config.metrics.add(Counter::DeadLetters(name), letters.len() as u64);
        self.held.clear();
        Ok(())
    }
}

/// An event as a dead letter, as the policy says.
pub(super) fn set_aside(
    config: &StreamConfig,
    reason: Reason,
    source: Option<&[u8]>,
    batch: &Batch<'_>,
    event: &Event<'_>,
    schema: Option<&Schema>,
    error: Error,
) -> Result<(), Error> {
    let policy = match reason {
        Reason::Failure => config.on_failure,
        Reason::Handler => config.on_handler_error,
        Reason::Version => match &config.on_version {
            VersionPolicy::Skip => Policy::Skip,
            VersionPolicy::DeadLetter => Policy::DeadLetter,
            _ => config.on_handler_error,
        },
        Reason::Damage | Reason::UnknownSchema => config.on_damage,
    };
    let alone = single(batch, event, schema, source)?;
    let text = error.to_string();
    let letter = DeadLetter {
        reason,
        error: &text,
        slot: &config.slot,
        position: Some(event.position),
        batch: &alone,
    };
    apply(config, policy, &letter, error)
}

/// A change: an event and the schema of its relation.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The event.
    pub event: Event<'a>,
    /// Of its relation; `None` for a message.
    pub schema: Option<&'a Schema>,
}

impl<'a> Change<'a> {
    /// The table; `None` for a message.
    pub fn table(&self) -> Option<&'a Table> {
        self.schema.map(|schema| &schema.table)
    }

    /// The major version of the relation that the rows are in; 0 for a message, and for
    /// a relation that is not registered.
    pub fn version(&self) -> u32 {
        self.schema.map_or(0, |schema| schema.version)
    }
}

impl<'a> Deref for Change<'a> {
    type Target = Event<'a>;

    fn deref(&self) -> &Event<'a> {
        &self.event
    }
}

/// Events by op, so that metrics are told once for a batch.
#[derive(Debug, Default)]
struct Counts {
    ops: [(Option<Op>, u64); 9],
    redacted: u64,
    unknown: u64,
}

impl Counts {
    fn add(&mut self, op: Op) {
        let free = self.ops.iter_mut().find(|(known, _)| known.is_none_or(|known| known == op));
        if let Some((known, n)) = free {
            *known = Some(op);
            *n += 1;
        }
    }
}

/// The changes of a [`Delivery`].
#[derive(Debug)]
pub struct Changes<'a> {
    delivery: &'a Delivery,
    batch: Option<Batch<'a>>,
    events: Option<Events<'a>>,
    damage: Option<Damage>,
    counts: Counts,
    last: Option<(&'a Schema, bool)>,
}

impl<'a> Changes<'a> {
    fn schema(&mut self, fingerprint: u64) -> Result<(&'a Schema, bool), Damage> {
        match self.last {
            Some(last) if last.0.fingerprint == fingerprint => Ok(last),
            _ => {
                let schema = &**self.delivery.schemas.get(fingerprint)?;
                let redacted = schema.table.columns.iter().any(|column| column.is_redacted());
                self.last = Some((schema, redacted));
                Ok((schema, redacted))
            }
        }
    }

    /// The change; `None` if it is passed over.
    fn change(&mut self, event: Event<'a>) -> Result<Option<Change<'a>>, Error> {
        let (delivery, Some(batch)) = (self.delivery, self.batch) else { return Ok(None) };
        self.counts.unknown += u64::from(event.unknown_fields());
        let mut schema = None;
        if event.schema != 0 {
            match self.schema(event.schema) {
                Ok((found, redacted)) => {
                    schema = Some(found);
                    self.counts.redacted += u64::from(redacted);
                }
                Err(damage) => {
                    delivery.dispose(damage.into(), &batch, &event, None, damage.into())?;
                    return Ok(None);
                }
            }
        }
        if let Some(failure) = event.failure.filter(|_| delivery.config.on_failure != Policy::Pass)
        {
            let error = Error::Failure {
                position: event.position,
                sqlstate: failure.sqlstate.into(),
                message: failure.message.into(),
            };
            delivery.dispose(Reason::Failure, &batch, &event, schema, error)?;
            return Ok(None);
        }
        self.counts.add(event.op);
        Ok(Some(Change { event, schema }))
    }

    /// An event that is no event: the batch as a whole is set aside.
    fn damaged(&mut self, damage: Damage) -> Result<(), Error> {
        let delivery = self.delivery;
        let text = damage.to_string();
        let letter = DeadLetter {
            reason: damage.into(),
            error: &text,
            slot: &delivery.config.slot,
            position: None::<Position>,
            batch: &delivery.bytes,
        };
        apply(&delivery.config, delivery.config.on_damage, &letter, damage.into())
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Result<Change<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(damage) = self.damage.take() {
                return Some(Err(damage.into()));
            }
            let result = match self.events.as_mut()?.next()? {
                Ok(event) => self.change(event).transpose(),
                Err(damage) => self.damaged(damage).err().map(Err),
            };
            if result.is_some() {
                return result;
            }
        }
    }
}

impl Drop for Changes<'_> {
    fn drop(&mut self) {
        let metrics = &self.delivery.config.metrics;
        for (op, n) in self.counts.ops {
            if let Some(op) = op {
                metrics.add(Counter::Events(op), n);
            }
        }
        let unknown = self.counts.unknown + u64::from(self.batch.map_or(0, |b| b.unknown_fields()));
        for (counter, n) in
            [(Counter::Redacted, self.counts.redacted), (Counter::UnknownFields, unknown)]
        {
            if n > 0 {
                metrics.add(counter, n);
            }
        }
    }
}
