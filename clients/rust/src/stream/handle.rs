//! A stream: connection, acknowledgement, resuming.

use super::about::About;
use super::assembler::Assembler;
use super::config::StreamConfig;
use super::delivery::Delivery;
use super::letters::{apply, set_aside};
use super::slot::SlotStatus;
use super::txn::{Origin, Txn};
use crate::model::single::single;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::driver::{now, Item};
use super::guard::Guard;
use super::metrics::{Counter, Gauge, Histogram, HEARTBEAT, RECONNECTS};
use super::start::System;
use super::store::checkpoint::Checkpoint;
use super::store::deadletter::{DeadLetter, Reason};
use super::tracker::{seconds, Micros, Tracker};
use super::worker::Worker;
use crate::base::damage::Damage;
use crate::base::error::Error;
use crate::base::position::{Lsn, Position};
use crate::base::refusal::Refusal;
use crate::model::batch::{Batch, Outcome};
use crate::model::inflated::nested;
use crate::model::schema::SchemaCache;
use crate::model::sequence::Sequence;
use crate::wire::field::Fields;
use crate::wire::frame::unframe;
use crate::wire::inflate::Inflater;

/// What a stream gives, and is acknowledged: a [`Txn`] or a [`Delivery`].
pub trait Acknowledged: sealed::Ids {}

impl Acknowledged for Txn {}
impl Acknowledged for Delivery {}

mod sealed {
    /// What the stream knows it by.
    pub trait Ids {
        fn ids(&self) -> &[u64];
    }

    impl Ids for super::Txn {
        fn ids(&self) -> &[u64] {
            &self.ids
        }
    }

    impl Ids for super::Delivery {
        fn ids(&self) -> &[u64] {
            self.id.as_slice()
        }
    }
}

/// Acknowledges from other tasks.
#[derive(Clone, Debug)]
pub struct Acker {
    tracker: Arc<Tracker>,
    config: Arc<StreamConfig>,
}

impl Acker {
    /// As [`Stream::ack`].
    pub fn ack(&self, what: &impl Acknowledged) {
        acknowledge(&self.tracker, &self.config, what.ids());
    }
}

fn acknowledge(tracker: &Tracker, config: &StreamConfig, ids: &[u64]) {
    if let Some(received) = tracker.done(ids, true) {
        let waited = seconds(received, now());
        config.metrics.observe(Histogram::AcknowledgeDelaySeconds, waited);
    }
}

/// A stream of transactions, read ahead by a thread of its own that also reports to
/// the server, however long the consumer blocks. Dropping it ends the connection, and
/// what the server is at, if the process goes on; [`Stream::close`] reports what is
/// acknowledged first.
#[derive(Debug)]
pub struct Stream {
    config: Arc<StreamConfig>,
    tracker: Arc<Tracker>,
    items: mpsc::UnboundedReceiver<Item>,
    /// None with what comes from a script.
    worker: Option<Worker>,
    schemas: Arc<SchemaCache>,
    sequence: Sequence,
    inflater: Inflater,
    guard: Guard,
    source: Bytes,
    /// What was applied before this process began, or was handed out.
    applied: Lsn,
    ended: bool,
    /// No delivery has come on this connection yet.
    fresh: bool,
    /// The number of the connection that messages come by.
    epoch: u64,
    /// What that connection is to.
    system: System,
    /// What [`Stream::next`] puts together.
    assembler: Assembler,
}

impl StreamConfig {
    /// Connects, checks that it is safe to go on, and starts.
    ///
    /// # Errors
    /// Everything that prevents it. The first connection is tried once.
    pub async fn start(self) -> Result<Stream, Error> {
        Stream::start(self).await
    }
}

impl Stream {
    async fn start(mut config: StreamConfig) -> Result<Self, Error> {
        config.validate()?;
        let (guard, options) = config.guard()?;
        config.options = options;
        config.connect.forget_warnings();
        let config = Arc::new(config);
        let tracker = Arc::new(Tracker::default());
        let (sender, items) = mpsc::unbounded_channel();
        let (worker, system) = Worker::start(config.clone(), tracker.clone(), sender).await?;
        Self::new(config, guard, tracker, items, system, Some(worker))
    }

    pub(super) fn new(
        config: Arc<StreamConfig>,
        guard: Guard,
        tracker: Arc<Tracker>,
        items: mpsc::UnboundedReceiver<Item>,
        system: System,
        worker: Option<Worker>,
    ) -> Result<Self, Error> {
        let assembler = Assembler::of(&config.assembler)?;
        config.metrics.set(Gauge::BuildInfo, 1.0);
        // a series that begins with 0 has an increase
        config.metrics.add(Counter::Gaps, 0);
        RECONNECTS.iter().for_each(|reason| config.metrics.add(Counter::Reconnects(reason), 0));
        Ok(Stream {
            schemas: Arc::new(SchemaCache::new(config.limits)),
            inflater: Inflater::new(config.limits),
            guard,
            applied: tracker.acknowledged().0,
            config,
            tracker,
            items,
            worker,
            sequence: Sequence::new(),
            source: Bytes::new(),
            ended: false,
            fresh: true,
            epoch: 0,
            system,
            assembler,
        })
    }

    /// The next transaction, whole, in the order of the commits, or a message outside of
    /// transactions; waits for it. What came in parts, or before it had ended (with the
    /// option `streaming`), is put together, on disk beyond
    /// [`AssemblerConfig::memory_bytes`](crate::AssemblerConfig); what was rolled back is
    /// passed over and acknowledged. A prepared transaction comes when it is committed,
    /// and nothing from where it was prepared on is acknowledged until then, unless
    /// [`AssemblerConfig::deliver_prepared`](crate::AssemblerConfig) is set.
    ///
    /// Not to be mixed with [`Stream::next_batch`]. Cancel safe. After an error or the end
    /// there is nothing more.
    ///
    /// # Errors
    /// As [`Stream::next_batch`]; files that cannot be written.
    pub async fn next(&mut self) -> Option<Result<Txn, Error>> {
        loop {
            let txn = match self.next_batch().await? {
                Ok(delivery) => self.assemble(&delivery),
                Err(error) => return Some(Err(error)),
            };
            self.ended |= txn.is_err();
            if let Some(txn) = txn.transpose() {
                return Some(txn);
            }
        }
    }

    /// The transaction that ends here, unless it is passed over.
    fn assemble(&mut self, delivery: &Delivery) -> Result<Option<Txn>, Error> {
        if delivery.first {
            self.assembler.disconnected();
        }
        let tolerant = self.sequence.is_damaged();
        let schemas = &delivery.schemas;
        let Some(mut txn) = self.assembler.push_unseen(&delivery.batch()?, schemas, tolerant)?
        else {
            return Ok(None);
        };
        txn.ids.extend(delivery.id);
        txn.from = Some(Origin {
            config: self.config.clone(),
            schemas: schemas.clone(),
            source: delivery.source.clone(),
        });
        match txn.outcome {
            Outcome::Prepared | Outcome::RolledBack
                if !txn.gid.is_empty() && self.config.assembler.deliver_prepared => {}
            Outcome::Prepared => {
                self.assembler.keep_prepared(txn)?;
                return Ok(None);
            }
            Outcome::RolledBack => {
                let _ = self.tracker.done(&txn.ids, false);
                return Ok(None);
            }
            _ => (),
        }
        Ok(Some(txn))
    }

    /// The next batch, as soon as it comes, in the order of the stream; waits for it.
    /// Whole transactions come in the order of their commits, large ones in several
    /// batches; with `streaming` also those that have not ended. After a new connection a
    /// transaction of which only a part had come begins again with part 0: forget the
    /// earlier parts.
    ///
    /// Cancel safe. After an error or the end there is nothing more.
    ///
    /// # Errors
    /// What ended the stream. Errors that may pass are not among them, as the
    /// stream reconnects.
    pub async fn next_batch(&mut self) -> Option<Result<Delivery, Error>> {
        while !self.ended {
            let step = match self.items.recv().await {
                None => {
                    self.ended = true;
                    return None;
                }
                Some(Item::Failed(error)) => Err(error),
                Some(Item::Reconnected(epoch, system)) => {
                    (self.epoch, self.system) = (epoch, system);
                    self.sequence = Sequence::new();
                    self.guard.disconnected();
                    self.fresh = true;
                    self.tracker.reconnected();
                    self.tracker.taken(0, false);
                    continue;
                }
                Some(Item::Payload(payload, received)) => {
                    let result = self.payload(&payload, received);
                    self.tracker.taken(payload.len(), self.sequence.is_inside());
                    if matches!(result, Ok(None)) {
                        continue;
                    }
                    result
                }
            };
            self.ended = step.is_err();
            return step.transpose();
        }
        None
    }

    /// The delivery; `None` if it is passed over.
    fn payload(&mut self, payload: &Bytes, received: Micros) -> Result<Option<Delivery>, Error> {
        // a frame's length, and then no field that a batch has
        if payload.starts_with(b"{\"") {
            return Err(Refusal::Json(self.config.slot.clone()).into());
        }
        let outer = unframe(payload, &self.config.limits).map(|bytes| payload.slice_ref(bytes));
        let mut inside = Bytes::new();
        let parsed = match &outer {
            Ok(outer) => self.accept(outer, &mut inside),
            Err(damage) => Err(*damage),
        };
        let (bytes, batch) = match parsed {
            Ok(parsed) => parsed,
            Err(damage) => {
                self.sequence.lost();
                let text = damage.to_string();
                let letter = DeadLetter {
                    reason: damage.into(),
                    error: &text,
                    slot: &self.config.slot,
                    position: None,
                    batch: outer.as_ref().unwrap_or(payload),
                };
                let about = About::default();
                apply(&self.config, self.config.on_damage, &letter, about, damage.into())?;
                return Ok(None);
            }
        };
        let Some((end, position, beats)) = place(&batch, self.applied) else {
            if let Some(t) = &batch.transaction {
                self.assembler.forget(t.xid);
            }
            return Ok(None);
        };
        let converted = self.guard.check(&batch, &self.schemas, |event, schema, error| {
            let source = Some(&self.source[..]).filter(|source| !source.is_empty());
            let config = &self.config;
            let alone = single(&batch, event, Some(schema), source)?;
            let about = About::new(event.schema, Some(schema));
            set_aside(config, Reason::Version, event.position, about, &alone, error)
        })?;
        let mut id = None;
        if let Some(end) = end {
            let commit = match &batch.transaction {
                Some(t) => (t.commit_lsn != Lsn::ZERO).then_some(t.commit_time),
                None => Some(now()),
            };
            id = self.tracker.deliver(self.epoch, end, position, commit, received);
            // it had not been handed out when a new connection was made, and comes by that
            if id.is_none() {
                return Ok(None);
            }
            self.applied = self.applied.max(end);
            self.handed_out(&batch, received, beats);
        }
        let bytes = match converted {
            Some(converted) => {
                let schemas = Arc::make_mut(&mut self.schemas);
                schemas.add_all(&Batch::parse(&converted)?)?;
                converted.into()
            }
            None => bytes.clone(),
        };
        Ok(Some(Delivery {
            bytes,
            schemas: self.schemas.clone(),
            config: self.config.clone(),
            source: self.source.clone(),
            id,
            first: std::mem::take(&mut self.fresh),
        }))
    }

    /// Measures a transaction, or a message outside of one, that ends with a batch.
    fn handed_out(&self, batch: &Batch<'_>, received: Micros, beats: bool) {
        let metrics = &self.config.metrics;
        metrics.add(Counter::Transactions, 1);
        let Some(t) = batch.transaction.as_ref().filter(|t| t.commit_time != 0) else { return };
        if batch.outcome == Outcome::Committed {
            metrics.observe(Histogram::ReceiveDelaySeconds, seconds(t.commit_time, received));
        }
        if beats {
            self.tracker.beat(t.commit_time);
            metrics.set(Gauge::HeartbeatAgeSeconds, seconds(t.commit_time, now()));
        }
    }

    /// The batch, which is compressed, and then `inside`, or is not.
    fn accept<'a>(
        &mut self,
        outer: &'a Bytes,
        inside: &'a mut Bytes,
    ) -> Result<(&'a Bytes, Batch<'a>), Damage> {
        let (bytes, batch) = match Batch::parse(outer) {
            Err(Damage::Compressed) => {
                *inside = self.inflater.inflate(outer)?;
                (&*inside, Batch::parse(inside).map_err(nested)?)
            }
            parsed => (outer, parsed?),
        };
        self.guard.add_all(&batch, &mut self.schemas)?;
        if batch.source.is_some() {
            let source =
                Fields::new(batch.bytes()).flatten().filter(|field| field.number == 9).last();
            if let Some(source) = source.and_then(|field| field.value.bytes().ok()) {
                self.source = Bytes::copy_from_slice(source);
            }
        }
        self.sequence.check(&batch).inspect_err(|_| self.config.metrics.add(Counter::Gaps, 1))?;
        Ok((bytes, batch))
    }

    /// Says that a transaction, and for the caller everything in it, is
    /// durable. Its end is reported to the server when all before it are
    /// acknowledged too and the checkpoint is stored. Of a batch that ends
    /// nothing this does nothing.
    pub fn ack(&self, what: &impl Acknowledged) {
        acknowledge(&self.tracker, &self.config, what.ids());
    }

    /// What would be stored if this were acknowledged now, for consumers that deal with
    /// transactions in order and store it together with their effects: see
    /// [`PostgresStore::save_sql`](crate::PostgresStore::save_sql). Its timeline is that of
    /// the server that this stream reads from by now, whatever it began with: after a
    /// failover the former one would be refused at the next start.
    pub fn checkpoint(&self, what: &impl Acknowledged) -> Checkpoint {
        self.system.checkpoint(&self.config.slot, self.tracker.assuming(what.ids()))
    }

    /// Acknowledges from other tasks.
    pub fn acker(&self) -> Acker {
        Acker { tracker: self.tracker.clone(), config: self.config.clone() }
    }

    /// Up to where everything is acknowledged.
    pub fn acknowledged(&self) -> Lsn {
        self.tracker.acknowledged().0
    }

    /// As [`StreamConfig::slot_status`].
    ///
    /// # Errors
    /// As that.
    pub async fn slot_status(&self) -> Result<SlotStatus, Error> {
        self.config.slot_status().await
    }

    /// Waits until what is acknowledged by now is stored and, as soon as there is a
    /// connection, reported. (With [`Transport::Fetch`](crate::Transport::Fetch) it is reported by the next call,
    /// which may come after [`StreamConfig::fetch_wait`].)
    ///
    /// # Errors
    /// The stream has ended: [`Stream::next`] says why, and [`Stream::close`] whether
    /// everything is stored.
    pub async fn flush(&self) -> Result<(), Error> {
        match &self.worker {
            Some(worker) => worker.flush().await,
            None => Ok(()),
        }
    }

    /// Stores and reports what is acknowledged, and ends the connection.
    ///
    /// # Errors
    /// What kept the checkpoint from being stored or, without a store, the server from
    /// being told: then what was acknowledged comes again. And what had ended the stream
    /// before, if [`Stream::next`] has not told.
    pub async fn close(mut self) -> Result<(), Error> {
        let result = match self.worker.take() {
            Some(worker) => worker.close().await,
            None => Ok(()),
        };
        while let Ok(item) = self.items.try_recv() {
            if let Item::Failed(error) = item {
                return Err(error);
            }
        }
        result
    }
}

/// Where the batch ends, if it ends something, its position, and whether there is a heartbeat in
/// it. `None`: it has been applied before.
fn place(batch: &Batch<'_>, applied_until: Lsn) -> Option<(Option<Lsn>, Position, bool)> {
    let commit = match &batch.transaction {
        Some(t) => t.commit_lsn.max(t.prepare_lsn),
        None => batch.end_lsn,
    };
    let applied = match &batch.transaction {
        Some(_) => commit != Lsn::ZERO && commit < applied_until,
        None => commit <= applied_until,
    };
    if applied {
        return None;
    }
    if !batch.is_end() {
        return Some((None, Position::default(), false));
    }
    let (mut last, mut beats) = (None, false);
    for event in batch.events() {
        let event = event.ok();
        beats |= event.and_then(|e| e.message).is_some_and(|message| message.prefix == HEARTBEAT);
        last = event.map(|event| event.position);
    }
    let position = last.unwrap_or(Position { commit_lsn: commit, lsn: commit, index: 0 });
    Some((Some(batch.end_lsn), position, beats))
}
