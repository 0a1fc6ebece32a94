//! The stream by the replication protocol: messages in, reports out.

use std::time::Instant;

use bytes::Bytes;
use tokio::time::{timeout, timeout_at};

use super::driver::{now, ticks, Driver, Ended, Orders, GOODBYE, SAVE_INTERVAL};
use super::keep::{saved, Saving};
use super::start::silent;
use crate::base::error::Error;
use crate::base::position::Lsn;
use crate::base::server::ServerError;
use crate::model::datetime::EPOCH_SECONDS;
use crate::net::connection::{Connection, Incoming};

impl Driver {
    pub(super) async fn replicate(
        &mut self,
        mut connection: Connection,
        orders: &mut Orders,
    ) -> Result<Ended, Error> {
        let (tracker, limit) = (self.tracker.clone(), self.config.buffer_bytes);
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

    /// Whether the server asks for a report.
    fn message(&mut self, message: Incoming) -> Result<bool, Error> {
        match message.tag {
            b'd' => self.copy_data(message.body),
            b'E' => Err(ServerError::parse(&message.body).into()),
            b'N' => {
                ServerError::parse(&message.body).say();
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

    /// Reports, to a server that takes it.
    async fn report(&mut self, connection: &mut Connection, ask: bool) -> Result<(), Error> {
        let silence = self.silence();
        let told = timeout(silence, self.feedback(connection, ask)).await;
        told.map_err(|_| silent())??;
        self.flushed(self.reported);
        Ok(())
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
