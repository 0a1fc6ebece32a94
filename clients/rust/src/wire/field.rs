//! Protobuf's wire format: a cursor over bytes. Knows no message.

use crate::base::damage::{malformed, Damage};

/// The value of a field, as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: strings, bytes, messages, packed numbers.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

impl<'a> Wire<'a> {
    pub(crate) fn varint(self) -> Result<u64, Damage> {
        match self {
            Wire::Varint(value) => Ok(value),
            _ => malformed("unexpected wire type"),
        }
    }

    /// Protobuf cuts what is larger, and so does protobuf-c.
    pub(crate) fn uint32(self) -> Result<u32, Damage> {
        self.varint().map(|value| value as u32)
    }

    pub(crate) fn bool(self) -> Result<bool, Damage> {
        self.varint().map(|value| value != 0)
    }

    pub(crate) fn fixed64(self) -> Result<u64, Damage> {
        match self {
            Wire::Fixed64(value) => Ok(value),
            _ => malformed("unexpected wire type"),
        }
    }

    pub(crate) fn bytes(self) -> Result<&'a [u8], Damage> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => malformed("unexpected wire type"),
        }
    }

    pub(crate) fn str(self) -> Result<&'a str, Damage> {
        utf8(self.bytes()?)
    }
}

pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Damage> {
    std::str::from_utf8(bytes).map_err(|_| Damage::Malformed("text is not valid UTF-8"))
}

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// From 1 to 536870911.
    pub number: u32,
    /// Its value.
    pub value: Wire<'a>,
    /// Its bytes, with the tag: what to copy to pass the field on.
    pub raw: &'a [u8],
}

/// Zigzag: 0, -1, 1, -2 … of 0, 1, 2, 3 …
pub const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Takes values off the front of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Cursor { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Damage> {
        if let [first @ 0..=0x7f, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*first));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Damage> {
        let mut value = 0u64;
        for (i, &byte) in self.rest.iter().enumerate().take(10) {
            if i == 9 && byte > 1 {
                return malformed("varint is too long");
            }
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        malformed(if self.rest.len() < 10 { "varint is cut" } else { "varint is too long" })
    }

    #[inline]
    pub(crate) fn take(&mut self, len: u64) -> Result<&'a [u8], Damage> {
        if len > self.rest.len() as u64 {
            return malformed("field ends beyond its message");
        }
        let (taken, rest) = self.rest.split_at(len as usize);
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn fixed64(&mut self) -> Result<u64, Damage> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(Damage::Malformed("field ends beyond its message"))?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    pub(crate) fn fixed32(&mut self) -> Result<u32, Damage> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(Damage::Malformed("field ends beyond its message"))?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*bytes))
    }

    /// The next field. Must not be called at the end.
    #[inline]
    pub(crate) fn field(&mut self) -> Result<Field<'a>, Damage> {
        let start = self.rest;
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 || number >= 1 << 29 {
            return malformed("field number is out of range");
        }
        let value = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(self.fixed64()?),
            2 => {
                let len = self.varint()?;
                Wire::Bytes(self.take(len)?)
            }
            5 => Wire::Fixed32(self.fixed32()?),
            _ => return malformed("unknown wire type"),
        };
        let raw = &start[..start.len() - self.rest.len()];
        Ok(Field { number: number as u32, value, raw })
    }
}

/// The fields of a message, in the order in which they stand. Ends after the
/// first error. Allocates nothing.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Fields<'a> {
    /// Of a serialized message.
    pub const fn new(message: &'a [u8]) -> Self {
        Fields { cursor: Cursor::new(message) }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Damage>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.is_empty() {
            return None;
        }
        let field = self.cursor.field();
        if field.is_err() {
            self.cursor.rest = &[];
        }
        Some(field)
    }
}

/// The numbers of a field `repeated uint32`, packed or not, of a message.
#[derive(Clone, Copy, Debug)]
pub struct Numbers<'a> {
    fields: Fields<'a>,
    number: u32,
    packed: Cursor<'a>,
}

impl<'a> Numbers<'a> {
    pub(crate) const fn new(message: &'a [u8], number: u32) -> Self {
        Numbers { fields: Fields::new(message), number, packed: Cursor::new(&[]) }
    }

    fn step(&mut self) -> Result<Option<u32>, Damage> {
        loop {
            if !self.packed.is_empty() {
                return self.packed.varint().map(|value| Some(value as u32));
            }
            match self.fields.next().transpose()? {
                None => return Ok(None),
                Some(field) if field.number != self.number => (),
                Some(Field { value: Wire::Varint(value), .. }) => return Ok(Some(value as u32)),
                Some(field) => self.packed = Cursor::new(field.value.bytes()?),
            }
        }
    }
}

impl Iterator for Numbers<'_> {
    type Item = Result<u32, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.fields = Fields::new(&[]);
            self.packed = Cursor::new(&[]);
        }
        step.transpose()
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A length-delimited field.
pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_at_every_length() {
        for bits in 0..64 {
            for value in [1u64 << bits, (1u64 << bits) - 1, u64::MAX >> bits] {
                let mut bytes = Vec::new();
                put_varint(&mut bytes, value);
                let mut cursor = Cursor::new(&bytes);
                assert_eq!(cursor.varint(), Ok(value));
                assert!(cursor.is_empty());
                assert!(Cursor::new(&bytes[..bytes.len() - 1]).varint().is_err());
            }
        }
    }

    #[test]
    fn varints_that_are_none() {
        assert!(Cursor::new(&[0xff; 11]).varint().is_err());
        assert!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2])
            .varint()
            .is_err());
    }

    #[test]
    fn fields_that_are_none() {
        for bytes in [&[0x00, 0x00][..], &[0x0b], &[0x0a, 2, 1], &[0x09, 1], &[0x0d, 1], &[0x0e]] {
            let fields: Vec<_> = Fields::new(bytes).collect();
            assert!(matches!(fields[..], [Err(_)]), "{bytes:?}");
        }
    }

    #[test]
    fn zigzag() {
        assert_eq!([0, 1, 2, 3].map(unzigzag), [0, -1, 1, -2]);
        assert_eq!([u64::MAX, u64::MAX - 1].map(unzigzag), [i64::MIN, i64::MAX]);
    }

    #[test]
    fn numbers_packed_and_not() {
        let bytes = [0x42, 2, 1, 2, 0x40, 3, 0x48, 9];
        let numbers: Result<Vec<u32>, _> = Numbers::new(&bytes, 8).collect();
        assert_eq!(numbers.unwrap(), [1, 2, 3]);
    }
}
