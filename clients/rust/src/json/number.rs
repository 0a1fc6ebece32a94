//! Floating point numbers with the fewest digits that read back.

use std::fmt::Write;

/// Appends a number. `limit`: the exponent from which it is written with one.
fn write(out: &mut String, scientific: &str, limit: i32) {
    let (sign, body) = match scientific.strip_prefix('-') {
        Some(body) => ("-", body),
        None => ("", scientific),
    };
    // Rust's {:e} is d.ddde-x, with the fewest digits
    let (mantissa, exponent) = body.split_once('e').unwrap_or((body, "0"));
    let (first, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    out.push_str(sign);
    if first == "0" {
        out.push('0');
    } else if !(-4..limit).contains(&exponent) {
        out.push_str(first);
        if !fraction.is_empty() {
            out.push('.');
            out.push_str(fraction);
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
    } else if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        out.push_str(first);
        out.push_str(fraction);
    } else {
        let whole = (exponent as usize).min(fraction.len());
        out.push_str(first);
        out.push_str(&fraction[..whole]);
        out.extend(std::iter::repeat_n('0', exponent as usize - whole));
        if whole < fraction.len() {
            out.push('.');
            out.push_str(&fraction[whole..]);
        }
    }
}

fn special(value: f64) -> Option<&'static str> {
    match value {
        _ if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        _ => None,
    }
}

/// Appends the text of a `double precision`. Whether it is a number that JSON
/// has.
pub(super) fn double(out: &mut String, value: f64) -> bool {
    if let Some(text) = special(value) {
        out.push_str(text);
        return false;
    }
    write(out, &format!("{value:e}"), 15);
    true
}

/// The same of a `real`.
pub(super) fn single(out: &mut String, value: f32) -> bool {
    if let Some(text) = special(value.into()) {
        out.push_str(text);
        return false;
    }
    write(out, &format!("{value:e}"), 6);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (123456.789, "123456.789"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (1.5e300, "1.5e+300"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (5e-324, "5e-324"),
            (0.1 + 0.2, "0.30000000000000004"),
        ] {
            let mut out = String::new();
            assert!(double(&mut out, value));
            assert_eq!(out, text);
        }
    }

    #[test]
    fn singles() {
        for (value, text) in
            [(1e5f32, "100000"), (1e6, "1e+06"), (0.1, "0.1"), (1.1754944e-38, "1.1754944e-38")]
        {
            let mut out = String::new();
            assert!(single(&mut out, value));
            assert_eq!(out, text);
        }
        let mut out = String::new();
        assert!(!single(&mut out, f32::NEG_INFINITY));
        assert_eq!(out, "-Infinity");
    }
}
