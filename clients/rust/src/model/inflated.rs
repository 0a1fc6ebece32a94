//! Batches that are compressed.

use super::batch::Batch;
use crate::base::damage::Damage;
use crate::wire::inflate::Inflater;

impl Inflater {
    /// Of a serialized `Batch`, without its frame, as [`Batch::parse`]; if it is
    /// compressed, the batch that is inside.
    ///
    /// # Errors
    /// Damage; a codec that this version or build does not have.
    pub fn parse<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Batch<'a>, Damage> {
        match Batch::parse(bytes) {
            Err(Damage::Compressed) => {
                self.fill(bytes)?;
                Batch::parse(&self.buffer).map_err(nested)
            }
            parsed => parsed,
        }
    }
}

/// What is inside may not be compressed itself.
pub(crate) fn nested(damage: Damage) -> Damage {
    match damage {
        Damage::Compressed => Damage::Malformed("compressed batch inside of one"),
        other => other,
    }
}
