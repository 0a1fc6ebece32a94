//! What the bytes mean: batches, events, rows, schemas, values.

pub(crate) mod array;
pub(crate) mod batch;
pub(crate) mod convert;
pub mod datetime;
pub(crate) mod decoder;
pub(crate) mod elements;
pub(crate) mod event;
pub(crate) mod inflated;
pub(crate) mod number;
pub(crate) mod row;
pub(crate) mod schema;
pub(crate) mod sequence;
pub(crate) mod single;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod trace;
pub(crate) mod value;
