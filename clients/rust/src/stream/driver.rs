//! The task that talks to the server: reads ahead within bounds, reports what
//! is durable, reconnects. It runs on its own, so that a consumer may take as
//! long as it wants.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{interval_at, sleep, MissedTickBehavior};

use super::config::{StreamConfig, Transport};
use super::start::{self, Slot, System};
use super::tracker::{Micros, Tracker};
use crate::checkpoint::{BoxFuture, Checkpoint};
use crate::datetime::EPOCH_SECONDS;
use crate::error::{Error, Refusal, ServerError};
use crate::metrics::{Counter, Gauge};
use crate::net::{Connection, Incoming};
use crate::position::{Lsn, Position};

/// What the consumer's side is told.
pub(super) enum Item {
    /// The payload of a message: a frame.
    Payload(Bytes),
    /// A new connection: what was incomplete is sent again.
    Reconnected,
    /// The end; nothing follows.
    Failed(Error),
}

pub(super) struct Driver {
    pub(super) config: Arc<StreamConfig>,
    pub(super) tracker: Arc<Tracker>,
    pub(super) items: mpsc::UnboundedSender<Item>,
    system: System,
    slot: Slot,
    /// What the store has; only this is ever reported as flushed.
    pub(super) durable: Lsn,
    /// Where the last report said that this is.
    pub(super) reported: Lsn,
    pub(super) received: Lsn,
    /// The end of the server's WAL, as far as it has said so.
    pub(super) wal_end: Lsn,
    wal_sender_timeout: u64,
    /// How often in a row a call was given up.
    pub(super) silent: u32,
}

/// A checkpoint on its way to the store.
pub(super) type Saving = Option<BoxFuture<'static, Result<Lsn, Error>>>;

/// How a session ended, when not by an error.
pub(super) enum Ended {
    Shutdown,
    ConsumerGone,
}

impl Driver {
    /// Connects, checks, and begins to stream; from then on [`Driver::run`] goes
    /// on.
    pub(super) async fn start(
        config: Arc<StreamConfig>,
        tracker: Arc<Tracker>,
        items: mpsc::UnboundedSender<Item>,
    ) -> Result<(Self, Option<Connection>), Error> {
        let mut connection = start::connect(&config).await?;
        let system = start::identify(&mut connection, config.transport).await?;
        let checkpoint = match &config.checkpoint {
            Some(store) => store.load().await?,
            None => None,
        };
        let slot = match start::slot(&mut connection, &config.slot, &system.database).await? {
            Some(slot) => slot,
            // a new slot would not have what lies between the checkpoint and it
            None if config.create_slot && checkpoint.is_none() => {
                start::create_slot(&mut connection, &config, "nothing").await?.0
            }
            None => return Err(Refusal::NoSlot(config.slot.clone()).into()),
        };
        let wal_sender_timeout = start::wal_sender_timeout(&mut connection).await?;
        let transport = config.transport;
        let mut driver = Driver {
            config,
            tracker,
            items,
            durable: slot.confirmed,
            reported: slot.confirmed,
            received: slot.confirmed,
            wal_end: system.wal_end,
            system,
            slot,
            wal_sender_timeout,
            silent: 0,
        };
        driver.resume(&mut connection, checkpoint).await?;
        match driver.stream(&mut connection).await {
            // the call of a client that was killed is still waiting
            Err(Error::Server(error)) if transport == Transport::Fetch && error.code == "55006" => {
                tracing::warn!(slot = %driver.config.slot, %error, "waiting for the slot");
                Ok((driver, None))
            }
            result => result.map(|()| (driver, Some(connection))),
        }
    }

    async fn resume(
        &mut self,
        connection: &mut Connection,
        checkpoint: Option<Checkpoint>,
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
        self.tracker.begin(self.durable, position);
        // from now on a slot that moves without us is noticed
        if !same_system {
            if let Some(store) = &self.config.checkpoint {
                store.save(&self.checkpoint(self.durable, position)).await?;
            }
        }
        Ok(())
    }

    fn checkpoint(&self, end_lsn: Lsn, position: Position) -> Checkpoint {
        Checkpoint {
            system_identifier: self.system.identifier,
            timeline: self.system.timeline,
            database: self.system.database.clone(),
            slot: self.config.slot.clone(),
            position,
            end_lsn,
        }
    }

    /// From behind what was handed out already: that needs not come twice on
    /// this process's account. What is not acknowledged comes again after a
    /// restart.
    async fn stream(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let from = self.tracker.delivered();
        self.received = self.received.max(from);
        match self.config.transport {
            Transport::Replication => {
                connection.copy_both(&start::command(&self.config, from)).await?;
            }
            Transport::Fetch => self.first_call(connection, from).await?,
        }
        tracing::info!(slot = %self.config.slot, lsn = %from, timeline = self.system.timeline,
            "streaming");
        Ok(())
    }

    /// Without a connection it makes one.
    pub(super) async fn run(
        mut self,
        mut connection: Option<Connection>,
        mut shutdown: oneshot::Receiver<()>,
    ) {
        let mut failures = 0u32;
        loop {
            let began = Instant::now();
            let error = match self.session(connection.take(), &mut shutdown).await {
                Ok(Ended::Shutdown | Ended::ConsumerGone) => return,
                Err(error) => error,
            };
            self.tracker.disconnected();
            self.measure();
            if !self.config.reconnect || !error.is_transient() {
                tracing::error!(slot = %self.config.slot, %error, "stream ended");
                let _ = self.items.send(Item::Failed(error));
                return;
            }
            if began.elapsed() > Duration::from_secs(60) {
                failures = 0;
            }
            let pause = backoff(failures, self.config.max_backoff);
            failures = failures.saturating_add(1);
            tracing::warn!(slot = %self.config.slot, %error, ?pause, "reconnecting");
            tokio::select! {
                () = sleep(pause) => (),
                _ = &mut shutdown => return self.store().await,
                () = self.items.closed() => return,
            }
            self.config.metrics.add(Counter::Reconnects, 1);
        }
    }

    async fn reconnect(&mut self) -> Result<Connection, Error> {
        let mut connection = start::connect(&self.config).await?;
        let system = start::identify(&mut connection, self.config.transport).await?;
        let slot = start::slot(&mut connection, &self.config.slot, &system.database)
            .await?
            .ok_or_else(|| Refusal::NoSlot(self.config.slot.clone()))?;
        // what was handed out counts, not only what is durable: it must be of
        // this server's history too
        let checkpoint =
            self.checkpoint(self.tracker.delivered().max(self.durable), Position::default());
        start::check(&mut connection, &self.config, &system, &slot, &checkpoint).await?;
        if slot.confirmed > self.durable {
            let (slot, checkpoint) = (slot.confirmed, self.durable);
            return Err(Refusal::SlotAhead { slot, checkpoint }.into());
        }
        self.wal_sender_timeout = start::wal_sender_timeout(&mut connection).await?;
        self.wal_end = system.wal_end;
        (self.system, self.slot) = (system, slot);
        self.tracker.queue(0);
        let _ = self.items.send(Item::Reconnected);
        self.stream(&mut connection).await?;
        Ok(connection)
    }

    fn interval(&self) -> Duration {
        let half = Duration::from_millis(match self.wal_sender_timeout {
            0 => u64::MAX / 2,
            timeout => (timeout / 2).max(1),
        });
        self.config.feedback_interval.min(half)
    }

    async fn session(
        &mut self,
        connection: Option<Connection>,
        shutdown: &mut oneshot::Receiver<()>,
    ) -> Result<Ended, Error> {
        let connection = match connection {
            Some(connection) => connection,
            None => tokio::select! {
                connection = self.reconnect() => connection?,
                _ = &mut *shutdown => {
                    self.store().await;
                    return Ok(Ended::Shutdown);
                }
            },
        };
        match self.config.transport {
            Transport::Replication => self.replicate(connection, shutdown).await,
            Transport::Fetch => self.fetch(connection, shutdown).await,
        }
    }

    async fn replicate(
        &mut self,
        mut connection: Connection,
        shutdown: &mut oneshot::Receiver<()>,
    ) -> Result<Ended, Error> {
        let (tracker, limit) = (self.tracker.clone(), self.config.max_buffered_bytes);
        let period = self.interval();
        let mut tick = interval_at(tokio::time::Instant::now() + period, period);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut saving: Saving = None;
        // a report is due as soon as what is being saved is durable
        let mut report = false;
        loop {
            let room = tracker.has_room(limit);
            tokio::select! {
                biased;
                _ = &mut *shutdown => {
                    if let Some(saving) = saving.take() {
                        self.durable = saving.await?;
                    }
                    return self.finish(connection).await;
                }
                () = self.items.closed() => return Ok(Ended::ConsumerGone),
                saved = saved(&mut saving) => {
                    self.durable = saved?;
                    if report {
                        report = false;
                        self.feedback(&mut connection).await?;
                    }
                }
                _ = tick.tick() => {
                    self.measure();
                    // at once, whatever the store does
                    self.feedback(&mut connection).await?;
                    report = self.save(&mut saving);
                }
                () = tracker.changed.notified(), if !room => (),
                message = connection.read_raw(), if room => {
                    if self.message(message?)? {
                        report = self.save(&mut saving);
                        if !report {
                            self.feedback(&mut connection).await?;
                        }
                    }
                }
            }
        }
    }

    /// Starts to save what is acknowledged, unless it is durable. Whether a save
    /// is under way.
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
        *saving = Some(Box::pin(async move {
            match store.save(&checkpoint).await {
                Ok(()) => Ok(lsn),
                // not a reason to connect again
                Err(error) => Err(Error::Other(Box::new(error))),
            }
        }));
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

    /// Standby status update. Flushed is what is durable here, never 0, never
    /// less than before.
    async fn feedback(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let since = now() - EPOCH_SECONDS * 1_000_000;
        let written = self.received.max(self.durable);
        let mut message = [0u8; 34];
        message[0] = b'r';
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

    /// Saves what is acknowledged; without a connection nothing can be
    /// reported, which the next one makes up for.
    pub(super) async fn store(&mut self) {
        let mut saving = None;
        self.save(&mut saving);
        if let Some(saving) = saving {
            match saving.await {
                Ok(lsn) => self.durable = lsn,
                Err(error) => {
                    tracing::error!(slot = %self.config.slot, %error, "checkpoint not saved")
                }
            }
        }
    }

    /// Saves and reports what is acknowledged, and takes leave.
    async fn finish(&mut self, mut connection: Connection) -> Result<Ended, Error> {
        self.store().await;
        let goodbye = async {
            self.feedback(&mut connection).await?;
            connection.end_copy().await
        };
        // what the server still sends is of no interest
        let _ = tokio::time::timeout(Duration::from_secs(5), goodbye).await;
        connection.close().await;
        Ok(Ended::Shutdown)
    }
}

/// By this machine's clock.
pub(super) fn now() -> Micros {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as Micros
}

/// Waits for what is being saved, if there is something.
pub(super) async fn saved(saving: &mut Saving) -> Result<Lsn, Error> {
    match saving {
        Some(future) => {
            let result = future.await;
            *saving = None;
            result
        }
        None => std::future::pending().await,
    }
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
