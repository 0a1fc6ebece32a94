//! Reads `COPY … (FORMAT binary)` of one bytea column.

use crate::base::error::Error;
use crate::base::limits::Limits;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Puts the pieces of CopyData messages together.
#[derive(Debug, Default)]
pub(super) struct CopyReader {
    buffer: Vec<u8>,
    has_header: bool,
    ended: bool,
}

fn malformed() -> Error {
    Error::Protocol("COPY data is not what was asked for".into())
}

/// A big endian number at the front.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

impl CopyReader {
    /// Takes a piece; calls `f` with each value that is complete now.
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        limits: &Limits,
        mut f: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.buffer.extend_from_slice(piece);
        let mut at = 0;
        if !self.has_header {
            // signature, flags, length of an extension
            if self.buffer.len() < 19 {
                return Ok(());
            }
            let extension = number(&self.buffer, 15).map_or(0, u32::from_be_bytes);
            if !self.buffer.starts_with(SIGNATURE) || extension != 0 {
                return Err(malformed());
            }
            self.has_header = true;
            at = 19;
        }
        while let Some(columns) = number(&self.buffer, at).map(i16::from_be_bytes) {
            if columns == -1 {
                self.ended = true;
                at += 2;
                break;
            }
            let Some(len) = number(&self.buffer, at + 2).map(i32::from_be_bytes) else { break };
            let len = usize::try_from(len).map_err(|_| malformed())?;
            if columns != 1 || len as u64 > limits.max_batch_bytes + 10 {
                return Err(malformed());
            }
            let Some(value) = self.buffer.get(at + 6..at + 6 + len) else { break };
            f(value)?;
            at += 6 + len;
        }
        self.buffer.drain(..at);
        Ok(())
    }

    /// Whether the end has come, and nothing after it.
    pub(super) fn is_complete(&self) -> bool {
        self.ended && self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces() {
        let mut data = SIGNATURE.to_vec();
        data.extend([0; 8]);
        for value in [&b"ab"[..], b"", b"xyz"] {
            data.extend(1i16.to_be_bytes());
            data.extend((value.len() as i32).to_be_bytes());
            data.extend(value);
        }
        data.extend((-1i16).to_be_bytes());
        for size in [1, 2, 7, 100] {
            let (mut reader, mut values) = (CopyReader::default(), Vec::new());
            for piece in data.chunks(size) {
                assert!(!reader.is_complete());
                reader
                    .push(piece, &Limits::DEFAULT, |value| {
                        values.push(value.to_vec());
                        Ok(())
                    })
                    .unwrap();
            }
            assert!(reader.is_complete());
            assert_eq!(values, [&b"ab"[..], b"", b"xyz"]);
        }
        let mut reader = CopyReader::default();
        assert!(reader.push(&[0; 30], &Limits::DEFAULT, |_| Ok(())).is_err());
    }
}
