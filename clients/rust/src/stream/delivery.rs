//! What a consumer gets: a batch, its events, its schemas.

use std::sync::Arc;

use bytes::Bytes;

use super::about::About;
use super::change::{Change, Sieve};
use super::config::StreamConfig;
use super::letters::{apply, set_aside, Letters};
use super::store::deadletter::{DeadLetter, Reason};
use super::txn::Txn;
use crate::base::damage::Damage;
use crate::base::error::Error;
use crate::model::batch::{Batch, Events};
use crate::model::event::Event;
use crate::model::schema::SchemaCache;
use crate::model::single::{header, single, single_under};

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
        let (batch, damage) = match self.batch() {
            Ok(batch) => (Some(batch), None),
            Err(damage) => (None, Some(damage)),
        };
        let mut sieve = Sieve::new(Some(&self.config));
        sieve.unknown(batch.map_or(0, |batch| batch.unknown_fields()));
        Changes { delivery: self, batch, events: batch.map(|b| b.events()), damage, sieve }
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
        let alone = single(&self.batch()?, &change.event, change.schema, self.source())?;
        let about = About::new(change.event.schema, change.schema);
        set_aside(
            &self.config,
            Reason::Handler,
            change.position,
            about,
            &alone,
            Error::Other(error),
        )
    }

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

    /// Sets all events of a transaction aside that an [`Assembler`](crate::Assembler) put
    /// together, a letter for each: with all that is known of it in the end. This is the
    /// delivery that completed it. [`Txn::reject_all`] does so for one of
    /// [`Stream::next`](crate::Stream::next).
    ///
    /// # Errors
    /// As [`Delivery::reject`]; a spill file that cannot be read.
    pub fn reject_txn(
        &self,
        transaction: &Txn,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<(), Error> {
        let text = error.into().to_string();
        transaction.reject_as(&self.config, &self.schemas, self.source(), &text)
    }
}

/// The changes of a [`Delivery`].
#[derive(Debug)]
pub struct Changes<'a> {
    delivery: &'a Delivery,
    batch: Option<Batch<'a>>,
    events: Option<Events<'a>>,
    damage: Option<Damage>,
    sieve: Sieve<'a>,
}

impl<'a> Changes<'a> {
    /// The change; `None` if it is passed over.
    fn change(&mut self, event: Event<'a>) -> Result<Option<Change<'a>>, Error> {
        let (delivery, Some(batch)) = (self.delivery, self.batch) else { return Ok(None) };
        self.sieve.change(event, &delivery.schemas, |event, schema| {
            single(&batch, event, schema, delivery.source())
        })
    }

    /// An event that is no event: the batch as a whole is set aside.
    fn damaged(&mut self, damage: Damage) -> Result<(), Error> {
        let delivery = self.delivery;
        let text = damage.to_string();
        let letter = DeadLetter {
            reason: damage.into(),
            error: &text,
            slot: &delivery.config.slot,
            position: None,
            batch: &delivery.bytes,
        };
        apply(&delivery.config, delivery.config.on_damage, &letter, About::default(), damage.into())
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
