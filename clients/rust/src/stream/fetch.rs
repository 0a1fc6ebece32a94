//! The stream by calls of `cdc.fetch()`: each gives what has come since the one
//! before, or waits for it, and confirms what is durable.

use super::start::silent;
use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{timeout, timeout_at, Instant};

use super::config::StreamConfig;
use super::driver::{ticks, Driver, Ended, Orders, GOODBYE, SAVE_INTERVAL};
use super::keep::{saved, Saving};
use crate::base::error::Error;
use crate::base::position::Lsn;
use crate::base::server::ServerError;
use crate::net::call::fields;
use crate::net::connection::{Connection, Incoming};

/// The server's own limit of a wait.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// How long the first call's answer is waited for before the stream counts as
/// started. What is refused is so at once; decoding what there is may take long.
const FIRST_ANSWER: Duration = Duration::from_secs(1);

/// What a row of `cdc.fetch()` is.
#[derive(Debug, PartialEq)]
enum Row {
    Batch {
        lsn: Lsn,
        payload: Bytes,
    },
    /// The last one: everything that committed before has come.
    End(Lsn),
}

impl Row {
    fn parse(body: &Bytes) -> Option<Self> {
        let [lsn, payload] = fields(body)?;
        let lsn = Lsn(u64::from_be_bytes(lsn?[..].try_into().ok()?));
        Some(match payload {
            Some(payload) => Row::Batch { lsn, payload },
            None => Row::End(lsn),
        })
    }
}

/// What calls `cdc.fetch()`, and its parameters. The statement has no name and needs
/// nothing of the session, so that poolers may give it to any.
fn statement(
    what: &str,
    config: &StreamConfig,
    confirmed: Lsn,
    from: Lsn,
    bytes: usize,
    wait: Duration,
) -> (String, Vec<Option<String>>) {
    let position = |lsn: Lsn| (lsn != Lsn::ZERO).then(|| lsn.to_string());
    let mut parameters = vec![
        Some(config.slot.clone()),
        position(confirmed),
        position(from.max(confirmed)),
        Some(bytes.to_string()),
        Some(format!("{} ms", wait.as_millis())),
    ];
    let mut options = Vec::new();
    for text in config.options.iter().flat_map(|(name, value)| [name, value]) {
        parameters.push(Some(text.clone()));
        options.push(format!("${}::text", parameters.len()));
    }
    let sql = format!(
        "SELECT {what} FROM cdc.fetch($1::name, $2::pg_lsn, $3::pg_lsn, $4::bigint, $5::interval, ARRAY[{}]::text[])",
        options.join(", ")
    );
    (sql, parameters)
}

impl StreamConfig {
    pub(super) fn wait(&self) -> Duration {
        self.fetch_wait.min(self.feedback_interval).min(MAX_WAIT)
    }

    fn bytes(&self) -> usize {
        self.fetch_bytes.min(self.buffer_bytes / 2).max(1)
    }
}

impl Driver {
    /// Asks for what comes at `from` and later; only what is durable is confirmed.
    async fn call(
        &mut self,
        connection: &mut Connection,
        from: Lsn,
        wait: Duration,
    ) -> Result<(), Error> {
        let config = &self.config;
        let (sql, parameters) =
            statement("lsn, data", config, self.durable, from, config.bytes(), wait);
        connection.call(&sql, &parameters).await?;
        self.reported = self.durable;
        Ok(())
    }

    /// Begins, and sees to it that what the server refuses is known at once.
    pub(super) async fn first_call(
        &mut self,
        connection: &mut Connection,
        from: Lsn,
    ) -> Result<(), Error> {
        self.call(connection, from, Duration::ZERO).await?;
        let answer = async {
            // the statement has been parsed, and then bound
            connection.expect(b'1').await?;
            connection.expect(b'2').await?;
            match connection.peek().await? {
                b'E' => connection.read().await.map(drop),
                _ => Ok(()),
            }
        };
        timeout(FIRST_ANSWER, answer).await.unwrap_or(Ok(()))
    }

    pub(super) async fn fetch(
        &mut self,
        mut connection: Connection,
        orders: &mut Orders,
    ) -> Result<Ended, Error> {
        let (tracker, limit) = (self.tracker.clone(), self.config.buffer_bytes);
        let mut tick = ticks(SAVE_INTERVAL);
        let mut saving: Saving = None;
        let wait = self.config.wait();
        let mut from = tracker.delivered();
        // when the server was last heard of, or not listened to
        let mut heard = Instant::now();
        loop {
            let at_work = connection.is_at_work();
            // no more is asked for than there is room for; a large transaction comes
            // whole, and waits where it is
            let room = match at_work {
                true => tracker.has_room(limit),
                false => tracker.queued_bytes() <= limit / 2,
            };
            if !(room && at_work) {
                heard = Instant::now();
            }
            tokio::select! {
                biased;
                _ = &mut orders.stop => {
                    self.await_store(&mut saving).await;
                    return Ok(Ended::Shutdown(self.take_leave(connection).await));
                }
                () = self.items.closed() => return Ok(Ended::ConsumerGone),
                saved = saved(&mut saving) => {
                    self.durable = saved?;
                    self.flushed(self.durable);
                }
                // the server hears of it with the next call
                Some(flush) = orders.flush.recv() => {
                    self.flushes.push((tracker.acknowledged().0, flush));
                    self.save(&mut saving);
                    self.flushed(self.durable);
                }
                _ = tick.tick() => {
                    self.measure();
                    self.save(&mut saving);
                }
                () = tracker.changed.notified(), if !room => (),
                // what is being saved is confirmed by the call
                () = ready(()), if room && !at_work && saving.is_none() => {
                    self.call(&mut connection, from, wait).await?;
                }
                message = timeout_at(heard + wait + self.silence(), connection.read_raw()), if room && at_work => {
                    let Ok(message) = message else {
                        self.silent += 1;
                        return Err(silent());
                    };
                    self.silent = 0;
                    heard = Instant::now();
                    if let Some(end) = self.answer(message?)? {
                        from = from.max(end);
                    }
                }
            }
        }
    }

    /// Where the answer ends, if it does.
    fn answer(&mut self, message: Incoming) -> Result<Option<Lsn>, Error> {
        match message.tag {
            b'D' => match Row::parse(&message.body) {
                Some(Row::Batch { lsn, payload }) => {
                    self.received = self.received.max(lsn);
                    self.wal_end = self.wal_end.max(lsn);
                    self.pass_on(payload);
                    Ok(None)
                }
                Some(Row::End(lsn)) => {
                    self.received = self.received.max(lsn);
                    self.wal_end = self.wal_end.max(lsn);
                    self.keepalive(lsn);
                    Ok(Some(lsn))
                }
                None => Err(Error::Protocol("unexpected row of cdc.fetch()".into())),
            },
            b'E' => Err(ServerError::parse(&message.body).into()),
            b'N' => {
                ServerError::parse(&message.body).say();
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// Ends the call at work, saves and confirms what is acknowledged.
    async fn take_leave(&mut self, mut connection: Connection) -> Result<(), Error> {
        let cancelled = timeout(GOODBYE, connection.cancel()).await;
        let stored = self.store().await;
        if !matches!(cancelled, Ok(Ok(()))) {
            return stored.and_then(|()| self.unreported());
        }
        if self.durable > self.reported {
            // Confirming is what it does first. Its rows come again.
            let (sql, parameters) =
                statement("count(*)", &self.config, self.durable, Lsn::ZERO, 1, Duration::ZERO);
            let confirmed = async {
                connection.call(&sql, &parameters).await?;
                while connection.is_at_work() {
                    let message = connection.read_raw().await?;
                    if message.tag == b'E' {
                        return Err(ServerError::parse(&message.body).into());
                    }
                }
                Ok::<_, Error>(())
            };
            match timeout(GOODBYE, confirmed).await {
                Ok(Ok(())) => self.reported = self.durable,
                Ok(Err(error)) => {
                    tracing::warn!(slot = %self.config.slot, lsn = %self.durable, %error,
                        "progress cannot be reported");
                }
                Err(_) => tracing::debug!(slot = %self.config.slot, "confirming takes long"),
            }
        }
        if !connection.is_at_work() {
            connection.close().await;
        }
        stored.and_then(|()| self.unreported())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows() {
        let batch = Bytes::from_static(b"\0\x02\0\0\0\x08\0\0\0\0\0\0\0\x07\0\0\0\x02ab");
        let payload = Bytes::from_static(b"ab");
        assert_eq!(Row::parse(&batch), Some(Row::Batch { lsn: Lsn(7), payload }));
        let end = Bytes::from_static(b"\0\x02\0\0\0\x08\0\0\0\0\0\0\0\x07\xff\xff\xff\xff");
        assert_eq!(Row::parse(&end), Some(Row::End(Lsn(7))));
        assert_eq!(Row::parse(&end.slice(..end.len() - 1)), None);
        let null = Bytes::from_static(b"\0\x02\xff\xff\xff\xff\xff\xff\xff\xff");
        assert_eq!(Row::parse(&null), None);
    }

    #[test]
    fn statements() {
        let connect = crate::ConnectConfig::parse_with("user=u", |_| None).unwrap();
        let mut config = StreamConfig::new(connect, "it's").option("batch_bytes", "1kB");
        let (sql, parameters) =
            statement("lsn, data", &config, Lsn(16), Lsn(8), 9, Duration::from_millis(1500));
        assert!(sql.ends_with("$5::interval, ARRAY[$6::text, $7::text]::text[])"), "{sql}");
        let texts: Vec<_> = parameters.iter().map(|p| p.as_deref().unwrap()).collect();
        assert_eq!(texts, ["it's", "0/10", "0/10", "9", "1500 ms", "batch_bytes", "1kB"]);
        config.options.clear();
        let (sql, parameters) =
            statement("lsn, data", &config, Lsn::ZERO, Lsn::ZERO, 9, Duration::ZERO);
        assert!(sql.ends_with("ARRAY[]::text[])"), "{sql}");
        assert_eq!(parameters[1..3], [None, None]);
        config.fetch_wait = Duration::from_secs(100);
        config.feedback_interval = Duration::from_secs(100);
        assert_eq!((config.wait(), config.bytes()), (MAX_WAIT, 16 << 20));
    }
}
