//! Values of columns in the JSON form.

use super::compact;
use super::lines::{put, string};
use crate::base::damage::{malformed, Damage};
use crate::model::array::{Array, ArrayIter};
use crate::model::datetime::{self, Date, Interval, Timestamp};
use crate::model::number;
use crate::model::schema::{Column, Type};
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

fn hex_digits(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)].into());
        out.push(DIGITS[usize::from(byte & 15)].into());
    }
}

fn uuid(out: &mut String, bytes: &[u8; 16]) {
    for (i, part) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
        if i > 0 {
            out.push('-');
        }
        hex_digits(out, &bytes[part]);
    }
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

/// PostgreSQL's array literal, with the bounds where they are not 1.
pub(crate) fn array_literal(out: &mut String, array: &Array<'_>) -> Result<(), Damage> {
    if array.is_empty() {
        out.push_str("{}");
        return Ok(());
    }
    if array.lower_bounds().iter().any(|&bound| bound != 1) {
        for (&size, &bound) in array.dimensions().iter().zip(array.lower_bounds()) {
            let last = i64::from(bound) + i64::from(size) - 1;
            put(out, format_args!("[{bound}:{last}]"));
        }
        out.push('=');
    }
    nested(out, array.dimensions(), &mut array.iter(), "{}", &mut literal)
}

type Element<'f> = dyn FnMut(&mut String, Option<Value<'_>>) -> Result<(), Damage> + 'f;

/// At most six deep.
fn nested(
    out: &mut String,
    dimensions: &[u32],
    elements: &mut ArrayIter<'_>,
    brackets: &str,
    element: &mut Element<'_>,
) -> Result<(), Damage> {
    let [size, inner @ ..] = dimensions else {
        let value = elements.next().ok_or(Damage::Malformed("array is cut"))??;
        return element(out, value);
    };
    out.push_str(&brackets[..1]);
    for i in 0..*size {
        if i > 0 {
            out.push(',');
        }
        nested(out, inner, elements, brackets, element)?;
    }
    out.push_str(&brackets[1..]);
    Ok(())
}

/// PostgreSQL's text form.
pub(crate) fn write_text(out: &mut String, value: &Value<'_>) -> Result<(), Damage> {
    match value {
        Value::Bool(v) => out.push(if *v { 't' } else { 'f' }),
        Value::Float(v) => drop(number::single(out, *v)),
        Value::Double(v) => drop(number::double(out, *v)),
        Value::Int32(v) => put(out, format_args!("{v}")),
        Value::Int64(v) => put(out, format_args!("{v}")),
        Value::UInt32(v) => put(out, format_args!("{v}")),
        Value::Bytes(v) => {
            out.push_str("\\x");
            hex_digits(out, v);
        }
        Value::Uuid(v) => uuid(out, v),
        Value::Timestamp(v) => put(out, format_args!("{v}")),
        Value::TimestampTz(v) => match v.to_string().strip_suffix(" BC") {
            _ if v.is_infinite() => put(out, format_args!("{v}")),
            Some(text) => put(out, format_args!("{text}+00 BC")),
            None => put(out, format_args!("{v}+00")),
        },
        Value::Date(v) => put(out, format_args!("{v}")),
        Value::Time(v) => put(out, format_args!("{v}")),
        Value::TimeTz(v) => put(out, format_args!("{v}")),
        Value::Interval(v) => put(out, format_args!("{v}")),
        Value::Array(v) => return array_literal(out, v),
        Value::Numeric(v)
        | Value::Text(v)
        | Value::Json(v)
        | Value::Other(v)
        | Value::Redacted(v) => {
            out.push_str(v);
        }
    }
    Ok(())
}

/// An element in an array literal, as PostgreSQL prints it.
fn literal(out: &mut String, value: Option<Value<'_>>) -> Result<(), Damage> {
    let Some(value) = value else {
        out.push_str("NULL");
        return Ok(());
    };
    let mut own = String::new();
    let text = match value.as_str() {
        Some(text) => text,
        None => {
            write_text(&mut own, &value)?;
            &own
        }
    };
    let space = |b: u8| b.is_ascii_whitespace() || b == 0x0b;
    let special = |b: u8| space(b) || matches!(b, b'"' | b'\\' | b'{' | b'}' | b',');
    if !text.is_empty() && !text.eq_ignore_ascii_case("NULL") && !text.bytes().any(special) {
        out.push_str(text);
        return Ok(());
    }
    out.push('"');
    for c in text.chars() {
        if c == '"' || c == '\\' {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    Ok(())
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
