//! What a log says of a change.

use crate::base::relation::Relation;
use crate::model::schema::Schema;

/// What each line of the log about a change has, as far as it is known, beside slot and position.
/// No values.
#[derive(Clone, Default)]
pub(super) struct About {
    pub(super) relation: Option<String>,
    pub(super) fingerprint: Option<String>,
    pub(super) version: Option<u32>,
}

impl About {
    /// `fingerprint`: 0 where there is none.
    pub(super) fn new(fingerprint: u64, schema: Option<&Schema>) -> Self {
        About {
            relation: schema.map(|schema| Relation::from(&schema.table).to_string()),
            fingerprint: (fingerprint != 0).then(|| format!("{fingerprint:016x}")),
            version: schema.map(|schema| schema.version).filter(|version| *version != 0),
        }
    }
}
