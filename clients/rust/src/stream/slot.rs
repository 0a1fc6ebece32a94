//! A slot with the snapshot of the moment where its changes begin.

use super::config::StreamConfig;
use super::start;
use crate::error::Error;
use crate::net::{quote_literal, Connection};
use crate::position::Lsn;

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
    consistent_point: Lsn,
}

impl StreamConfig {
    /// Creates the slot, with [`StreamConfig::slot_two_phase`] as it is, and exports its
    /// snapshot. Waits for all transactions that are under way. For tables with a key
    /// [`InitialLoad`](crate::InitialLoad) is the better way: it needs no snapshot that
    /// is held open, and goes on after an interruption.
    ///
    /// # Errors
    /// The network's; the server's, as 42710 where the slot exists.
    pub async fn create_slot_with_snapshot(&self) -> Result<SlotSnapshot, Error> {
        let mut connection = Connection::connect_replication(&self.connect, &self.limits).await?;
        let (slot, name) = start::create_slot(&mut connection, self, "export").await?;
        let name = name.ok_or_else(|| Error::Protocol("no snapshot was exported".into()))?;
        Ok(SlotSnapshot { connection, name, consistent_point: slot.confirmed })
    }
}

impl SlotSnapshot {
    /// What `SET TRANSACTION SNAPSHOT` takes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything that committed before is in the snapshot; all else comes by the slot.
    /// The end of a checkpoint that was made of the snapshot's rows.
    pub fn consistent_point(&self) -> Lsn {
        self.consistent_point
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
