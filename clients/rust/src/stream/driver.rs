//! The task that talks to the server: reads ahead within bounds, reports what
//! is durable, reconnects. It runs on its own, so that a consumer may take as
//! long as it wants.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{interval_at, sleep, timeout, timeout_at, Interval, MissedTickBehavior};

use super::config::{StreamConfig, Transport};
use super::keep::{keep, saved, Saving};
use super::metrics::{Counter, Gauge};
use super::start::{self, Slot, System};
use super::store::checkpoint::Checkpoint;
use super::tracker::{Micros, Role, Tracker};
use crate::base::error::{Error, Refusal, ServerError};
use crate::base::position::{Lsn, Position};
use crate::model::datetime::EPOCH_SECONDS;
use crate::net::connection::{Connection, Incoming};

/// What the consumer's side is told.
pub(super) enum Item {
    /// The payload of a message: a frame.
    Payload(Bytes),
    /// A new connection, by its number, and to what: what was incomplete is sent again.
    Reconnected(u64, System),
    /// The end; nothing follows.
    Failed(Error),
}

pub(super) struct Driver {
    pub(super) config: Arc<StreamConfig>,
    pub(super) tracker: Arc<Tracker>,
    pub(super) items: mpsc::UnboundedSender<Item>,
    pub(super) system: System,
    slot: Slot,
    /// What the store has; only this is ever reported as flushed.
    pub(super) durable: Lsn,
    /// Where the last report said that this is.
    pub(super) reported: Lsn,
    pub(super) received: Lsn,
    /// The end of the server's WAL, as far as it has said so.
    pub(super) wal_end: Lsn,
    wal_sender_timeout: Duration,
    /// How often in a row the server was given up for its silence.
    pub(super) silent: u32,
    /// True once the stream is to be closed: a store is not tried again and again then.
    closing: watch::Receiver<bool>,
    /// Those who wait until what is acknowledged up to there is stored and reported.
    pub(super) flushes: Vec<(Lsn, Flush)>,
}

/// Asks for what is acknowledged to be stored and reported, and is told when it is.
pub(super) type Flush = oneshot::Sender<()>;

/// What the consumer's side asks for.
pub(super) struct Orders {
    /// To end.
    pub(super) stop: oneshot::Receiver<()>,
    /// To make haste with what is acknowledged.
    pub(super) flush: mpsc::UnboundedReceiver<Flush>,
}

/// How often the checkpoint is stored, if it has moved.
pub(super) const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// For how long a slot that is in use is waited for at the start, and how often it is
/// tried.
const BUSY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_millis(250));

/// What counts where the server's `wal_sender_timeout` is 0.
const SENDER_TIMEOUT: Duration = Duration::from_secs(60);

/// How a session ended, when not by an error.
pub(super) enum Ended {
    /// As was asked for; whether everything was stored or reported before.
    Shutdown(Result<(), Error>),
    ConsumerGone,
}

/// After this a connection is no failed one.
const LONG: Duration = Duration::from_secs(60);

/// How long taking leave may take.
pub(super) const GOODBYE: Duration = Duration::from_secs(5);

impl Driver {
    /// Connects, checks, and begins to stream; from then on [`Driver::run`] goes
    /// on.
    pub(super) async fn start(
        config: Arc<StreamConfig>,
        tracker: Arc<Tracker>,
        items: mpsc::UnboundedSender<Item>,
        closing: watch::Receiver<bool>,
    ) -> Result<(Self, Connection), Error> {
        let began = Instant::now();
        let patience = match config.transport {
            Transport::Replication => BUSY.0,
            Transport::Fetch => BUSY.0 + config.wait(),
        };
        let mut created = false;
        loop {
            // anew each time: whoever has the slot may move it
            let begun = Self::begin(&config, &tracker, &items, &closing, &mut created).await;
            match begun {
                Err(Error::Server(error))
                    if error.code == "55006" && began.elapsed() < patience =>
                {
                    tracing::warn!(slot = %config.slot, %error, "waiting for the slot");
                    sleep(BUSY.1).await;
                }
                begun => return begun,
            }
        }
    }

    async fn begin(
        config: &Arc<StreamConfig>,
        tracker: &Arc<Tracker>,
        items: &mpsc::UnboundedSender<Item>,
        closing: &watch::Receiver<bool>,
        created: &mut bool,
    ) -> Result<(Self, Connection), Error> {
        let mut connection = start::connect(config).await?;
        let system =
            start::soon(config, start::identify(&mut connection, config.transport)).await?;
        let checkpoint = match &config.checkpoint {
            Some(store) => store.load().await?,
            None => None,
        };
        let known = start::slot(&mut connection, &config.slot, &system.database);
        let slot = match start::soon(config, known).await? {
            Some(slot) => slot,
            // a new slot would not have what lies between the checkpoint and it
            None if config.create_slot && checkpoint.is_none() => {
                *created = true;
                start::create_slot(&mut connection, config, "nothing").await?.0
            }
            None if checkpoint.is_some() => {
                return Err(Refusal::SlotGone(config.slot.clone()).into());
            }
            None => return Err(Refusal::NoSlot(config.slot.clone()).into()),
        };
        let wal_sender_timeout =
            start::soon(config, start::wal_sender_timeout(&mut connection)).await?;
        let mut driver = Driver {
            config: config.clone(),
            tracker: tracker.clone(),
            items: items.clone(),
            closing: closing.clone(),
            flushes: Vec::new(),
            durable: slot.confirmed,
            reported: slot.confirmed,
            received: slot.confirmed,
            wal_end: system.wal_end,
            system,
            slot,
            wal_sender_timeout,
            silent: 0,
        };
        driver.resume(&mut connection, checkpoint, *created).await?;
        driver.stream(&mut connection).await?;
        Ok((driver, connection))
    }

    async fn resume(
        &mut self,
        connection: &mut Connection,
        checkpoint: Option<Checkpoint>,
        created: bool,
    ) -> Result<(), Error> {
        let mut position = Position::default();
        let mut same_system = false;
        if let Some(checkpoint) = &checkpoint {
            start::check(connection, &self.config, &self.system, &self.slot, checkpoint).await?;
            same_system = checkpoint.system_identifier == self.system.identifier;
            if same_system {
                self.durable = checkpoint.end_lsn;
                position = checkpoint.position;
            }
        }
        let role = match &*self.config {
            config if config.read_only => Role::Reader,
            config if config.filters() && config.checkpoint.is_none() && !created => Role::Guest,
            _ => Role::Consumer,
        };
        self.tracker.begin(self.durable, position, role);
        // from now on a slot that moves without us is noticed
        if !same_system && !self.config.read_only {
            if let Some(store) = &self.config.checkpoint {
                store.save(&self.checkpoint(self.durable, position)).await?;
            }
        }
        Ok(())
    }

    fn checkpoint(&self, end_lsn: Lsn, position: Position) -> Checkpoint {
        self.system.checkpoint(&self.config.slot, (end_lsn, position))
    }

    /// From behind what was handed out already: that needs not come twice on
    /// this process's account. What is not acknowledged comes again after a
    /// restart.
    async fn stream(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let from = self.tracker.delivered();
        self.received = self.received.max(from);
        match self.config.transport {
            Transport::Replication => {
                let command = start::command(&self.config, from);
                start::soon(&self.config, connection.copy_both(&command)).await?;
            }
            Transport::Fetch => self.first_call(connection, from).await?,
        }
        tracing::info!(slot = %self.config.slot, lsn = %from, timeline = self.system.timeline,
            "streaming");
        Ok(())
    }

    /// Goes on, on new connections if need be. Whether what was acknowledged at the end is
    /// stored, or the server told.
    pub(super) async fn run(
        mut self,
        connection: Connection,
        mut orders: Orders,
    ) -> Result<(), Error> {
        let mut connection = Some(connection);
        let mut failures = 0u32;
        loop {
            let mut lived = None;
            let delivered = self.tracker.delivered();
            let error = match self.session(connection.take(), &mut lived, &mut orders).await {
                Ok(Ended::Shutdown(result)) => return result,
                Ok(Ended::ConsumerGone) => return Ok(()),
                Err(error) => error,
            };
            self.tracker.disconnected();
            self.measure();
            if !self.config.reconnect || !error.is_transient() {
                tracing::error!(slot = %self.config.slot, %error, "stream ended");
                let _ = self.items.send(Item::Failed(error));
                // what came before may still be acknowledged
                self.flushes.clear();
                orders.flush.close();
                return match orders.stop.await {
                    Ok(()) => self.store().await,
                    Err(_) => Ok(()),
                };
            }
            let lived = lived.is_some_and(|since: Instant| since.elapsed() > LONG);
            if lived || self.tracker.delivered() > delivered {
                failures = 0;
            }
            let pause = backoff(failures, self.config.max_backoff);
            failures = failures.saturating_add(1);
            tracing::warn!(slot = %self.config.slot, %error, ?pause, "reconnecting");
            tokio::select! {
                () = sleep(pause) => (),
                _ = &mut orders.stop => return self.leave_unreported().await,
                () = self.items.closed() => return Ok(()),
            }
            self.config.metrics.add(Counter::Reconnects, 1);
        }
    }

    async fn reconnect(&mut self) -> Result<Connection, Error> {
        let config = self.config.clone();
        let mut connection = start::connect(&config).await?;
        let known = async {
            let system = start::identify(&mut connection, config.transport).await?;
            let slot = start::slot(&mut connection, &config.slot, &system.database)
                .await?
                .ok_or_else(|| Refusal::NoSlot(config.slot.clone()))?;
            let timeout = start::wal_sender_timeout(&mut connection).await?;
            Ok((system, slot, timeout))
        };
        let (system, slot, wal_sender_timeout) = start::soon(&config, known).await?;
        // nothing that still waits is handed out behind this check's back
        let epoch = self.tracker.restart();
        // what was handed out counts, not only what is durable: it must be of
        // this server's history too
        let checkpoint =
            self.checkpoint(self.tracker.delivered().max(self.durable), Position::default());
        start::check(&mut connection, &self.config, &system, &slot, &checkpoint).await?;
        if slot.confirmed > self.durable {
            let (slot, checkpoint) = (slot.confirmed, self.durable);
            return Err(Refusal::SlotAhead { slot, checkpoint }.into());
        }
        self.wal_sender_timeout = wal_sender_timeout;
        self.wal_end = system.wal_end;
        (self.system, self.slot) = (system, slot);
        self.tracker.queue(0);
        let _ = self.items.send(Item::Reconnected(epoch, self.system.clone()));
        self.stream(&mut connection).await?;
        Ok(connection)
    }

    /// After how long a server that says nothing counts as gone, though it was asked to
    /// answer.
    pub(super) fn silence(&self) -> Duration {
        let timeout = match self.wal_sender_timeout {
            Duration::ZERO => SENDER_TIMEOUT,
            timeout => timeout.max(Duration::from_secs(1)),
        };
        // longer each time, should it just be slow
        timeout * (1 << self.silent.min(6))
    }

    fn interval(&self) -> Duration {
        let third = match self.wal_sender_timeout {
            Duration::ZERO => SENDER_TIMEOUT,
            timeout => timeout,
        } / 3;
        self.config.feedback_interval.min(third).max(Duration::from_millis(1))
    }

    async fn session(
        &mut self,
        connection: Option<Connection>,
        lived: &mut Option<Instant>,
        orders: &mut Orders,
    ) -> Result<Ended, Error> {
        let connection = match connection {
            Some(connection) => connection,
            None => tokio::select! {
                connection = self.reconnect() => connection?,
                _ = &mut orders.stop => {
                    return Ok(Ended::Shutdown(self.leave_unreported().await));
                }
            },
        };
        *lived = Some(Instant::now());
        match self.config.transport {
            Transport::Replication => self.replicate(connection, orders).await,
            Transport::Fetch => self.fetch(connection, orders).await,
        }
    }

    async fn replicate(
        &mut self,
        mut connection: Connection,
        orders: &mut Orders,
    ) -> Result<Ended, Error> {
        let (tracker, limit) = (self.tracker.clone(), self.config.max_buffered_bytes);
        let period = self.interval();
        let mut tick = ticks(period);
        let mut save = ticks(SAVE_INTERVAL);
        let mut saving: Saving = None;
        // when the server was last heard of, or not listened to
        let mut heard = Instant::now();
        loop {
            let room = tracker.has_room(limit);
            if !room {
                heard = Instant::now();
            }
            tokio::select! {
                biased;
                _ = &mut orders.stop => {
                    self.await_store(&mut saving).await;
                    return Ok(Ended::Shutdown(self.finish(connection).await));
                }
                () = self.items.closed() => return Ok(Ended::ConsumerGone),
                saved = saved(&mut saving) => {
                    self.durable = saved?;
                    self.report_durable(&mut connection).await?;
                }
                Some(flush) = orders.flush.recv() => {
                    self.flushes.push((tracker.acknowledged().0, flush));
                    self.save(&mut saving);
                    self.report_durable(&mut connection).await?;
                }
                _ = save.tick() => {
                    self.save(&mut saving);
                    self.report_durable(&mut connection).await?;
                }
                _ = tick.tick() => {
                    self.measure();
                    // at once, whatever the store does; it need not say anything by itself
                    // as long as it hears from us
                    let ask = room && heard.elapsed() >= period / 2;
                    self.report(&mut connection, ask).await?;
                }
                () = tracker.changed.notified(), if !room => (),
                message = timeout_at((heard + self.silence()).into(), connection.read_raw()), if room => {
                    let Ok(message) = message else {
                        self.silent += 1;
                        return Err(silent());
                    };
                    let message = message?;
                    (heard, self.silent) = (Instant::now(), 0);
                    if self.message(message)? {
                        self.save(&mut saving);
                        self.report(&mut connection, false).await?;
                    }
                }
            }
        }
    }

    /// Starts to save what is acknowledged, unless it is durable, or there is something
    /// under way. Whether that is so.
    pub(super) fn save(&mut self, saving: &mut Saving) -> bool {
        if saving.is_some() {
            return true;
        }
        let (lsn, position) = self.tracker.acknowledged();
        if lsn <= self.durable {
            return false;
        }
        let Some(store) = self.config.checkpoint.clone() else {
            self.durable = lsn;
            return false;
        };
        let checkpoint = self.checkpoint(lsn, position);
        *saving =
            Some(Box::pin(keep(self.config.clone(), store, checkpoint, self.closing.clone())));
        true
    }

    /// Whether the server asks for a report.
    fn message(&mut self, message: Incoming) -> Result<bool, Error> {
        match message.tag {
            b'd' => self.copy_data(message.body),
            b'E' => Err(ServerError::parse(&message.body).into()),
            b'N' => {
                tracing::warn!(slot = %self.config.slot, notice = %ServerError::parse(&message.body),
                    "the server says");
                Ok(false)
            }
            b'c' => Err(Error::Io(std::io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(false),
        }
    }

    fn copy_data(&mut self, body: Bytes) -> Result<bool, Error> {
        let lsn = |at: usize| {
            let bytes = body.get(at..at + 8).and_then(|b| b.try_into().ok());
            bytes.map(|b| Lsn(u64::from_be_bytes(b)))
        };
        let cut = || Error::Protocol("replication message is cut".into());
        match body.first() {
            // start of its data, end of WAL on the server, time
            Some(b'w') if body.len() >= 25 => {
                let (start, end) = (lsn(1).ok_or_else(cut)?, lsn(9).ok_or_else(cut)?);
                self.received = self.received.max(start);
                self.wal_end = self.wal_end.max(end);
                self.pass_on(body.slice(25..));
                Ok(false)
            }
            Some(b'k') if body.len() >= 18 => {
                let end = lsn(1).ok_or_else(cut)?;
                self.received = self.received.max(end);
                self.wal_end = self.wal_end.max(end);
                self.keepalive(end);
                Ok(body[17] != 0)
            }
            _ => Err(cut()),
        }
    }

    /// To the consumer's side: a frame.
    pub(super) fn pass_on(&mut self, payload: Bytes) {
        self.config.metrics.add(Counter::Bytes, payload.len() as u64);
        self.config.metrics.add(Counter::Batches, 1);
        self.tracker.queue(payload.len());
        // fails when the consumer is gone, which ends the session
        let _ = self.items.send(Item::Payload(payload));
        self.measure();
    }

    /// The server has sent everything up to here.
    pub(super) fn keepalive(&mut self, end: Lsn) {
        self.tracker.keepalive(end);
        self.measure();
    }

    pub(super) fn measure(&self) {
        let metrics = &self.config.metrics;
        metrics.set(Gauge::LagSeconds, self.tracker.lag(now()));
        let since = |lsn: Lsn| self.wal_end.0.saturating_sub(lsn.0) as f64;
        metrics.set(Gauge::LagBytes, since(self.durable));
        metrics.set(Gauge::RetainedWalBytes, since(self.slot.restart));
        metrics.set(Gauge::BufferedBytes, self.tracker.queued_bytes() as f64);
    }

    /// Reports, to a server that takes it.
    async fn report(&mut self, connection: &mut Connection, ask: bool) -> Result<(), Error> {
        let silence = self.silence();
        let told = timeout(silence, self.feedback(connection, ask)).await;
        told.map_err(|_| silent())??;
        self.flushed(self.reported);
        Ok(())
    }

    /// Tells those who wait that this is done.
    pub(super) fn flushed(&mut self, done: Lsn) {
        for (lsn, flush) in std::mem::take(&mut self.flushes) {
            match lsn <= done {
                true => drop(flush.send(())),
                false => self.flushes.push((lsn, flush)),
            }
        }
    }

    /// The same, if there is something new.
    async fn report_durable(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let waits = self.flushes.iter().any(|(lsn, _)| *lsn <= self.durable);
        match self.durable > self.reported || waits {
            true => self.report(connection, false).await,
            false => Ok(()),
        }
    }

    /// Standby status update. Flushed is what is durable here, never 0, never
    /// less than before. `ask`: the server is to answer.
    async fn feedback(&mut self, connection: &mut Connection, ask: bool) -> Result<(), Error> {
        let since = now() - EPOCH_SECONDS * 1_000_000;
        let written = match self.tracker.is_consumer() {
            true => self.received.max(self.durable),
            false => self.durable,
        };
        let mut message = [0u8; 34];
        message[0] = b'r';
        message[33] = u8::from(ask);
        for (at, number) in
            [(1, written.0), (9, self.durable.0), (17, self.durable.0), (25, since as u64)]
        {
            message[at..at + 8].copy_from_slice(&number.to_be_bytes());
        }
        connection.send_copy_data(&message).await?;
        self.reported = self.durable;
        tracing::debug!(slot = %self.config.slot, flushed = %self.durable, received = %written, "reported");
        Ok(())
    }

    /// At the end: lets the store finish what it is at. What it fails at is tried once
    /// more by [`Driver::store`].
    pub(super) async fn await_store(&mut self, saving: &mut Saving) {
        if saving.is_some() {
            if let Ok(lsn) = saved(saving).await {
                self.durable = lsn;
            }
        }
    }

    /// Saves what is acknowledged.
    pub(super) async fn store(&mut self) -> Result<(), Error> {
        let mut saving = None;
        self.save(&mut saving);
        if saving.is_some() {
            self.durable = saved(&mut saving).await?;
        }
        Ok(())
    }

    /// Whether all is well if the server has not heard of what is acknowledged: the
    /// next start makes up for that, if the store has it.
    pub(super) fn unreported(&self) -> Result<(), Error> {
        if self.config.checkpoint.is_some() || self.durable <= self.reported {
            return Ok(());
        }
        Err(Error::Io(std::io::Error::other(format!(
            "the server could not be told of what is acknowledged up to {}",
            self.durable
        ))))
    }

    /// Saves what is acknowledged, where there is no connection to report it by.
    async fn leave_unreported(&mut self) -> Result<(), Error> {
        self.store().await?;
        self.unreported()
    }

    /// Saves and reports what is acknowledged, and takes leave.
    async fn finish(&mut self, mut connection: Connection) -> Result<(), Error> {
        let stored = self.store().await;
        let told = timeout(GOODBYE, self.feedback(&mut connection, false)).await;
        if !matches!(told, Ok(Ok(()))) {
            return stored.and_then(|()| self.unreported());
        }
        // what the server still sends is of no interest; that it ends the copy says
        // that it has read the report
        let _ = timeout(GOODBYE, connection.end_copy()).await;
        connection.close().await;
        stored
    }
}

/// Nothing was heard for too long.
pub(super) fn silent() -> Error {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "the server is silent").into()
}

/// By this machine's clock.
pub(super) fn now() -> Micros {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as Micros
}

/// At this interval, from the end of one on.
pub(super) fn ticks(period: Duration) -> Interval {
    let mut ticks = interval_at(tokio::time::Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// A random time below a bound that doubles.
fn backoff(failures: u32, max: Duration) -> Duration {
    let bound = Duration::from_millis(100).saturating_mul(1 << failures.min(20)).min(max);
    let mut bytes = [0u8; 4];
    let _ = SystemRandom::new().fill(&mut bytes);
    bound.mul_f64(f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_is_bounded_and_random() {
        let max = Duration::from_secs(30);
        for failures in 0..70 {
            let bound = Duration::from_millis(100 << failures.min(20)).min(max);
            assert!(backoff(failures, max) <= bound);
        }
        let pauses: Vec<_> = (0..10).map(|_| backoff(60, max)).collect();
        assert!(pauses.iter().any(|p| *p != pauses[0]));
    }
}
