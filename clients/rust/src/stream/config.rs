//! How a stream is to be read.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::guard::{expected, option, Guard};
use super::metrics::Metrics;
use super::store::checkpoint::CheckpointStore;
use super::store::deadletter::{DeadLetterSink, Policy};
use super::versions::VersionPolicy;
use crate::base::error::Error;
use crate::base::limits::Limits;
use crate::net::config::ConnectConfig;

/// How a stream comes from the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// The streaming replication protocol: the server sends what there is at once.
    /// The role needs REPLICATION.
    #[default]
    Replication,
    /// Asks for changes by SQL, with `cdc.fetch()`. The role needs neither
    /// REPLICATION nor SELECT: the slot is bound to it. There is no state of a session,
    /// so that it works behind poolers too. Each slot must have one consumer only:
    /// the server does not keep two apart, as it does with replication.
    Fetch,
}

/// How the server is to compress batches, see [`StreamConfig::compression`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// Costs the server less.
    Lz4,
    /// Makes less of it.
    Zstd,
}

impl Compression {
    const ALL: [Compression; 3] = [Compression::None, Compression::Lz4, Compression::Zstd];

    /// What the plugin's option is set to.
    pub const fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    /// Whether this build can read it.
    pub const fn is_supported(self) -> bool {
        match self {
            Compression::None => true,
            Compression::Lz4 => cfg!(feature = "lz4"),
            Compression::Zstd => cfg!(feature = "zstd"),
        }
    }
}

impl std::str::FromStr for Compression {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let known = Compression::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| Error::Config(format!("compression is none, lz4 or zstd, not {name}")))
    }
}

/// Where a stream keeps transactions until they end.
#[derive(Clone)]
#[non_exhaustive]
pub struct AssemblerConfig {
    /// How much is kept in memory, of all transactions together; 64 MiB by default. What
    /// is beyond goes to files.
    pub memory_bytes: usize,
    /// Of the files; by default that for temporary files.
    pub directory: PathBuf,
    /// Encrypts the files with AES-256-GCM.
    pub key: Option<[u8; 32]>,
    /// Gives prepared transactions when they are prepared, and how they ended as
    /// transactions without events; acknowledging a prepared one says that it is durable
    /// with the consumer.
    pub deliver_prepared: bool,
}

impl Default for AssemblerConfig {
    fn default() -> Self {
        AssemblerConfig {
            memory_bytes: 64 << 20,
            directory: std::env::temp_dir(),
            key: None,
            deliver_prepared: false,
        }
    }
}

/// Options of the plugin that leave nothing out. With any other the stream has less than
/// the slot may be meant for.
const WITHOUT_LOSS: [&str; 8] = [
    "format",
    "proto_version",
    "batch_bytes",
    "schemas",
    "streaming",
    "two_phase",
    "compression",
    "versions",
];

/// Settings of a [`Stream`](crate::Stream); [`StreamConfig::start`] starts it.
#[derive(Clone)]
#[non_exhaustive]
pub struct StreamConfig {
    /// The server.
    pub connect: ConnectConfig,
    /// Name of the replication slot.
    pub slot: String,
    /// How the stream comes.
    pub transport: Transport,
    /// With [`Transport::Fetch`]: how long the server waits for changes before it says
    /// that there are none; 10 s by default, at most a minute and
    /// `feedback_interval`. While it waits, VACUUM cannot remove rows that are
    /// deleted meanwhile; and the slot of a client that was killed is in use for so
    /// long.
    pub fetch_wait: Duration,
    /// With [`Transport::Fetch`]: after how many bytes the server ends an answer, with
    /// the transaction that reaches it; 16 MiB by default, at most half of
    /// `buffer_bytes`.
    pub fetch_bytes: usize,
    /// Just looks: nothing is acknowledged, whatever [`Stream::ack`](crate::Stream::ack) is called for, and
    /// the slot stays where it is.
    ///
    /// Otherwise the slot follows what is acknowledged and, while nothing is in flight,
    /// the server. (Not before something is acknowledged where `options` leave something
    /// out, no checkpoint is kept, and the slot was there before: then whoever reads may
    /// not be the one whom the slot is for.)
    pub read_only: bool,
    /// Options of the plugin: `publication_names`, `messages`, `streaming` …
    pub options: BTreeMap<String, String>,
    /// Creates the slot if it does not exist and there is no checkpoint. Not with
    /// [`Transport::Fetch`]: `cdc.create_slot(..., reader => ...)` makes its slots.
    pub create_slot: bool,
    /// With `create_slot`: a slot that decodes prepared transactions.
    pub slot_two_phase: bool,
    /// Where the consumer's position is kept. Without one the slot's position
    /// is all there is: a start cannot be refused.
    pub checkpoint: Option<Arc<dyn CheckpointStore>>,
    /// For how long a store that fails is tried again, after pauses of 0.1 to 5 s, before
    /// the stream ends with [`Error::Store`]; 30 s by default. What is not stored is
    /// never reported.
    pub store_timeout: Duration,
    /// Goes on from a checkpoint of another system, from where the slot is.
    /// For pg_upgrade, which gives a new identifier.
    pub accept_system: bool,
    /// Major versions that the consumer can read, by relation: `public.orders` or as in
    /// SQL otherwise. Rows of another one are treated as `on_version` says.
    pub versions: BTreeMap<String, u32>,
    /// Asks the server for rows in these versions, by the option `versions`; so by
    /// default. Not for a slot that is bound to a role: its options are set by
    /// `cdc.alter_slot()`.
    pub request_versions: bool,
    /// Rows in another version than `versions` has, or of a relation that is not
    /// registered.
    pub on_version: VersionPolicy,
    /// Where [`Stream::next`](crate::Stream::next) keeps transactions until they end.
    pub assembler: AssemblerConfig,
    /// What is accepted at most.
    pub limits: Limits,
    /// Bytes of batches that wait for the consumer; beyond it nothing is read
    /// from the network. 64 MiB by default. One batch is always accepted.
    pub buffer_bytes: usize,
    /// Damaged batches, and events whose schema is missing.
    pub on_damage: Policy,
    /// Events with a `failure`.
    pub on_failure: Policy,
    /// What the consumer rejects.
    pub on_handler_error: Policy,
    /// Where dead letters go; needed by [`Policy::DeadLetter`].
    pub dead_letters: Option<Arc<dyn DeadLetterSink>>,
    /// Where measurements go.
    pub metrics: Arc<dyn Metrics>,
    /// Time between reports to the server; 10 s by default. A third of its
    /// `wal_sender_timeout` if that is less. With [`Transport::Fetch`] reports come
    /// with calls, which are not made less often than this.
    pub feedback_interval: Duration,
    /// Reconnects after errors that may pass.
    pub reconnect: bool,
    /// Longest time between two attempts: 30 s by default. The first comes after
    /// up to 100 ms, and each doubles the bound, of which a random part is
    /// taken.
    pub max_backoff: Duration,
}

impl StreamConfig {
    /// Defaults: the slot must exist, nothing is kept, errors stop the stream.
    pub fn new(connect: ConnectConfig, slot: impl Into<String>) -> Self {
        StreamConfig {
            connect,
            slot: slot.into(),
            transport: Transport::Replication,
            fetch_wait: Duration::from_secs(10),
            fetch_bytes: 16 << 20,
            read_only: false,
            options: BTreeMap::new(),
            create_slot: false,
            slot_two_phase: false,
            checkpoint: None,
            store_timeout: Duration::from_secs(30),
            accept_system: false,
            versions: BTreeMap::new(),
            request_versions: true,
            on_version: VersionPolicy::Refuse,
            assembler: AssemblerConfig::default(),
            limits: Limits::DEFAULT,
            buffer_bytes: 64 << 20,
            on_damage: Policy::Stop,
            on_failure: Policy::Stop,
            on_handler_error: Policy::Stop,
            dead_letters: None,
            metrics: Arc::new(()),
            feedback_interval: Duration::from_secs(10),
            reconnect: true,
            max_backoff: Duration::from_secs(30),
        }
    }

    /// Acknowledges nothing, see [`StreamConfig::read_only`].
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Whether the options leave out some of what the slot has.
    pub(super) fn filters(&self) -> bool {
        self.options.keys().any(|name| !WITHOUT_LOSS.contains(&name.as_str()))
    }

    /// Sets an option of the plugin.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// Asks the server to compress batches, for links that are slow or dear: sets the
    /// option `compression`. A server whose build lacks the codec refuses the start.
    /// Batches that are compressed are read whether this was asked for or not.
    #[must_use]
    pub fn compression(self, compression: Compression) -> Self {
        self.option("compression", compression.name())
    }

    /// How the stream comes.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Expects rows of a relation in a major version, and asks for them: while that one
    /// is in its time of grace, the server sends it where that is possible without loss.
    /// With rows of another version the stream ends, see
    /// [`StreamConfig::on_version`].
    ///
    /// ```
    /// # fn configured(server: pgcdc::ConnectConfig) -> Result<pgcdc::StreamConfig, pgcdc::Damage> {
    /// use pgcdc::{Schema, StreamConfig, VersionPolicy};
    /// # mod v1 { #[derive(Clone, prost::Message)] pub struct Orders {
    /// #     #[prost(string, optional, tag = "2")] pub customer: Option<String> } }
    /// # mod v2 { #[derive(Clone, prost::Message)] pub struct Orders {
    /// #     #[prost(string, optional, tag = "2")] pub buyer: Option<String>,
    /// #     #[prost(string, optional, tag = "3")] pub note: Option<String> } }
    ///
    /// // printed by cdc.converter('public.orders', 2, 1, 'rust')
    /// pub fn orders_v2_to_v1(from: v2::Orders) -> v1::Orders {
    ///     v1::Orders { customer: from.buyer }
    /// }
    ///
    /// # let descriptor = [0x0a, 1, b'a'];
    /// // `descriptor` of the first version in cdc.schema_detail
    /// let first = Schema::from_bytes(&descriptor, 1)?;
    /// let config = StreamConfig::new(server, "orders")
    ///     .version("public.orders", 1)
    ///     .on_version(VersionPolicy::rows(2, first, orders_v2_to_v1));
    /// # Ok(config)
    /// # }
    /// ```
    #[must_use]
    pub fn version(mut self, relation: impl Into<String>, major: u32) -> Self {
        self.versions.insert(relation.into(), major);
        self
    }

    /// What becomes of rows in another version than is expected.
    #[must_use]
    pub fn on_version(mut self, policy: VersionPolicy) -> Self {
        self.on_version = policy;
        self
    }

    /// Keeps the position in a store.
    #[must_use]
    pub fn checkpoint(mut self, store: impl CheckpointStore + 'static) -> Self {
        self.checkpoint = Some(Arc::new(store));
        self
    }

    /// Creates the slot if it does not exist and there is no checkpoint.
    #[must_use]
    pub fn create_slot(mut self) -> Self {
        self.create_slot = true;
        self
    }

    /// Sends what cannot be handled to a sink, whatever the reason.
    #[must_use]
    pub fn dead_letters(mut self, sink: impl DeadLetterSink + 'static) -> Self {
        self.dead_letters = Some(Arc::new(sink));
        self.on_damage = Policy::DeadLetter;
        self.on_failure = Policy::DeadLetter;
        self.on_handler_error = Policy::DeadLetter;
        self
    }

    /// Measures.
    #[must_use]
    pub fn metrics(mut self, metrics: impl Metrics + 'static) -> Self {
        self.metrics = Arc::new(metrics);
        self
    }

    /// What compares versions, and the options of the plugin with what asks for them.
    pub(crate) fn guard(&self) -> Result<(Guard, BTreeMap<String, String>), Error> {
        let (expected, mut options) = (expected(&self.versions)?, self.options.clone());
        if !expected.is_empty() && self.request_versions {
            let both = options.insert("versions".into(), option(&expected)).is_some();
            if both {
                return Err(Error::Config("versions are given twice, also as an option".into()));
            }
        }
        Ok((
            Guard::new(expected, self.on_version.clone(), self.metrics.clone(), &self.slot),
            options,
        ))
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        let policies = [self.on_damage, self.on_failure, self.on_handler_error];
        if policies.contains(&Policy::DeadLetter) && self.dead_letters.is_none() {
            return Err(Error::Config("the policy DeadLetter needs dead_letters".into()));
        }
        if self.options.get("format").is_some_and(|format| format != "protobuf") {
            return Err(Error::Config("this client reads format = 'protobuf' only".into()));
        }
        if let Some(compression) = self.options.get("compression") {
            if !compression.parse::<Compression>()?.is_supported() {
                return Err(Error::Config(format!(
                    "this build of the client lacks the feature {compression}"
                )));
            }
        }
        if self.transport == Transport::Fetch && self.create_slot {
            return Err(Error::Config(
                "create_slot is not for Transport::Fetch: make the slot with cdc.create_slot(..., reader => ...)".into(),
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for StreamConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamConfig")
            .field("connect", &self.connect)
            .field("slot", &self.slot)
            .field("transport", &self.transport)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
