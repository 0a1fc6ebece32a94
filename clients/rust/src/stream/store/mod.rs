//! What is kept: checkpoints and dead letters.

pub(crate) mod checkpoint;
pub(crate) mod deadletter;
pub(crate) mod file;
pub(crate) mod postgres;
pub(crate) mod replace;
