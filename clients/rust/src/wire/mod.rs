//! Bytes: Protobuf's wire format, frames, compression.

pub(crate) mod field;
pub(crate) mod frame;
pub(crate) mod inflate;
