//! What talks to the server: reads ahead within bounds, reports what is durable. It
//! runs on its own, so that a consumer may take as long as it wants.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{interval_at, Interval, MissedTickBehavior};

use super::config::StreamConfig;
use super::keep::{keep, saved, Saving};
use super::metrics::{Counter, Gauge};
use super::start::{Slot, System};
use super::store::checkpoint::Checkpoint;
use super::tracker::{Micros, Tracker};
use crate::base::error::Error;
use crate::base::position::{Lsn, Position};

/// What the consumer's side is told.
pub(super) enum Item {
    /// The payload of a message: a frame, and when it came.
    Payload(Bytes, Micros),
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
    pub(super) slot: Slot,
    /// What the store has; only this is ever reported as flushed.
    pub(super) durable: Lsn,
    /// Where the last report said that this is.
    pub(super) reported: Lsn,
    pub(super) received: Lsn,
    /// The end of the server's WAL, as far as it has said so.
    pub(super) wal_end: Lsn,
    pub(super) wal_sender_timeout: Duration,
    /// How often in a row the server was given up for its silence.
    pub(super) silent: u32,
    /// True once the stream is to be closed: a store is not tried again and again then.
    pub(super) closing: watch::Receiver<bool>,
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

/// What counts where the server's `wal_sender_timeout` is 0.
const SENDER_TIMEOUT: Duration = Duration::from_secs(60);

/// How a session ended, when not by an error.
pub(super) enum Ended {
    /// As was asked for; whether everything was stored or reported before.
    Shutdown(Result<(), Error>),
    ConsumerGone,
}

/// How long taking leave may take.
pub(super) const GOODBYE: Duration = Duration::from_secs(5);

impl Driver {
    pub(super) fn checkpoint(&self, end_lsn: Lsn, position: Position) -> Checkpoint {
        self.system.checkpoint(&self.config.slot, (end_lsn, position))
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

    pub(super) fn interval(&self) -> Duration {
        let third = match self.wal_sender_timeout {
            Duration::ZERO => SENDER_TIMEOUT,
            timeout => timeout,
        } / 3;
        self.config.feedback_interval.min(third).max(Duration::from_millis(1))
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

    /// To the consumer's side: a frame.
    pub(super) fn pass_on(&mut self, payload: Bytes) {
        self.config.metrics.add(Counter::Bytes, payload.len() as u64);
        self.config.metrics.add(Counter::Batches, 1);
        self.tracker.queue(payload.len());
        // fails when the consumer is gone, which ends the session
        let _ = self.items.send(Item::Payload(payload, now()));
        self.measure();
    }

    /// The server has sent everything up to here.
    pub(super) fn keepalive(&mut self, end: Lsn) {
        self.tracker.keepalive(end);
        self.measure();
    }

    pub(super) fn measure(&self) {
        let metrics = &self.config.metrics;
        let now = now();
        metrics.set(Gauge::LagSeconds, self.tracker.lag(now));
        if let Some(age) = self.tracker.heartbeat_age(now) {
            metrics.set(Gauge::HeartbeatAgeSeconds, age);
        }
        let since = |lsn: Lsn| self.wal_end.0.saturating_sub(lsn.0) as f64;
        metrics.set(Gauge::LagBytes, since(self.durable));
        metrics.set(Gauge::RetainedWalBytes, since(self.slot.restart));
        metrics.set(Gauge::BufferedBytes, self.tracker.queued_bytes() as f64);
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
    pub(super) async fn leave_unreported(&mut self) -> Result<(), Error> {
        self.store().await?;
        self.unreported()
    }
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
