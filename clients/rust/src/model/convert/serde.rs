//! serde: positions as text, values as what comes nearest.

use serde::ser::{Error as _, SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::base::position::{Lsn, Position};
use crate::model::array::Array;
use crate::model::elements::ArrayIter;
use crate::model::row::Row;
use crate::model::table::Table;
use crate::model::value::Value;

impl Serialize for Lsn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Numbers and booleans as such, bytes as bytes, everything else as text:
/// `numeric` and `json` too, so that nothing is lost. Times as PostgreSQL
/// prints them. For the JSON form of the protocol see
/// [`json`](crate::json).
impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Bool(v) => s.serialize_bool(*v),
            Value::Int32(v) => s.serialize_i32(*v),
            Value::Int64(v) => s.serialize_i64(*v),
            Value::UInt32(v) => s.serialize_u32(*v),
            Value::Float(v) => s.serialize_f32(*v),
            Value::Double(v) => s.serialize_f64(*v),
            Value::Bytes(v) => s.serialize_bytes(v),
            Value::Uuid(v) => s.collect_str(&format_args!("{:032x}", u128::from_be_bytes(*v))),
            Value::Timestamp(v) | Value::TimestampTz(v) => s.collect_str(v),
            Value::Date(v) => s.collect_str(v),
            Value::Time(v) => s.collect_str(v),
            Value::TimeTz(v) => s.collect_str(v),
            Value::Interval(v) => s.collect_str(v),
            Value::Array(v) => array(s, v),
            Value::Numeric(v)
            | Value::Text(v)
            | Value::Json(v)
            | Value::Other(v)
            | Value::Redacted(v) => s.serialize_str(v),
        }
    }
}

fn array<S: Serializer>(s: S, array: &Array<'_>) -> Result<S::Ok, S::Error> {
    Nested { dimensions: array.dimensions(), elements: std::cell::RefCell::new(array.iter()) }
        .serialize(s)
}

struct Nested<'a, I> {
    dimensions: &'a [u32],
    elements: I,
}

impl Serialize for Nested<'_, std::cell::RefCell<ArrayIter<'_>>> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        Nested { dimensions: self.dimensions, elements: &self.elements }.serialize(s)
    }
}

impl Serialize for Nested<'_, &std::cell::RefCell<ArrayIter<'_>>> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let [size, inner @ ..] = self.dimensions else { return s.serialize_seq(Some(0))?.end() };
        let mut seq = s.serialize_seq(Some(*size as usize))?;
        for _ in 0..*size {
            if inner.is_empty() {
                let element =
                    self.elements.borrow_mut().next().transpose().map_err(S::Error::custom)?;
                seq.serialize_element(&element.flatten())?;
            } else {
                seq.serialize_element(&Nested { dimensions: inner, elements: self.elements })?;
            }
        }
        seq.end()
    }
}

/// A row as a map from names of columns to values. Absent columns are absent.
#[derive(Clone, Copy, Debug)]
pub struct NamedRow<'a>(
    /// The row.
    pub Row<'a>,
    /// Its table.
    pub &'a Table,
);

impl Serialize for NamedRow<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        for value in self.0.values(self.1) {
            let (column, value) = value.map_err(S::Error::custom)?;
            map.serialize_entry(&column.name, &value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::{Column, Type};

    #[test]
    fn rows_are_maps() {
        let column = |number, name: &str, r#type, element| Column {
            number,
            name: name.into(),
            r#type,
            element,
            ..Column::default()
        };
        let table = Table {
            columns: vec![
                column(1, "id", Type::Int32, Type::Unspecified),
                column(2, "n", Type::Numeric, Type::Unspecified),
                column(3, "a", Type::Array, Type::Int32),
            ],
            ..Table::default()
        };
        let row = [
            0x08, 5, 0x12, 3, b'1', b'.', b'0', 0x1a, 15, 0x0a, 4, 2, 0, 6, 8, 0x12, 1, 1, 0x1a, 2,
            2, 2, 0x22, 2, 2, 2,
        ];
        let mut row = row.to_vec();
        row[8] = (row.len() - 9) as u8;
        let json = serde_json::to_string(&NamedRow(Row::new(&row), &table)).unwrap();
        assert_eq!(json, r#"{"id":-3,"n":"1.0","a":[[1,null],[3,4]]}"#);
        assert_eq!(serde_json::to_string(&Lsn(16)).unwrap(), "\"0/10\"");
    }
}
