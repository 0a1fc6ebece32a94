//! Conversions to the usual types of the ecosystem, each behind a feature of
//! its name.

#[cfg(feature = "chrono")]
mod chrono;
#[cfg(feature = "rust_decimal")]
mod decimal;
#[cfg(feature = "serde")]
mod serde;
#[cfg(feature = "time")]
mod time;
#[cfg(feature = "uuid")]
mod uuid;

#[cfg(feature = "serde")]
pub use crate::model::convert::serde::NamedRow;

use std::fmt;

/// A value that the other type does not have: an infinity, `NaN`, or one out of
/// its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvertError;

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("value is infinite or out of range")
    }
}

impl std::error::Error for ConvertError {}
