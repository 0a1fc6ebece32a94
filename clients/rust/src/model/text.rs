//! PostgreSQL's text form of values.

use std::fmt::{self, Write};

use super::array::Array;
use super::elements::ArrayIter;
use super::number;
use super::value::Value;
use crate::base::damage::Damage;

/// Text that PostgreSQL reads back to the same value, in a session with
/// DateStyle `ISO`: to be cast to the column's `pg_type`.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        write_text(&mut text, self).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

/// Writing to a `String` cannot fail.
pub(crate) fn put(out: &mut String, args: fmt::Arguments<'_>) {
    let _ = out.write_fmt(args);
}

pub(crate) fn hex_digits(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)].into());
        out.push(DIGITS[usize::from(byte & 15)].into());
    }
}

pub(crate) fn uuid(out: &mut String, bytes: &[u8; 16]) {
    for (i, part) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
        if i > 0 {
            out.push('-');
        }
        hex_digits(out, &bytes[part]);
    }
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

pub(crate) type Element<'f> = dyn FnMut(&mut String, Option<Value<'_>>) -> Result<(), Damage> + 'f;

/// At most six deep.
pub(crate) fn nested(
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
fn write_text(out: &mut String, value: &Value<'_>) -> Result<(), Damage> {
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
    use super::super::datetime::Timestamp;
    use super::super::table::Type;
    use super::*;

    #[test]
    fn text() {
        for (value, text) in [
            (Value::Bool(true), "t"),
            (Value::Double(1e20), "1e+20"),
            (Value::Float(f32::INFINITY), "Infinity"),
            (Value::Bytes(&[0, 255]), "\\x00ff"),
            (Value::TimestampTz(Timestamp(0)), "2000-01-01 00:00:00+00"),
            (Value::TimestampTz(Timestamp(-70_000_000_000_000_000)), "0220-10-14 19:33:20+00 BC"),
            (Value::TimestampTz(Timestamp::INFINITY), "infinity"),
            (
                Value::Array(Array::parse(Type::Text, b"\x0a\x01a\x0a\x03\"b,").unwrap()),
                r#"{a,"\"b,"}"#,
            ),
        ] {
            assert_eq!(value.to_string(), text);
        }
    }
}
