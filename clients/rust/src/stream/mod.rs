//! A stream: connection, acknowledgement, resuming.

pub(crate) mod assembler;
pub(crate) mod config;
pub(crate) mod delivery;
pub(crate) mod driver;
pub(crate) mod fetch;
pub(crate) mod handle;
pub(crate) mod keep;
pub mod metrics;
pub(crate) mod router;
pub(crate) mod slot;
mod spill;
pub(crate) mod start;
pub(crate) mod store;
pub(crate) mod tracker;
pub(crate) mod versions;
pub(crate) mod worker;
