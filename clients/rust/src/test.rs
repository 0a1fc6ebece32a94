//! A source of batches in memory, for tests of consumers: a [`Stream`] without
//! a server.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use pgcdc::test::{insert, Script};
//!
//! let mut stream = Script::new()
//!     .transaction(&[insert(1, "ada"), insert(2, "bob")])
//!     .start();
//! let txn = stream.next().await.unwrap()?;
//! assert_eq!(txn.event_len(), 2);
//! stream.ack(&txn);
//! # Ok(())
//! # }
//! ```

use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use crate::base::damage::Damage;
use crate::base::error::Error;
use crate::base::limits::Limits;
use crate::net::config::ConnectConfig;
use crate::pb;
use crate::stream::config::StreamConfig;
use crate::stream::handle::Stream;
use crate::stream::script::{Step, DATABASE, SYSTEM};
use crate::wire::frame::{unframe, Frames};

/// What a source plays.
#[derive(Debug, Default)]
pub struct Script {
    steps: Vec<Step>,
    lsn: u64,
    xid: u32,
    timeline: u32,
}

/// Fingerprint and serialized form of the table that [`insert`] writes to:
/// `public.things (id int4 key, name text)`.
pub fn things() -> pb::SchemaVersion {
    let column = |number, name: &str, r#type, pg_type: &str| pb::Column {
        number,
        name: name.into(),
        r#type,
        pg_type: pg_type.into(),
        key: number == 1,
        not_null: number == 1,
        ..pb::Column::default()
    };
    let table = pb::Table {
        schema: "public".into(),
        name: "things".into(),
        columns: vec![
            column(1, "id", pb::Type::Int32 as i32, "pg_catalog.int4"),
            column(2, "name", pb::Type::Text as i32, "pg_catalog.text"),
        ],
        replica_identity: pb::ReplicaIdentity::Default as i32,
    }
    .encode_to_vec();
    let fingerprint = crate::model::schema::fingerprint(&table);
    pb::SchemaVersion { fingerprint, table, ..pb::SchemaVersion::default() }
}

/// An INSERT into `public.things`.
pub fn insert(id: i32, name: &str) -> pb::ChangeEvent {
    let mut key = vec![0x08];
    crate::wire::field::put_varint(&mut key, u64::from(((id << 1) ^ (id >> 31)) as u32));
    let mut new = Vec::new();
    crate::wire::field::put_bytes(&mut new, 2, name.as_bytes());
    pb::ChangeEvent {
        op: pb::Op::Insert as i32,
        schema: things().fingerprint,
        key,
        new,
        ..pb::ChangeEvent::default()
    }
}

impl Script {
    /// An empty one.
    pub fn new() -> Self {
        Script { steps: Vec::new(), lsn: 0x1000, xid: 700, timeline: 1 }
    }

    /// The batches of a file: what `pg_recvlogical` wrote, or delimited
    /// batches.
    ///
    /// # Errors
    /// A file that is cut.
    pub fn frames(mut self, bytes: &[u8]) -> Result<Self, Damage> {
        for batch in Frames::new(bytes, Limits::DEFAULT) {
            self = self.batch(batch?);
        }
        Ok(self)
    }

    /// A serialized batch.
    #[must_use]
    pub fn batch(mut self, batch: &[u8]) -> Self {
        let mut payload = Vec::with_capacity(batch.len() + 10);
        crate::wire::field::put_varint(&mut payload, batch.len() as u64);
        payload.extend_from_slice(batch);
        self.steps.push(Step::Payload(payload.into()));
        self
    }

    /// Bytes that need not be a batch.
    #[must_use]
    pub fn payload(mut self, bytes: impl Into<Bytes>) -> Self {
        self.steps.push(Step::Payload(bytes.into()));
        self
    }

    /// A committed transaction of its own; offsets are filled in.
    #[must_use]
    pub fn transaction(mut self, events: &[pb::ChangeEvent]) -> Self {
        let mut events = events.to_vec();
        for (offset, event) in (0..).step_by(8).zip(&mut events) {
            event.lsn_offset = offset;
        }
        let first_lsn = self.lsn;
        let commit_lsn = first_lsn + events.len() as u64 * 8;
        self.lsn = commit_lsn + 0x30;
        self.xid += 1;
        let batch = pb::Batch {
            transaction: Some(pb::Transaction {
                xid: self.xid,
                first_lsn,
                commit_lsn,
                commit_time: 1_700_000_000_000_000,
                ..pb::Transaction::default()
            }),
            outcome: pb::Outcome::Committed as i32,
            end_lsn: self.lsn,
            event_count: events.len() as u64,
            schemas: vec![things()],
            events,
            source: Some(pb::Source {
                system_identifier: SYSTEM,
                timeline: self.timeline,
                database: DATABASE.into(),
                slot: "test".into(),
                plugin_version: "1.0".into(),
                server_version: 150_020,
                schema_changes: true,
            }),
            ..pb::Batch::default()
        };
        self.batch(&batch.encode_to_vec())
    }

    /// The last batch comes a second time, as after a new connection.
    #[must_use]
    pub fn duplicate(mut self) -> Self {
        let last = self.steps.iter().rev().find_map(|step| match step {
            Step::Payload(payload) => Some(payload.clone()),
            _ => None,
        });
        self.steps.extend(last.map(Step::Payload));
        self
    }

    /// Makes another batch of the last one: one that is compressed, or damaged.
    #[must_use]
    pub fn map_last(mut self, f: impl FnOnce(&[u8]) -> Vec<u8>) -> Self {
        match self.steps.pop() {
            Some(Step::Payload(payload)) => {
                let batch = f(unframe(&payload, &Limits::DEFAULT).unwrap_or(&payload));
                self.batch(&batch)
            }
            last => {
                self.steps.extend(last);
                self
            }
        }
    }

    /// Flips bits of the last batch, so that it cannot be read.
    #[must_use]
    pub fn damage(mut self) -> Self {
        if let Some(Step::Payload(payload)) = self.steps.last_mut() {
            let mut bytes = payload.to_vec();
            // behind the length: a field number of 0
            if let Some(start) = bytes.iter().position(|byte| *byte < 0x80) {
                bytes.truncate(start + 1);
                bytes.resize(payload.len(), 0);
            }
            *payload = bytes.into();
        }
        self
    }

    /// Nothing comes for a while.
    #[must_use]
    pub fn delay(mut self, time: Duration) -> Self {
        self.steps.push(Step::Delay(time));
        self
    }

    /// The connection breaks and is made again.
    #[must_use]
    pub fn reconnect(mut self) -> Self {
        self.steps.push(Step::Reconnect(self.timeline));
        self
    }

    /// The connection breaks, and the next one is to a standby that was promoted: the
    /// timeline is another one from here on.
    #[must_use]
    pub fn failover(mut self) -> Self {
        self.timeline += 1;
        self.reconnect()
    }

    /// The stream ends with an error.
    #[must_use]
    pub fn fail(mut self, error: Error) -> Self {
        self.steps.push(Step::Fail(error));
        self
    }

    /// Plays it with default settings. The stream ends when the script does.
    pub fn start(self) -> Stream {
        self.start_with(Self::config())
    }

    /// Settings to change for [`Script::start_with`]: policies, metrics, limits.
    pub fn config() -> StreamConfig {
        let connect = ConnectConfig::parse_with("user=test", |_| None);
        StreamConfig::new(connect.unwrap_or_else(|_| unreachable!("it has a user")), "test")
    }

    /// Plays it. Of the settings those that need a server have no effect.
    pub fn start_with(self, config: StreamConfig) -> Stream {
        Stream::play(config, self.steps)
    }
}
