//! Floating point numbers with the digits that PostgreSQL takes: the fewest that are
//! nearer to the number than to any other.

use std::fmt::Write;

/// Appends a number. `limit`: the exponent from which it is written with one.
fn write(out: &mut String, scientific: &str, limit: i32) {
    let (sign, body) = match scientific.strip_prefix('-') {
        Some(body) => ("-", body),
        None => ("", scientific),
    };
    let (mantissa, exponent) = body.split_once('e').unwrap_or((body, "0"));
    let (first, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
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

/// The digits of m * 2^e in the form of `{:e}`, which `format` gives: the fewest that
/// read back, or with as many behind the point as are asked for. Where the fewest
/// lie exactly half way to the next number (they do read back, as ties go to the
/// even one), PostgreSQL takes more.
fn digits(m: u64, e: i32, width: u32, format: impl Fn(Option<usize>) -> String) -> String {
    let mut text = format(None);
    if m == 0 || m % 2 != 0 {
        return text;
    }
    let mut precision = 0;
    while precision < 17 {
        let Some((number, exponent, n)) = decimal(&text) else { break };
        if !half_way(number, exponent, m, e, width) {
            break;
        }
        precision = n.max(precision + 1);
        text = format(Some(precision));
    }
    text
}

/// Reads `d.ddde-x`: digits * 10^exponent, and how many digits.
fn decimal(text: &str) -> Option<(u64, i32, usize)> {
    let (mantissa, exponent) = text.trim_start_matches('-').split_once('e')?;
    let (first, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i32 = exponent.parse().ok()?;
    let number = format!("{first}{fraction}").parse().ok()?;
    Some((number, exponent - fraction.len() as i32, first.len() + fraction.len()))
}

/// Whether number * 10^exponent is the middle between m * 2^e and a neighbour: an odd
/// number times a power of 2.
fn half_way(number: u64, exponent: i32, m: u64, e: i32, width: u32) -> bool {
    if number == 0 || exponent.unsigned_abs() > 27 {
        return false;
    }
    let twos = number.trailing_zeros() as i32;
    let mut odd = u128::from(number >> twos);
    let fives = 5u128.pow(exponent.unsigned_abs());
    if exponent >= 0 {
        let Some(product) = odd.checked_mul(fives) else { return false };
        odd = product;
    } else if odd % fives == 0 {
        odd /= fives;
    } else {
        return false;
    }
    let (twos, m) = (twos + exponent, u128::from(m));
    if odd == 2 * m + 1 && twos == e - 1 {
        return true;
    }
    if m == 1 << width {
        return odd == 4 * m - 1 && twos == e - 2; // the neighbour below is nearer
    }
    odd == 2 * m - 1 && twos == e - 1
}

/// A number's bits as m * 2^e: `width` bits of a fraction.
fn mantissa(bits: u64, width: u32, exponent_bits: u32) -> (u64, i32) {
    let fraction = bits & ((1 << width) - 1);
    let exponent = ((bits >> width) & ((1 << exponent_bits) - 1)) as i32;
    let bias = (1 << (exponent_bits - 1)) - 1 + width as i32;
    if exponent == 0 {
        (fraction, 1 - bias)
    } else {
        (fraction | 1 << width, exponent - bias)
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
pub(crate) fn double(out: &mut String, value: f64) -> bool {
    if let Some(text) = special(value) {
        out.push_str(text);
        return false;
    }
    let (m, e) = mantissa(value.to_bits(), 52, 11);
    let text = digits(m, e, 52, |precision| match precision {
        None => format!("{value:e}"),
        Some(n) => format!("{value:.n$e}"),
    });
    write(out, &text, 15);
    true
}

/// The same of a `real`.
pub(crate) fn single(out: &mut String, value: f32) -> bool {
    if let Some(text) = special(value.into()) {
        out.push_str(text);
        return false;
    }
    let (m, e) = mantissa(value.to_bits().into(), 23, 8);
    let text = digits(m, e, 23, |precision| match precision {
        None => format!("{value:e}"),
        Some(n) => format!("{value:.n$e}"),
    });
    write(out, &text, 6);
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
            // as SELECT 1e23::float8 prints it
            (1e23, "9.999999999999999e+22"),
            (8.41e21, "8.409999999999999e+21"),
            (-19337381320068968.0, "-1.9337381320068968e+16"),
            (9007199254740992.0, "9.007199254740992e+15"),
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
