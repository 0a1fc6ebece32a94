//! Begins to stream, and goes on by other connections where one ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::config::{StreamConfig, Transport};
use super::driver::{Driver, Ended, Item, Orders};
use super::metrics::{reconnect_reason, Counter, Gauge, Metrics};
use super::start;
use super::store::checkpoint::Checkpoint;
use super::tracker::{Role, Tracker};
use crate::base::error::Error;
use crate::base::position::Position;
use crate::base::refusal::Refusal;
use crate::net::connection::Connection;

/// For how long a slot that is in use is waited for at the start, and how often it is
/// tried.
const BUSY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_millis(250));

/// After this a connection is no failed one.
const LONG: Duration = Duration::from_secs(60);

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
        let mut system =
            start::soon(config, start::identify(&mut connection, config.transport)).await?;
        let known = start::slot(&mut connection, &config.slot, &system.database);
        let known = start::soon(config, known).await?;
        // Behind the slot, which is never ahead of what is stored, and before the end of the WAL:
        // another consumer may move them meanwhile.
        let checkpoint = match &config.checkpoint {
            Some(store) => store.load().await?,
            None => None,
        };
        if checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.end_lsn > system.wal_end) {
            let again = start::identify(&mut connection, config.transport);
            system = start::soon(config, again).await?;
        }
        let slot = match known {
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
            "connected");
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
                tracing::error!(slot = %self.config.slot, %error, "the stream has ended");
                let _ = self.items.send(Item::Failed(error));
                // what came before may still be acknowledged
                self.forget_flushes(&mut orders);
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
            let reason = reconnect_reason(&error);
            tracing::warn!(slot = %self.config.slot, reason, %error, "the connection is lost");
            tokio::select! {
                () = sleep(pause) => (),
                _ = &mut orders.stop => return self.leave_unreported().await,
                () = self.items.closed() => return Ok(()),
            }
            self.config.metrics.add(Counter::Reconnects(reason), 1);
        }
    }

    /// Nobody waits any more, neither those who were heard nor those who have just asked.
    fn forget_flushes(&mut self, orders: &mut Orders) {
        self.flushes.clear();
        orders.flush.close();
        while orders.flush.try_recv().is_ok() {}
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
        let _connected = Connected::by(self.config.metrics.clone());
        match self.config.transport {
            Transport::Replication => self.replicate(connection, orders).await,
            Transport::Fetch => self.fetch(connection, orders).await,
        }
    }
}

/// There is a connection as long as this is there, also where the task is given up.
struct Connected(Arc<dyn Metrics>);

impl Connected {
    fn by(metrics: Arc<dyn Metrics>) -> Self {
        metrics.set(Gauge::Connected, 1.0);
        Connected(metrics)
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.set(Gauge::Connected, 0.0);
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
