//! A slot with the snapshot of the moment where its changes begin.

use super::config::{StreamConfig, Transport};
use super::metrics::Gauge;
use super::start;
use super::store::checkpoint::Checkpoint;
use crate::base::error::Error;
use crate::base::position::{Lsn, Position};
use crate::base::refusal::Refusal;
use crate::net::connection::{quote_literal, Connection};

/// A slot that was just made, and what the database was at the point where its
/// changes begin: what a transaction under [`SlotSnapshot::name`] reads, and the changes
/// of the slot, are all there is, without gap or overlap.
///
/// The snapshot is there for as long as this is; transactions that have begun under it
/// go on without it. The slot stays.
#[derive(Debug)]
pub struct SlotSnapshot {
    /// A replication connection, which must not be used while the snapshot is.
    connection: Connection,
    name: String,
    checkpoint: Checkpoint,
}

impl StreamConfig {
    /// Creates the slot, with [`StreamConfig::slot_two_phase`] as it is, and exports its
    /// snapshot. Waits for all transactions that are under way. For tables with a key
    /// [`Loader`](crate::Loader) is the better way: it needs no snapshot that
    /// is held open, and goes on after an interruption.
    ///
    /// # Errors
    /// The network's; the server's, as 42710 where the slot exists.
    pub async fn create_slot_with_snapshot(&self) -> Result<SlotSnapshot, Error> {
        let mut connection = Connection::connect_replication(&self.connect, &self.limits).await?;
        let system = start::identify(&mut connection, Transport::Replication).await?;
        let (slot, name) = start::create_slot(&mut connection, self, "export").await?;
        let name = name.ok_or_else(|| Error::Protocol("no snapshot was exported".into()))?;
        let checkpoint = system.checkpoint(&self.slot, (slot.confirmed, Position::default()));
        Ok(SlotSnapshot { connection, name, checkpoint })
    }
}

impl SlotSnapshot {
    /// What `SET TRANSACTION SNAPSHOT` takes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything that committed before is in the snapshot; all else comes by the slot.
    pub fn consistent_point(&self) -> Lsn {
        self.checkpoint.end_lsn
    }

    /// What to store with the snapshot's rows, in one transaction if it can be, for a
    /// stream that goes on from there.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Begins a transaction under the snapshot, on another connection to the same
    /// database; the caller ends it.
    ///
    /// # Errors
    /// The network's, the server's.
    pub async fn begin(&self, connection: &mut Connection) -> Result<(), Error> {
        connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let name = quote_literal(&self.name);
        let adopted = connection.query(&format!("SET TRANSACTION SNAPSHOT {name}")).await;
        if adopted.is_err() {
            connection.query("ROLLBACK").await?;
        }
        adopted.map(drop)
    }

    /// Gives the snapshot up.
    pub async fn close(self) {
        self.connection.close().await;
    }
}

/// How a slot stands on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotStatus {
    /// Up to where the server takes everything for dealt with.
    pub confirmed: Lsn,
    /// Bytes of WAL that are kept because of the slot.
    pub retained_bytes: u64,
    /// Bytes of WAL that may still be written before the slot is in danger of being lost;
    /// `None` where there is no limit.
    pub safe_bytes: Option<i64>,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub wal_status: String,
    /// Why it was invalidated (PostgreSQL 17 and later); empty if it was not.
    pub invalidation_reason: String,
    /// Who reads from it.
    pub active_pid: Option<i32>,
}

const STATUS: &str = "SELECT s.confirmed_flush_lsn, (CASE WHEN pg_catalog.pg_is_in_recovery() \
    THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END OPERATOR(pg_catalog.-) s.restart_lsn)::pg_catalog.int8, \
    s.safe_wal_size, s.wal_status, pg_catalog.to_jsonb(s) OPERATOR(pg_catalog.->>) 'invalidation_reason', s.active_pid \
    FROM pg_catalog.pg_replication_slots s WHERE s.slot_name OPERATOR(pg_catalog.=) $1::pg_catalog.name";

impl StreamConfig {
    /// Asks how the slot stands, on a connection of its own, and sets
    /// `cdc_retained_wal_bytes`. Meant to be called about once a minute.
    ///
    /// # Errors
    /// The network's, the server's; [`Refusal::NoSlot`].
    pub async fn slot_status(&self) -> Result<SlotStatus, Error> {
        let mut connection = Connection::connect(&self.connect, &self.limits).await?;
        let rows = connection.query_with(STATUS, &[Some(&self.slot)]).await?;
        connection.close().await;
        let row = rows.first().ok_or_else(|| Refusal::NoSlot(self.slot.clone()))?;
        let text = |at: usize| row.get(at).and_then(Option::as_deref).unwrap_or("");
        let status = SlotStatus {
            confirmed: text(0).parse().unwrap_or(Lsn::ZERO),
            retained_bytes: text(1).parse::<i64>().map_or(0, |n| u64::try_from(n).unwrap_or(0)),
            safe_bytes: text(2).parse().ok(),
            wal_status: text(3).to_owned(),
            invalidation_reason: text(4).to_owned(),
            active_pid: text(5).parse().ok(),
        };
        self.metrics.set(Gauge::RetainedWalBytes, status.retained_bytes as f64);
        Ok(status)
    }

    /// Drops the slot, with the options that are stored for it: what was not read from it
    /// is lost. One that is not there is no error.
    ///
    /// # Errors
    /// The network's; the server's, as 55006 where somebody uses it, which says who.
    pub async fn drop_slot(&self) -> Result<(), Error> {
        let mut connection = Connection::connect(&self.connect, &self.limits).await?;
        let dropped = connection.query_with("SELECT cdc.drop_slot($1)", &[Some(&self.slot)]).await;
        connection.close().await;
        match dropped {
            Err(Error::Server(error)) if error.code == "42704" => Ok(()),
            result => result.map(drop),
        }
    }
}
