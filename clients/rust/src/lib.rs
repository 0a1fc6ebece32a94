#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod applier;
mod array;
mod assembler;
mod batch;
mod checkpoint;
mod convert;
mod cut;
mod damage;
pub mod datetime;
mod deadletter;
mod error;
mod event;
mod frame;
mod inflate;
pub mod json;
mod limits;
mod load;
pub mod metrics;
mod net;
mod position;
mod relation;
mod replace;
mod router;
mod row;
mod schema;
mod sequence;
mod stream;
#[cfg(feature = "test")]
pub mod test;
mod trace;
mod typed;
mod value;
mod versions;
mod wire;

/// The messages of `proto/cdc/v1/cdc.proto`, as prost makes them: for whoever
/// needs a message as a whole. The views of this crate read the same bytes
/// without copying them.
#[allow(missing_docs, clippy::all, rustdoc::all)]
pub mod pb {
    include!("pb/cdc.v1.rs");
}

pub use applier::{Applied, Applier, ApplyError, MemoryState, PostgresApplier, ScanFn, State};
pub use array::{Array, ArrayIter, MAX_DIMENSIONS};
pub use assembler::{Assembled, Assembler};
pub use batch::{
    Batch, Events, Metadata, Outcome, OwnedSnapshot, SchemaVersion, Snapshot, Source, Transaction,
};
pub use checkpoint::{BoxFuture, Checkpoint, CheckpointStore, FileStore, PostgresStore};
pub use convert::ConvertError;
#[cfg(feature = "serde")]
pub use convert::NamedRow;
pub use cut::cut;
pub use damage::Damage;
pub use deadletter::{DeadLetter, DeadLetterDir, DeadLetters, Policy, Reason};
pub use error::{Error, Refusal, ServerError};
pub use event::{Event, Failure, Message, Op, Truncate};
pub use frame::{unframe, FrameReader, Frames};
pub use inflate::Inflater;
pub use limits::Limits;
pub use load::{InitialLoad, Joiner, Reload, Reread};
pub use net::{ChannelBinding, ConnectConfig, Connection, Host, SslMode, TargetSession};
pub use position::{Lsn, ParseError, Position};
pub use relation::{NotARelation, Relation};
pub use router::Router;
pub use row::{overlay, Row, Values};
pub use schema::{
    fingerprint, Column, Redaction, ReplicaIdentity, Schema, SchemaCache, Table, Type, MAX_COLUMN,
    REDACTED_BASE,
};
pub use sequence::Sequence;
pub use stream::{
    Acker, Change, Changes, Compression, Delivery, SlotSnapshot, SlotStatus, Stream, StreamConfig,
    Transport,
};
pub use trace::TraceParent;
pub use typed::{Layout, Typed};
pub use value::Value;
pub use versions::{Convert, VersionMismatch, VersionPolicy};
pub use wire::{unzigzag, Field, Fields, Numbers, Wire};
