//! A checkpoint in a table of PostgreSQL, beside the effects.

use tokio::sync::Mutex;

use super::checkpoint::{BoxFuture, Checkpoint, CheckpointStore};
use crate::base::error::Error;
use crate::base::limits::Limits;
use crate::net::config::ConnectConfig;
use crate::net::connection::{quote_literal, Connection, Rows};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS cdc_checkpoint (\
    slot text PRIMARY KEY, system_identifier text NOT NULL, timeline int8 NOT NULL, \
    database text NOT NULL, position text NOT NULL, end_lsn pg_lsn NOT NULL, \
    updated_at timestamptz NOT NULL DEFAULT now())";

/// Table `cdc_checkpoint`, a row for each slot.
///
/// For effects that happen exactly once, run [`PostgresStore::save_sql`] of
/// [`Stream::checkpoint`](crate::Stream::checkpoint) in the transaction that applies the
/// change, with whatever driver that uses: the position and the effect then are there
/// together or not at all. What the stream saves afterwards changes nothing any more.
#[derive(Debug)]
pub struct PostgresStore {
    config: ConnectConfig,
    slot: String,
    connection: Mutex<Option<Connection>>,
}

impl PostgresStore {
    /// Connects when it is needed, and again when the connection breaks.
    pub fn new(config: ConnectConfig, slot: impl Into<String>) -> Self {
        PostgresStore { config, slot: slot.into(), connection: Mutex::new(None) }
    }

    /// Creates the table unless it exists.
    ///
    /// # Errors
    /// The server's, the network's.
    pub async fn create_table(&self) -> Result<(), Error> {
        self.query(TABLE, &[]).await.map(drop)
    }

    /// A statement that saves a checkpoint, to be run in a transaction of the
    /// caller's. It never goes back: a lower `end_lsn` or position than what is
    /// there is left out. (While a prepared transaction waits for its end, `end_lsn`
    /// stays and the position goes on.)
    pub fn save_sql(c: &Checkpoint) -> String {
        format!(
            "INSERT INTO cdc_checkpoint AS c (slot, system_identifier, timeline, database, position, end_lsn) \
             VALUES ({}, '{}', {}, {}, '{}', '{}') \
             ON CONFLICT (slot) DO UPDATE SET system_identifier = EXCLUDED.system_identifier, \
             timeline = EXCLUDED.timeline, database = EXCLUDED.database, position = EXCLUDED.position, \
             end_lsn = EXCLUDED.end_lsn, updated_at = now() \
             WHERE EXCLUDED.system_identifier <> c.system_identifier OR c.end_lsn <= EXCLUDED.end_lsn AND \
             (split_part(c.position, '/', 1) || '/' || split_part(c.position, '/', 2))::pg_lsn <= \
             (split_part(EXCLUDED.position, '/', 1) || '/' || split_part(EXCLUDED.position, '/', 2))::pg_lsn",
            quote_literal(&c.slot),
            c.system_identifier,
            c.timeline,
            quote_literal(&c.database),
            c.position,
            c.end_lsn
        )
    }

    async fn query(&self, sql: &str, values: &[&str]) -> Result<Rows, Error> {
        let mut guard = self.connection.lock().await;
        // taken out: an attempt that is cancelled leaves no half-read connection
        let mut connection = match guard.take() {
            Some(connection) => connection,
            None => Connection::connect(&self.config, &Limits::DEFAULT).await?,
        };
        let values: Vec<_> = values.iter().map(|value| Some(*value)).collect();
        let result = connection.query_with(sql, &values).await;
        if matches!(result, Ok(_) | Err(Error::Server(_))) {
            *guard = Some(connection);
        }
        result
    }

    /// Once more on a new connection, as the old one may just be gone.
    async fn persistent(&self, sql: &str, values: &[&str]) -> Result<Rows, Error> {
        match self.query(sql, values).await {
            Err(error) if error.is_transient() => {
                self.connection.lock().await.take();
                self.query(sql, values).await
            }
            result => result,
        }
    }
}

fn checkpoint(row: Vec<Option<String>>) -> Option<Checkpoint> {
    let [system, timeline, database, slot, position, end_lsn] = <[_; 6]>::try_from(row).ok()?;
    Some(Checkpoint {
        system_identifier: system?.parse().ok()?,
        timeline: timeline?.parse().ok()?,
        database: database?,
        slot: slot?,
        position: position?.parse().ok()?,
        end_lsn: end_lsn?.parse().ok()?,
    })
}

impl CheckpointStore for PostgresStore {
    fn load(&self) -> BoxFuture<'_, Result<Option<Checkpoint>, Error>> {
        Box::pin(async {
            let sql = "SELECT system_identifier, timeline, database, slot, position, end_lsn \
                       FROM cdc_checkpoint WHERE slot = $1";
            let Some(row) = self.persistent(sql, &[&self.slot]).await?.pop() else {
                return Ok(None);
            };
            let wrong = || Error::Config("the row in cdc_checkpoint is no checkpoint".into());
            checkpoint(row).map(Some).ok_or_else(wrong)
        })
    }

    fn save<'a>(&'a self, checkpoint: &'a Checkpoint) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { self.persistent(&Self::save_sql(checkpoint), &[]).await.map(drop) })
    }
}
