#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

/// Version of this crate. It reads the streams of every server of the same major version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

mod base;
pub mod json;
mod model;
mod net;
mod replica;
mod stream;
#[cfg(feature = "test")]
pub mod test;
pub mod topic;
mod wire;

/// The messages of `proto/cdc/v1/cdc.proto`, as prost makes them: for whoever
/// needs a message as a whole. The views of this crate read the same bytes
/// without copying them.
#[allow(missing_docs, clippy::all, rustdoc::all)]
pub mod pb {
    include!("pb/cdc.v1.rs");
}

pub use base::damage::Damage;
pub use base::error::Error;
pub use base::limits::Limits;
pub use base::position::{Lsn, ParseError, Position};
pub use base::refusal::Refusal;
pub use base::relation::{NotARelation, Relation};
pub use base::server::ServerError;
pub use base::version::VersionError;
pub use model::array::{Array, MAX_DIMENSIONS};
pub use model::batch::{
    Batch, Events, Metadata, Outcome, OwnedSnapshot, SchemaVersion, Snapshot, Source, Transaction,
};
pub use model::convert::ConvertError;
#[cfg(feature = "serde")]
pub use model::convert::NamedRow;
pub use model::datetime;
pub use model::decoder::{Decoder, DecoderLayout};
pub use model::elements::ArrayIter;
pub use model::event::{
    Event, Failure, LogicalMessage, Op, SchemaChange, SchemaChangeKind, TruncateOptions,
};
pub use model::row::{overlay, Row, Values};
pub use model::schema::{fingerprint, Schema, SchemaCache};
pub use model::sequence::Sequence;
pub use model::single::single;
pub use model::table::{
    Column, Redaction, ReplicaIdentity, Table, Type, MAX_COLUMN, REDACTED_BASE,
};
pub use model::trace::TraceParent;
pub use model::value::Value;
pub use net::binding::ChannelBinding;
pub use net::config::{ConnectConfig, SslMode};
pub use net::connection::Connection;
pub use net::hosts::{Host, TargetSession};
pub use replica::applier::{Applied, Applier, ApplyError};
pub use replica::joiner::{Joiner, Reload, Reread};
pub use replica::loader::Loader;
pub use replica::memory::MemoryState;
pub use replica::postgres::PostgresApplier;
pub use replica::state::{ScanFn, State};
pub use stream::assembler::Assembler;
pub use stream::change::Change;
pub use stream::config::{AssemblerConfig, Compression, StreamConfig, Transport};
pub use stream::delivery::{Changes, Delivery};
pub use stream::handle::{Acker, Acknowledged, Stream};
pub use stream::metrics;
pub use stream::router::Router;
pub use stream::slot::{SlotSnapshot, SlotStatus};
pub use stream::store::checkpoint::{BoxFuture, Checkpoint, CheckpointStore};
pub use stream::store::deadletter::{DeadLetter, DeadLetterDir, DeadLetterSink, Policy, Reason};
pub use stream::store::file::FileStore;
pub use stream::store::postgres::PostgresStore;
pub use stream::txn::{Txn, TxnChanges};
pub use stream::versions::{Convert, VersionPolicy};
pub use wire::field::{unzigzag, Field, Fields, Numbers, Wire};
pub use wire::frame::{unframe, FrameReader, Frames};
pub use wire::inflate::Inflater;
