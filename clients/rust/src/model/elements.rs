//! The elements of arrays as values, and values of columns, which may be arrays.

use super::array::{in_array, Array, Elements};
use super::table::{Column, Type};
use super::value::Value;
use crate::base::damage::Damage;
use crate::wire::field::{Numbers, Wire};

impl<'a> Value<'a> {
    /// The value of a column in a row.
    ///
    /// # Errors
    /// Damage: another wire type than the column's, text that is not UTF-8,
    /// numbers out of range; a type that this version does not know.
    pub fn decode(column: &Column, wire: Wire<'a>) -> Result<Self, Damage> {
        match column.r#type {
            Type::Array => Array::parse(column.element, wire.bytes()?).map(Value::Array),
            other => Value::of_type(other, wire),
        }
    }
}

impl<'a> Array<'a> {
    /// Of a serialized `*Array` message, as `element` says.
    ///
    /// # Errors
    /// Damage: more than 6 dimensions, dimensions whose product is not the
    /// number of elements, NULLs beyond them; elements that are no values of their type.
    pub fn parse(element: Type, bytes: &'a [u8]) -> Result<Self, Damage> {
        let array = Array::shaped(element, bytes)?;
        // so that printing it cannot fail
        array.iter().try_for_each(|element| element.map(drop))?;
        Ok(array)
    }

    /// The elements in row-major order; `None` is NULL. Allocates nothing.
    pub fn iter(&self) -> ArrayIter<'a> {
        let mut nulls = self.nulls();
        ArrayIter {
            next_null: nulls.next().and_then(Result::ok),
            nulls,
            elements: self.elements(),
            at: 0,
        }
    }
}

impl<'a> IntoIterator for &Array<'a> {
    type Item = Result<Option<Value<'a>>, Damage>;
    type IntoIter = ArrayIter<'a>;

    fn into_iter(self) -> ArrayIter<'a> {
        self.iter()
    }
}

/// Elements of an [`Array`].
#[derive(Clone, Debug)]
pub struct ArrayIter<'a> {
    elements: Elements<'a>,
    nulls: Numbers<'a>,
    next_null: Option<u32>,
    at: u64,
}

impl<'a> Iterator for ArrayIter<'a> {
    type Item = Result<Option<Value<'a>>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let wire = match self.elements.step().transpose()? {
            Ok(wire) => wire,
            Err(damage) => return Some(Err(damage)),
        };
        let at = self.at;
        self.at += 1;
        if self.next_null.is_some_and(|null| u64::from(null) == at) {
            self.next_null = self.nulls.next().and_then(Result::ok);
            return Some(Ok(None));
        }
        Some(Value::of_type(in_array(self.elements.element), wire).map(Some))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::damage::Damage;

    fn ints(bytes: &[u8]) -> Result<Vec<Option<i64>>, Damage> {
        Array::parse(Type::Int32, bytes)?.iter().map(|v| Ok(v?.and_then(|v| v.as_i64()))).collect()
    }

    #[test]
    fn elements_and_nulls() {
        assert_eq!(ints(&[]), Ok(vec![]));
        assert_eq!(ints(&[0x0a, 3, 2, 0, 1, 0x12, 1, 1]), Ok(vec![Some(1), None, Some(-1)]));
        assert_eq!(ints(&[0x08, 2, 0x08, 4]), Ok(vec![Some(1), Some(2)]), "not packed");
        let array = Array::parse(Type::Date, &[0x0a, 1, b'x']).unwrap();
        assert_eq!(array.iter().next(), Some(Ok(Some(Value::Other("x")))));
    }

    #[test]
    fn shapes() {
        let bytes = [0x0a, 4, 2, 2, 2, 2, 0x1a, 2, 2, 2, 0x22, 2, 2, 0];
        let array = Array::parse(Type::Int32, &bytes).unwrap();
        assert_eq!((array.dimensions(), array.lower_bounds()), (&[2, 2][..], &[1, 0][..]));
        for bad in [
            &[0x0a, 1, 2, 0x12, 1, 1][..],               // NULL beyond the end
            &[0x0a, 2, 2, 2, 0x12, 2, 1, 0],             // NULLs out of order
            &[0x0a, 1, 2, 0x1a, 1, 2, 0x22, 1, 2],       // product
            &[0x0a, 1, 2, 0x1a, 1, 1],                   // no lower bounds
            &[0x0a, 1, 2, 0x1a, 7, 1, 1, 1, 1, 1, 1, 1], // seven dimensions
            &[0x0a, 1, 2, 0x1a, 1, 0, 0x22, 1, 2],       // a size of zero
            &[0x0a, 1, 0x80],
        ] {
            assert!(ints(bad).is_err(), "{bad:?}");
        }
        assert!(Array::parse(Type::Unspecified, &[]).is_err());
    }

    /// What can be printed, and what cannot and so is none.
    #[test]
    fn elements_of_their_type() {
        for (element, good, bad) in [
            (Type::Text, &[0x0a, 1, b'a'][..], &[0x0a, 1, 0xff][..]),
            (Type::Uuid, &[0x0a, 0, 0x12, 1, 0], &[0x0a, 1, 0]),
            (Type::Int32, &[0x08, 2], &[0x08, 0x80, 0x80, 0x80, 0x80, 0x20]),
            (Type::Int64, &[0x08, 2], &[0x0d, 1, 2, 3, 4]),
        ] {
            assert!(!Value::Array(Array::parse(element, good).unwrap()).to_string().is_empty());
            assert!(Array::parse(element, bad).is_err(), "{element:?}");
        }
    }
}
