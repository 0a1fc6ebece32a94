//! Positions in the WAL: of bytes ([`Lsn`]), of changes ([`Position`]).

use std::fmt;
use std::str::FromStr;

/// A byte's position in the WAL. As text two hexadecimal numbers, `16/B374D848`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// No position: LSN 0 is never that of a record.
    pub const ZERO: Lsn = Lsn(0);
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 as u32)
    }
}

/// Text that is no [`Lsn`] or [`Position`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError;

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid position in the WAL")
    }
}

impl std::error::Error for ParseError {}

fn half(text: &str) -> Result<u64, ParseError> {
    if text.is_empty() || text.len() > 8 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(ParseError);
    }
    u64::from_str_radix(text, 16).map_err(|_| ParseError)
}

impl FromStr for Lsn {
    type Err = ParseError;

    /// Accepts the form with zeros in front of the lower half too
    /// (PostgreSQL 19's).
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (high, low) = text.split_once('/').ok_or(ParseError)?;
        Ok(Lsn(half(high)? << 32 | half(low)?))
    }
}

/// Identifies a change: the same on every replay, every slot and every standby,
/// within one system and one history of timelines.
///
/// Positions of different transactions are ordered by `commit_lsn`; within one
/// transaction the order is that of the stream, and positions compare for
/// equality only. The derived order is by `(commit_lsn, lsn, index)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Start of the transaction's commit record. Of a message that stands
    /// outside of transactions its own `lsn`; 0 as long as it is unknown
    /// (streamed and prepared transactions).
    pub commit_lsn: Lsn,
    /// Start of the change's WAL record.
    pub lsn: Lsn,
    /// Number of the change among those of the record.
    pub index: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.commit_lsn, self.lsn, self.index)
    }
}

impl FromStr for Position {
    type Err = ParseError;

    /// `16/B374D848/16/B374D700/0`
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut parts = text.split('/');
        let mut next = || parts.next().ok_or(ParseError);
        let mut lsn = || Ok(Lsn(half(next()?)? << 32 | half(next()?)?));
        let (commit_lsn, lsn) = (lsn()?, lsn()?);
        let index = parts.next().ok_or(ParseError)?;
        if parts.next().is_some() || !index.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ParseError);
        }
        Ok(Position { commit_lsn, lsn, index: index.parse().map_err(|_| ParseError)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms() {
        let text = "16/B374D848/16/B374D700/12";
        let position: Position = text.parse().unwrap();
        assert_eq!(position.commit_lsn, Lsn(0x16_B374_D848));
        assert_eq!(position.index, 12);
        assert_eq!(position.to_string(), text);
        assert_eq!("0/01781B18".parse(), Ok(Lsn(0x1781B18)));
        assert_eq!(Lsn(0x1781B18).to_string(), "0/1781B18");
        assert_eq!(Lsn(u64::MAX).to_string().parse(), Ok(Lsn(u64::MAX)));
        let padded: Position = "0/01781B18/0/00000001/0".parse().unwrap();
        assert_eq!(padded.to_string(), "0/1781B18/0/1/0");
    }

    #[test]
    fn text_that_is_no_position() {
        for text in [
            "",
            "0",
            "0/",
            "/0",
            "0/0/0",
            "0/+1",
            "0/123456789",
            "0/g",
            "0/0/0/0/-1",
            "0/0/0/0/0/0",
        ] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
        for text in ["", "1", "/", "0/ 1", "1/2/3", "123456789/0"] {
            assert!(text.parse::<Lsn>().is_err(), "{text}");
        }
    }

    #[test]
    fn order() {
        let at = |c, l, i| Position { commit_lsn: Lsn(c), lsn: Lsn(l), index: i };
        assert!(at(1, 9, 9) < at(2, 0, 0) && at(2, 1, 0) < at(2, 1, 1));
    }
}
