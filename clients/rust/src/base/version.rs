//! Rows that come in another version than was expected.

use std::fmt;

use super::relation::Relation;

/// Rows of a relation are in another version than the consumer expects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionError {
    /// The relation, under the name that it has in the stream.
    pub relation: Relation,
    /// The major version that is expected; 0 where an older one was asked for under
    /// another name of the relation.
    pub wanted: u32,
    /// The one that the rows are in; 0: the relation is not registered.
    pub got: u32,
    /// Why the server cannot send the one that was asked for; may be empty.
    pub reason: String,
}

impl fmt::Display for VersionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rows of {} come ", self.relation)?;
        match self.got {
            0 => write!(f, "without a version")?,
            got => write!(f, "in version {got}")?,
        }
        match self.wanted {
            0 => write!(f, ", not in the one that was asked for")?,
            wanted => write!(f, ", not in version {wanted}")?,
        }
        match (&*self.reason, self.got) {
            ("", 0) => write!(f, ": the relation is not registered"),
            ("", _) => Ok(()),
            (reason, _) => write!(f, ": {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said() {
        let relation = Relation { schema: "public".into(), name: "orders".into() };
        let text = |wanted, got, reason: &str| {
            let reason = reason.into();
            VersionError { relation: relation.clone(), wanted, got, reason }.to_string()
        };
        assert_eq!(text(1, 2, ""), "rows of public.orders come in version 2, not in version 1");
        assert_eq!(
            text(1, 0, ""),
            "rows of public.orders come without a version, not in version 1: the relation is not registered"
        );
        assert_eq!(
            text(0, 3, "so it is"),
            "rows of public.orders come in version 3, not in the one that was asked for: so it is"
        );
    }
}
