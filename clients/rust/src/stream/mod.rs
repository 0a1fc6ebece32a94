//! A stream: connection, acknowledgement, resuming.

mod about;
pub(crate) mod assembler;
pub(crate) mod change;
pub(crate) mod config;
pub(crate) mod delivery;
pub(crate) mod driver;
pub(crate) mod fetch;
pub(crate) mod guard;
pub(crate) mod handle;
pub(crate) mod keep;
mod letters;
pub mod metrics;
mod replicate;
pub(crate) mod router;
mod run;
#[cfg(feature = "test")]
pub(crate) mod script;
pub(crate) mod slot;
mod spill;
pub(crate) mod start;
pub(crate) mod store;
pub(crate) mod tracker;
pub(crate) mod txn;
pub(crate) mod versions;
pub(crate) mod worker;
