//! Framing: a varint length before each batch, and the newlines that
//! `pg_recvlogical` writes between them.

use std::io::{self, BufRead, Read};

use super::field::Cursor;
use crate::base::damage::{malformed, Damage};
use crate::base::limits::Limits;

/// The batch of one message of the server: a frame and nothing else.
///
/// # Errors
/// Damage, and a batch that is larger than the limit.
pub fn unframe<'a>(payload: &'a [u8], limits: &Limits) -> Result<&'a [u8], Damage> {
    let mut cursor = Cursor::new(payload);
    let len = checked(cursor.varint()?, limits)?;
    let batch = cursor.take(len).map_err(|_| Damage::Malformed("batch is cut"))?;
    if !cursor.is_empty() {
        return malformed("message has more than a batch");
    }
    Ok(batch)
}

fn checked(len: u64, limits: &Limits) -> Result<u64, Damage> {
    if len > limits.max_batch_bytes {
        return Err(Damage::Limit("bytes of a batch", limits.max_batch_bytes));
    }
    Ok(len)
}

/// The batches of bytes in memory: delimited batches, a file of
/// `pg_recvlogical`, or a serialized `Stream`. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    cursor: Cursor<'a>,
    limits: Limits,
}

impl<'a> Frames<'a> {
    /// Of bytes that begin with a frame or a newline.
    pub fn new(bytes: &'a [u8], limits: Limits) -> Self {
        Frames { cursor: Cursor::new(bytes), limits }
    }

    fn step(&mut self) -> Result<Option<&'a [u8]>, Damage> {
        // no batch is 10 bytes long, so this byte is never a length
        loop {
            if self.cursor.is_empty() {
                return Ok(None);
            }
            let len = self.cursor.varint()?;
            if len != 0x0a {
                let len = checked(len, &self.limits)?;
                return self
                    .cursor
                    .take(len)
                    .map(Some)
                    .map_err(|_| Damage::Malformed("batch is cut"));
            }
        }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<&'a [u8], Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.cursor = Cursor::new(&[]);
        }
        step.transpose()
    }
}

/// The same out of a file or pipe, one batch in memory at a time.
#[derive(Debug)]
pub struct FrameReader<R> {
    input: R,
    limits: Limits,
    batch: Vec<u8>,
}

impl<R: BufRead> FrameReader<R> {
    /// Reads from where `input` stands.
    pub fn new(input: R, limits: Limits) -> Self {
        FrameReader { input, limits, batch: Vec::new() }
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.input.fill_buf()?.first().copied();
        if byte.is_some() {
            self.input.consume(1);
        }
        Ok(byte)
    }

    /// The next batch; `None` at the end.
    ///
    /// # Errors
    /// What reading gives; [`Damage`] as `InvalidData`. A file that ends within
    /// a frame is damaged.
    pub fn next_batch(&mut self) -> io::Result<Option<&[u8]>> {
        let mut prefix = [0u8; 10];
        let mut used = 0;
        let len = loop {
            match self.byte()? {
                None if used == 0 => return Ok(None),
                None => return Err(damaged(Damage::Malformed("batch is cut"))),
                Some(0x0a) if used == 0 => continue,
                Some(byte) => prefix[used] = byte,
            }
            used += 1;
            if prefix[used - 1] < 0x80 || used == prefix.len() {
                break Cursor::new(&prefix[..used]).varint().map_err(damaged)?;
            }
        };
        checked(len, &self.limits).map_err(damaged)?;
        self.batch.clear();
        // grows with what comes, not with what is announced
        (&mut self.input).take(len).read_to_end(&mut self.batch)?;
        if self.batch.len() as u64 != len {
            return Err(damaged(Damage::Malformed("batch is cut")));
        }
        Ok(Some(&self.batch))
    }
}

fn damaged(damage: Damage) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, damage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(bytes: &[u8]) -> Vec<Result<Vec<u8>, ()>> {
        let limits = Limits { max_batch_bytes: 300, ..Limits::DEFAULT };
        let ours: Vec<_> =
            Frames::new(bytes, limits).map(|b| b.map(<[u8]>::to_vec).map_err(drop)).collect();
        let mut reader = FrameReader::new(bytes, limits);
        for frame in &ours {
            let read = reader.next_batch();
            assert_eq!(read.map(|b| b.unwrap().to_vec()).map_err(drop), *frame);
        }
        if ours.iter().all(Result::is_ok) {
            assert!(reader.next_batch().unwrap().is_none());
        }
        ours
    }

    #[test]
    fn the_three_forms() {
        let two = [Ok(vec![1]), Ok(vec![2, 3])];
        assert_eq!(both(&[1, 1, 2, 2, 3]), two);
        assert_eq!(both(&[1, 1, 0x0a, 2, 2, 3, 0x0a]), two);
        assert_eq!(both(&[0x0a, 1, 1, 0x0a, 2, 2, 3]), two);
        assert_eq!(both(&[]), []);
    }

    #[test]
    fn cut_or_too_large() {
        assert_eq!(both(&[1, 1, 2, 2]), [Ok(vec![1]), Err(())]);
        assert_eq!(both(&[0x80]), [Err(())]);
        assert_eq!(both(&[0xad, 2]), [Err(())]);
        assert_eq!(both(&[0xff; 12]), [Err(())]);
        assert_eq!(
            unframe(&[1, 1, 1], &Limits::DEFAULT),
            malformed("message has more than a batch")
        );
        assert_eq!(unframe(&[1, 7], &Limits::DEFAULT), Ok(&[7][..]));
    }
}
