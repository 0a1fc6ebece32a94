//! Values of columns, for those who have no generated code.

use super::array::Array;
use super::datetime::{Date, Interval, Time, TimeTz, Timestamp, DAY};
use super::table::Type;
use crate::base::damage::{malformed, Damage};
use crate::wire::field::{unzigzag, Fields, Wire};

/// A value, borrowed from the batch. NULL has none: what an absent column means
/// depends on the event.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// boolean
    Bool(bool),
    /// smallint, integer
    Int32(i32),
    /// bigint
    Int64(i64),
    /// oid, xid, cid
    UInt32(u32),
    /// real
    Float(f32),
    /// double precision
    Double(f64),
    /// numeric: its exact text, or `NaN`, `Infinity`, `-Infinity`.
    Numeric(&'a str),
    /// text, varchar, char(n), enums …
    Text(&'a str),
    /// json and jsonb, as text.
    Json(&'a str),
    /// bytea; all text in SQL_ASCII databases.
    Bytes(&'a [u8]),
    /// uuid
    Uuid([u8; 16]),
    /// timestamp without time zone
    Timestamp(Timestamp),
    /// timestamp with time zone, in UTC
    TimestampTz(Timestamp),
    /// date
    Date(Date),
    /// time without time zone
    Time(Time),
    /// time with time zone
    TimeTz(TimeTz),
    /// interval
    Interval(Interval),
    /// arrays
    Array(Array<'a>),
    /// Every other type: PostgreSQL's text output.
    Other(&'a str),
    /// What a rule put in the place of the value of a redacted column. Empty where a rule
    /// about parts of JSON ([`crate::Redaction::Path`]) withholds the value.
    Redacted(&'a str),
}

/// Checks of numbers that have no enum value of their own.
fn int32(value: u64) -> Result<i32, Damage> {
    i32::try_from(unzigzag(value)).map_err(|_| Damage::Malformed("number does not fit its type"))
}

fn time(value: u64) -> Result<Time, Damage> {
    match i64::try_from(value) {
        Ok(us) if us <= DAY => Ok(Time(us)),
        _ => malformed("time of day out of range"),
    }
}

/// The varint fields 1 to N of a small message; 0 where absent.
fn varints<const N: usize>(bytes: &[u8]) -> Result<[u64; N], Damage> {
    let mut values = [0; N];
    for field in Fields::new(bytes) {
        let field = field?;
        if let Some(value) = values.get_mut(field.number as usize - 1) {
            *value = field.value.varint()?;
        }
    }
    Ok(values)
}

fn timetz(bytes: &[u8]) -> Result<TimeTz, Damage> {
    let [at, offset] = varints(bytes)?;
    let offset = int32(offset)?;
    if !(-86_400..=86_400).contains(&offset) {
        return malformed("time zone out of range");
    }
    Ok(TimeTz { time: time(at)?, offset })
}

fn interval(bytes: &[u8]) -> Result<Interval, Damage> {
    let [months, days, us] = varints(bytes)?;
    Ok(Interval { months: int32(months)?, days: int32(days)?, microseconds: unzigzag(us) })
}

impl<'a> Value<'a> {
    /// Of any type but an array's.
    pub(super) fn of_type(r#type: Type, wire: Wire<'a>) -> Result<Self, Damage> {
        Ok(match (r#type, wire) {
            (Type::Bool, Wire::Varint(v)) => Value::Bool(v != 0),
            (Type::Int32, Wire::Varint(v)) => Value::Int32(int32(v)?),
            (Type::Int64, Wire::Varint(v)) => Value::Int64(unzigzag(v)),
            (Type::Uint32, Wire::Varint(v)) => Value::UInt32(v as u32),
            (Type::Float, Wire::Fixed32(v)) => Value::Float(f32::from_bits(v)),
            (Type::Double, Wire::Fixed64(v)) => Value::Double(f64::from_bits(v)),
            (Type::Numeric, Wire::Bytes(_)) => Value::Numeric(wire.str()?),
            (Type::Text, Wire::Bytes(_)) => Value::Text(wire.str()?),
            (Type::Json, Wire::Bytes(_)) => Value::Json(wire.str()?),
            (Type::Bytes, Wire::Bytes(v)) => Value::Bytes(v),
            (Type::Uuid, Wire::Bytes(v)) => Value::Uuid(
                v.try_into().map_err(|_| Damage::Malformed("uuid is not 16 bytes long"))?,
            ),
            (Type::Timestamp, Wire::Fixed64(v)) => Value::Timestamp(Timestamp(v as i64)),
            (Type::Timestamptz, Wire::Fixed64(v)) => Value::TimestampTz(Timestamp(v as i64)),
            (Type::Date, Wire::Varint(v)) => Value::Date(Date(int32(v)?)),
            (Type::Time, Wire::Varint(v)) => Value::Time(time(v)?),
            (Type::Timetz, Wire::Bytes(v)) => Value::TimeTz(timetz(v)?),
            (Type::Interval, Wire::Bytes(v)) => Value::Interval(interval(v)?),
            (Type::Other, Wire::Bytes(_)) => Value::Other(wire.str()?),
            (Type::Unspecified | Type::Array, _) => {
                return Err(Damage::Unsupported("the type of a column"))
            }
            _ => return malformed("field of a row does not have its column's wire type"),
        })
    }

    /// Text of `Numeric`, `Text`, `Json`, `Other` and `Redacted`.
    pub fn as_str(&self) -> Option<&'a str> {
        match *self {
            Value::Numeric(text)
            | Value::Text(text)
            | Value::Json(text)
            | Value::Other(text)
            | Value::Redacted(text) => Some(text),
            _ => None,
        }
    }

    /// The number of `Int32`, `Int64` and `UInt32`.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Value::Int32(number) => Some(number.into()),
            Value::Int64(number) => Some(number),
            Value::UInt32(number) => Some(number.into()),
            _ => None,
        }
    }
}
