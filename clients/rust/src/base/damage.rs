//! What can be wrong with bytes. Small and without allocation, since it is
//! what every step of the decoding path may return.

use std::fmt;

/// Why bytes could not be read. Streams come over networks and out of files:
/// this is an answer, never a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The bytes are not what the protocol says they are.
    Malformed(&'static str),
    /// An event, or a batch, refers to a schema that has not come. The
    /// fingerprint.
    UnknownSchema(u64),
    /// A size or count is beyond the reader's [`Limits`](crate::Limits):
    /// what, and the limit. The bytes may be in order.
    Limit(&'static str, u64),
    /// Well formed, but of a kind that this version does not know.
    Unsupported(&'static str),
    /// The batch is compressed: [`Inflater::parse`](crate::Inflater::parse) reads it.
    Compressed,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Malformed(what) => write!(f, "cdc data is damaged: {what}"),
            Damage::UnknownSchema(fingerprint) => {
                write!(f, "schema with fingerprint {fingerprint:016x} is missing")
            }
            Damage::Limit(what, limit) => write!(f, "{what}: more than the limit of {limit}"),
            Damage::Unsupported(what) => write!(f, "not supported by this version: {what}"),
            Damage::Compressed => f.write_str("the batch is compressed"),
        }
    }
}

impl std::error::Error for Damage {}

pub(crate) const fn malformed<T>(what: &'static str) -> Result<T, Damage> {
    Err(Damage::Malformed(what))
}
