//! Arrays: a view of the `*Array` messages.

use super::table::Type;
use crate::base::damage::{malformed, Damage};
use crate::wire::field::{unzigzag, Cursor, Field, Fields, Numbers, Wire};

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
pub(super) fn in_array(element: Type) -> Type {
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
pub(super) struct Elements<'a> {
    pub(super) element: Type,
    fields: Fields<'a>,
    packed: Cursor<'a>,
}

impl<'a> Elements<'a> {
    pub(super) fn step(&mut self) -> Result<Option<Wire<'a>>, Damage> {
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
    /// The shape of a serialized `*Array` message; its elements are not looked at.
    pub(super) fn shaped(element: Type, bytes: &'a [u8]) -> Result<Self, Damage> {
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
        Ok(array)
    }

    pub(super) fn elements(&self) -> Elements<'a> {
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

    /// Where its NULLs stand.
    pub(super) fn nulls(&self) -> Numbers<'a> {
        Numbers::new(if self.has_nulls { self.bytes } else { &[] }, 2)
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
