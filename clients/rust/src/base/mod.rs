//! What everything else speaks of: positions, names of relations, limits, and what can
//! go wrong.

pub(crate) mod damage;
pub(crate) mod error;
pub(crate) mod limits;
pub(crate) mod position;
pub(crate) mod refusal;
pub(crate) mod relation;
pub(crate) mod server;
pub(crate) mod version;
