//! Values of columns in the JSON form.

use super::compact;
use super::text::{put, string};
use crate::base::damage::{malformed, Damage};
use crate::model::array::Array;
use crate::model::datetime::{self, Date, Interval, Timestamp};
use crate::model::number;
use crate::model::table::{Column, Type};
use crate::model::text::{array_literal, hex_digits, nested, uuid};
use crate::model::value::Value;
use crate::wire::field::Wire;

/// Appends the value of a column.
///
/// # Errors
/// Damage; `out` then has part of the value.
pub fn write_value(out: &mut String, column: &Column, wire: Wire<'_>) -> Result<(), Damage> {
    write(out, Value::decode(column, wire)?)
}

fn write(out: &mut String, value: Value<'_>) -> Result<(), Damage> {
    match value {
        Value::Bool(v) => put(out, format_args!("{v}")),
        Value::Int32(v) => put(out, format_args!("{v}")),
        Value::Int64(v) => put(out, format_args!("{v}")),
        Value::UInt32(v) => put(out, format_args!("{v}")),
        Value::Float(v) => quoted_unless(out, |out| number::single(out, v)),
        Value::Double(v) => quoted_unless(out, |out| number::double(out, v)),
        Value::Numeric(v) => return numeric(out, v),
        Value::Text(v) | Value::Other(v) | Value::Redacted(v) => string(out, v),
        Value::Json(v) => {
            if !compact::compact(out, v) {
                return malformed("text of a json value is not JSON");
            }
        }
        Value::Bytes(v) => hex(out, v),
        Value::Uuid(v) => {
            out.push('"');
            uuid(out, &v);
            out.push('"');
        }
        Value::Timestamp(v) => return timestamp(out, v, ""),
        Value::TimestampTz(v) => return timestamp(out, v, "+00:00"),
        Value::Date(v) => return date(out, v),
        Value::Time(v) => put(out, format_args!("\"{v}\"")),
        Value::TimeTz(v) => put(out, format_args!("\"{v}\"")),
        Value::Interval(v) => interval(out, v),
        Value::Array(v) => return array(out, &v),
    }
    Ok(())
}

fn quoted_unless(out: &mut String, write: impl FnOnce(&mut String) -> bool) {
    let start = out.len();
    if !write(out) {
        out.insert(start, '"');
        out.push('"');
    }
}

fn is_decimal(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    digits(whole) && digits(fraction) && (whole == "0" || !whole.starts_with('0'))
}

fn numeric(out: &mut String, text: &str) -> Result<(), Damage> {
    if is_decimal(text) {
        out.push_str(text);
        return Ok(());
    }
    if !["NaN", "Infinity", "-Infinity"].contains(&text) {
        return malformed("text of a numeric is not a number");
    }
    string(out, text);
    Ok(())
}

/// `"\\x01ff"`
pub(super) fn hex(out: &mut String, bytes: &[u8]) {
    out.push_str("\"\\\\x");
    hex_digits(out, bytes);
    out.push('"');
}

fn infinity(out: &mut String, positive: bool) {
    out.push_str(if positive { "\"infinity\"" } else { "\"-infinity\"" });
}

fn of_date(out: &mut String, date: Date) -> Result<bool, Damage> {
    match datetime::write_date(out, date) {
        Some(Ok(bc)) => Ok(bc),
        _ => malformed("date out of range"),
    }
}

fn date(out: &mut String, date: Date) -> Result<(), Damage> {
    if date.is_infinite() {
        infinity(out, date.0 > 0);
        return Ok(());
    }
    out.push('"');
    let bc = of_date(out, date)?;
    out.push_str(if bc { " BC\"" } else { "\"" });
    Ok(())
}

/// A point in time in quotes, with the time zone's text.
pub(super) fn timestamp(out: &mut String, time: Timestamp, zone: &str) -> Result<(), Damage> {
    if time.is_infinite() {
        infinity(out, time.0 > 0);
        return Ok(());
    }
    let (date, time) = time.split().ok_or(Damage::Malformed("date out of range"))?;
    out.push('"');
    let bc = of_date(out, date)?;
    out.push('T');
    let _ = datetime::write_time(out, time);
    out.push_str(zone);
    out.push_str(if bc { " BC\"" } else { "\"" });
    Ok(())
}

fn interval(out: &mut String, v: Interval) {
    if v == Interval::INFINITY || v == Interval::NEG_INFINITY {
        return infinity(out, v.months > 0);
    }
    let Interval { months, days, microseconds } = v;
    put(
        out,
        format_args!("{{\"months\":{months},\"days\":{days},\"microseconds\":{microseconds}}}"),
    );
}

fn array(out: &mut String, array: &Array<'_>) -> Result<(), Damage> {
    if array.is_empty() {
        out.push_str("[]");
        return Ok(());
    }
    if array.lower_bounds().iter().all(|&bound| bound == 1) && !has_json_null(array)? {
        return nested(out, array.dimensions(), &mut array.iter(), "[]", &mut |out, value| {
            match value {
                Some(value) => write(out, value),
                None => {
                    out.push_str("null");
                    Ok(())
                }
            }
        });
    }
    let mut text = String::new();
    array_literal(&mut text, array)?;
    string(out, &text);
    Ok(())
}

/// Whether an element is the null of JSON, which would look as NULL does.
fn has_json_null(array: &Array<'_>) -> Result<bool, Damage> {
    if array.element() != Type::Json {
        return Ok(false);
    }
    for value in array.iter() {
        if let Some(Value::Json(text)) = value? {
            if text.trim_matches([' ', '\t', '\n', '\r']) == "null" {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_json(elements: &[&str], end: &[u8]) -> String {
        let mut bytes = Vec::new();
        for element in elements {
            bytes.extend([0x0a, element.len() as u8]);
            bytes.extend(element.as_bytes());
        }
        bytes.extend(end);
        let mut out = String::new();
        array(&mut out, &Array::parse(Type::Json, &bytes).unwrap()).unwrap();
        out
    }

    /// The null of JSON and NULL are told apart in an array, too.
    #[test]
    fn arrays_of_json() {
        assert_eq!(of_json(&["1", ""], &[0x12, 1, 1]), "[1,null]");
        assert_eq!(of_json(&["null", ""], &[0x12, 1, 1]), r#""{\"null\",NULL}""#);
        assert_eq!(of_json(&[" \t\n\rnull ", "7"], &[]), r#""{\" \t\n\rnull \",7}""#);
        assert_eq!(of_json(&["nulls"], &[0x12, 1, 0]), "[null]");
        assert_eq!(of_json(&["[null]", "\"null\""], &[]), r#"[[null],"null"]"#);
        let bounds = [0x1a, 1, 1, 0x22, 1, 0];
        assert_eq!(of_json(&["null"], &bounds), r#""[0:0]={\"null\"}""#);
        let square = [0x12, 1, 1, 0x1a, 2, 2, 1, 0x22, 2, 2, 2];
        assert_eq!(of_json(&["null", ""], &square), r#""{{\"null\"},{NULL}}""#);
    }
}
