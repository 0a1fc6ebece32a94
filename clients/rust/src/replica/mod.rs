//! Whole rows: what merges changes into them, and where they are kept; the initial load.

pub(crate) mod applier;
mod copy;
mod held;
pub(crate) mod joiner;
mod loaded;
pub(crate) mod loader;
pub(crate) mod memory;
mod meter;
pub(crate) mod migrate;
pub(crate) mod postgres;
mod progress;
pub(crate) mod rows;
pub(crate) mod state;
pub(crate) mod tables;
mod wants;
mod whole;
