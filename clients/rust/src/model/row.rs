//! Rows: serialized messages of the table's own type, and the overlay of two.

use super::table::{Column, Table, REDACTED_BASE};
use super::value::Value;
use crate::base::damage::Damage;
use crate::wire::field::{Field, Fields};

/// A row, or the part of one that an event has, borrowed from its batch.
/// Field numbers are the columns' attnums; what an absent column means depends
/// on the event's `op`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Row<'a>(&'a [u8]);

impl<'a> Row<'a> {
    pub(crate) const EMPTY: Row<'static> = Row(&[]);

    /// Of a serialized row.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Row(bytes)
    }

    /// The serialized row: for typed decoding, or to pass on.
    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether there is no column in it.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// attnum and wire value of each column, without looking at the schema and
    /// without allocation.
    pub const fn fields(self) -> Fields<'a> {
        Fields::new(self.0)
    }

    /// Columns and values, by a schema. Fields that it does not know are passed
    /// over; a redacted column's value is [`Value::Redacted`].
    pub fn values(self, table: &Table) -> Values<'a, '_> {
        Values { fields: self.fields(), table, at: 0 }
    }

    /// The value of the column with this name; `None` where the row does not
    /// have it.
    ///
    /// # Errors
    /// Damage.
    pub fn get(self, table: &Table, name: &str) -> Result<Option<Value<'a>>, Damage> {
        for value in self.values(table) {
            let (column, value) = value?;
            if column.name == name {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

/// Columns and values of a row.
#[derive(Clone, Debug)]
pub struct Values<'a, 't> {
    fields: Fields<'a>,
    table: &'t Table,
    at: usize,
}

impl<'a, 't> Values<'a, 't> {
    /// Rows are in the order of the columns, so the next one is near.
    fn find(&mut self, number: u32) -> Option<&'t Column> {
        let ahead = self.table.columns.get(self.at).filter(|c| c.number == number);
        let at = match ahead {
            Some(_) => self.at,
            None => self.table.index_of(number)?,
        };
        self.at = at + 1;
        Some(&self.table.columns[at])
    }

    fn value(&mut self, field: Field<'a>) -> Option<Result<(&'t Column, Value<'a>), Damage>> {
        if let Some(column) = self.find(field.number) {
            return Some(Value::decode(column, field.value).map(|value| (column, value)));
        }
        let column = self.find(field.number.checked_sub(REDACTED_BASE)?)?;
        Some(field.value.str().map(|text| (column, Value::Redacted(text))))
    }
}

impl<'a, 't> Iterator for Values<'a, 't> {
    type Item = Result<(&'t Column, Value<'a>), Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let value = match self.fields.next()? {
                Ok(field) => self.value(field),
                Err(damage) => Some(Err(damage)),
            };
            if value.is_some() {
                return value;
            }
        }
    }
}

/// The row after an UPDATE: the fields of `base` whose number is neither in
/// `delta` nor in `nulls`, then `delta`. Appended to `out`. On bytes, so it
/// needs no types and keeps fields that nobody knows; Protobuf's own merge
/// would append arrays and mix messages.
///
/// A number in `nulls` removes the column's redacted value as well.
///
/// # Errors
/// Damage in `base` or `delta`; `out` is then what it was.
pub fn overlay(
    out: &mut Vec<u8>,
    base: Row<'_>,
    delta: Row<'_>,
    nulls: impl IntoIterator<Item = Result<u32, Damage>>,
) -> Result<(), Damage> {
    let start = out.len();
    let result = merge(out, base, delta, nulls);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// A set of field numbers without allocation for those that columns have.
struct Set {
    bits: [u64; 64],
    others: Vec<u32>,
}

impl Set {
    fn add(&mut self, number: u32) {
        match self.bits.get_mut(number as usize / 64) {
            Some(word) => *word |= 1 << (number % 64),
            None => self.others.push(number),
        }
    }

    fn has(&self, number: u32) -> bool {
        match self.bits.get(number as usize / 64) {
            Some(word) => word >> (number % 64) & 1 == 1,
            None => self.others.binary_search(&number).is_ok(),
        }
    }
}

fn merge(
    out: &mut Vec<u8>,
    base: Row<'_>,
    delta: Row<'_>,
    nulls: impl IntoIterator<Item = Result<u32, Damage>>,
) -> Result<(), Damage> {
    let mut gone = Set { bits: [0; 64], others: Vec::new() };
    for field in delta.fields() {
        gone.add(field?.number);
    }
    for number in nulls {
        let number = number?;
        gone.add(number);
        gone.add(number.saturating_add(REDACTED_BASE));
    }
    gone.others.sort_unstable();
    for field in base.fields() {
        let field = field?;
        if !gone.has(field.number) {
            out.extend_from_slice(field.raw);
        }
    }
    out.extend_from_slice(delta.0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid(base: &[u8], delta: &[u8], nulls: &[u32]) -> Vec<u8> {
        let mut out = vec![9];
        overlay(&mut out, Row(base), Row(delta), nulls.iter().copied().map(Ok)).unwrap();
        out.split_off(1)
    }

    #[test]
    fn overlays() {
        let base = [0x08, 1, 0x12, 1, b'a', 0x18, 3];
        assert_eq!(laid(&base, &[], &[]), base);
        assert_eq!(laid(&base, &[0x12, 1, b'b'], &[]), [0x08, 1, 0x18, 3, 0x12, 1, b'b']);
        assert_eq!(laid(&base, &[0x12, 0], &[1, 3]), [0x12, 0]);
        assert!(laid(&base, &[], &[1, 2, 3]).is_empty());
        assert_eq!(laid(&[], &base, &[]), base);
    }

    #[test]
    fn high_numbers_and_redacted_values() {
        // field 2002 (redacted column 2), field 100000
        let base = [0x92, 0x7d, 1, b'x', 0x80, 0xea, 0x30, 7];
        assert_eq!(laid(&base, &[], &[2]), base[4..]);
        assert_eq!(
            laid(&base, &[0x80, 0xea, 0x30, 8], &[]),
            [&base[..4], &[0x80, 0xea, 0x30, 8]].concat()
        );
    }

    #[test]
    fn damage_leaves_the_buffer() {
        let mut out = vec![1, 2];
        assert!(overlay(&mut out, Row(&[0x08, 1, 0x08]), Row(&[0x10, 1]), []).is_err());
        assert!(overlay(&mut out, Row(&[0x08, 1]), Row(&[0x10]), []).is_err());
        assert_eq!(out, [1, 2]);
    }
}
