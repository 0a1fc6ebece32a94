//! Arrays: a view of the `*Array` messages.

use super::schema::Type;
use super::value::Value;
use crate::base::damage::{malformed, Damage};
use crate::wire::field::{unzigzag, Cursor, Field, Fields, Wire};

/// The most dimensions that PostgreSQL has.
pub const MAX_DIMENSIONS: usize = 6;

/// An array, borrowed from the batch. Dimensions and NULLs have been checked
/// against the number of elements, and those by their type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<'a> {
    element: Type,
    bytes: &'a [u8],
    len: usize,
    dimensions: [u32; MAX_DIMENSIONS],
    lower_bounds: [i32; MAX_DIMENSIONS],
    ndim: usize,
    has_nulls: bool,
}

/// Elements that stand in an array as in a row, and how: all others are text.
fn packed(element: Type, cursor: &mut Cursor<'_>) -> Result<Wire<'static>, Damage> {
    Ok(match element {
        Type::Float => Wire::Fixed32(cursor.fixed32()?),
        Type::Double => Wire::Fixed64(cursor.fixed64()?),
        _ => Wire::Varint(cursor.varint()?),
    })
}

fn is_packed(element: Type) -> bool {
    matches!(
        element,
        Type::Bool | Type::Int32 | Type::Int64 | Type::Uint32 | Type::Float | Type::Double
    )
}

/// The type that an element's text has: what is no text in a row, is in an
/// array.
fn in_array(element: Type) -> Type {
    match element {
        Type::Timestamp
        | Type::Timestamptz
        | Type::Date
        | Type::Time
        | Type::Timetz
        | Type::Interval => Type::Other,
        other => other,
    }
}

/// Walks field 1, packed or not.
#[derive(Clone, Copy, Debug)]
struct Elements<'a> {
    element: Type,
    fields: Fields<'a>,
    packed: Cursor<'a>,
}

impl<'a> Elements<'a> {
    fn step(&mut self) -> Result<Option<Wire<'a>>, Damage> {
        loop {
            if !self.packed.is_empty() {
                return packed(self.element, &mut self.packed).map(Some);
            }
            let Some(field) = self.fields.next().transpose()? else { return Ok(None) };
            match field.value {
                _ if field.number != 1 => (),
                Wire::Bytes(bytes) if is_packed(self.element) => self.packed = Cursor::new(bytes),
                value => return Ok(Some(value)),
            }
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
        let mut array = Array {
            element,
            bytes,
            len: 0,
            dimensions: [0; MAX_DIMENSIONS],
            lower_bounds: [1; MAX_DIMENSIONS],
            ndim: 0,
            has_nulls: false,
        };
        if matches!(element, Type::Unspecified | Type::Array) {
            return Err(Damage::Unsupported("the type of an array's elements"));
        }
        let mut elements = array.elements();
        while elements.step()?.is_some() {
            array.len += 1;
        }
        let (mut dims, mut bounds) = ([0; MAX_DIMENSIONS], [0; MAX_DIMENSIONS]);
        let (mut ndims, mut nbounds) = (0, 0);
        let mut last = None;
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                2 => array.read_nulls(field, &mut last)?,
                3 => read_small(field, &mut dims, &mut ndims)?,
                4 => read_small(field, &mut bounds, &mut nbounds)?,
                _ => (),
            }
        }
        if ndims != nbounds {
            return malformed("array has other numbers of dimensions and lower bounds");
        }
        array.shape(&dims[..ndims], &bounds)?;
        // so that printing it cannot fail
        array.iter().try_for_each(|element| element.map(drop))?;
        Ok(array)
    }

    fn elements(&self) -> Elements<'a> {
        Elements {
            element: self.element,
            fields: Fields::new(self.bytes),
            packed: Cursor::new(&[]),
        }
    }

    fn read_nulls(&mut self, field: Field<'_>, last: &mut Option<u64>) -> Result<(), Damage> {
        each(field, |position| {
            if position >= self.len as u64 {
                return malformed("array has a NULL beyond its end");
            }
            if last.is_some_and(|last| last >= position) {
                return malformed("array has NULLs out of order");
            }
            *last = Some(position);
            self.has_nulls = true;
            Ok(())
        })
    }

    fn shape(&mut self, dims: &[u64], bounds: &[u64]) -> Result<(), Damage> {
        if dims.is_empty() {
            self.ndim = usize::from(self.len > 0);
            self.dimensions[0] =
                u32::try_from(self.len).map_err(|_| Damage::Malformed("array is too long"))?;
            return Ok(());
        }
        let mut product = 1u64;
        for (i, (&dim, &bound)) in dims.iter().zip(bounds).enumerate() {
            if dim == 0 || dim > self.len as u64 {
                return malformed("array has a dimension out of range");
            }
            product = product.saturating_mul(dim);
            self.dimensions[i] = dim as u32;
            self.lower_bounds[i] = i32::try_from(unzigzag(bound))
                .map_err(|_| Damage::Malformed("array has a dimension out of range"))?;
        }
        if product != self.len as u64 {
            return malformed("dimensions of an array do not give the number of its elements");
        }
        self.ndim = dims.len();
        Ok(())
    }

    /// Number of elements, NULLs included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What [`Array::iter`] gives: of dates and times it is `Other`, since they
    /// stand as PostgreSQL's text in arrays.
    pub fn element(&self) -> Type {
        in_array(self.element)
    }

    /// Sizes of the dimensions; the product is the number of elements. None for
    /// an empty array.
    pub fn dimensions(&self) -> &[u32] {
        &self.dimensions[..self.ndim]
    }

    /// First subscript of each dimension.
    pub fn lower_bounds(&self) -> &[i32] {
        &self.lower_bounds[..self.ndim]
    }

    /// The elements in row-major order; `None` is NULL. Allocates nothing.
    pub fn iter(&self) -> ArrayIter<'a> {
        let nulls = if self.has_nulls { self.bytes } else { &[] };
        let mut nulls = crate::wire::field::Numbers::new(nulls, 2);
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
    nulls: crate::wire::field::Numbers<'a>,
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

/// Calls `f` for each of the numbers of a field, packed or not.
fn each(field: Field<'_>, mut f: impl FnMut(u64) -> Result<(), Damage>) -> Result<(), Damage> {
    match field.value {
        Wire::Varint(value) => f(value),
        Wire::Bytes(bytes) => {
            let mut cursor = Cursor::new(bytes);
            while !cursor.is_empty() {
                f(cursor.varint()?)?;
            }
            Ok(())
        }
        _ => malformed("array has a field of the wrong wire type"),
    }
}

fn read_small(field: Field<'_>, out: &mut [u64], len: &mut usize) -> Result<(), Damage> {
    each(field, |value| {
        *out.get_mut(*len).ok_or(Damage::Malformed("array has too many dimensions"))? = value;
        *len += 1;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
