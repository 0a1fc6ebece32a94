//! Checks JSON and removes the whitespace outside of its strings. Does not
//! recurse.

/// The rest after a string's opening quote; `None` if it is no string.
fn after_string(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some(at + 1),
            0..=0x1f => return None,
            b'\\' => {
                at += 1;
                match *bytes.get(at)? {
                    b'u' => {
                        let digits = bytes.get(at + 1..at + 5)?;
                        if !digits.iter().all(u8::is_ascii_hexdigit) {
                            return None;
                        }
                        at += 4;
                    }
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => (),
                    _ => return None,
                }
            }
            _ => (),
        }
        at += 1;
    }
}

fn after_digits(bytes: &[u8], from: usize) -> Option<usize> {
    let len = bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    (len > 0).then_some(from + len)
}

fn after_number(bytes: &[u8]) -> Option<usize> {
    let start = usize::from(bytes.first() == Some(&b'-'));
    let mut at = after_digits(bytes, start)?;
    if bytes[start] == b'0' && at - start > 1 {
        return None;
    }
    if bytes.get(at) == Some(&b'.') {
        at = after_digits(bytes, at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = after_digits(bytes, at)?;
    }
    Some(at)
}

fn after_scalar(bytes: &[u8]) -> Option<usize> {
    if bytes.first() == Some(&b'"') {
        return after_string(bytes);
    }
    ["true", "false", "null"]
        .iter()
        .find(|word| bytes.starts_with(word.as_bytes()))
        .map_or_else(|| after_number(bytes), |word| Some(word.len()))
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

#[derive(Clone, Copy, PartialEq)]
enum Expect {
    Value,
    FirstValue,
    Key,
    FirstKey,
    After,
}

/// Appends the JSON `text` without whitespace. Whether it is JSON.
pub(super) fn compact(out: &mut String, text: &str) -> bool {
    let mut open: Vec<u8> = Vec::new();
    let mut expect = Expect::Value;
    let mut rest = skip_space(text);
    while let Some(&byte) = rest.as_bytes().first() {
        let top = open.last().copied();
        let len = match (expect, byte) {
            (Expect::After, b',') if top.is_some() => {
                expect = if top == Some(b'{') { Expect::Key } else { Expect::Value };
                1
            }
            (Expect::After | Expect::FirstKey, b'}') if top == Some(b'{') => {
                open.pop();
                expect = Expect::After;
                1
            }
            (Expect::After | Expect::FirstValue, b']') if top == Some(b'[') => {
                open.pop();
                expect = Expect::After;
                1
            }
            (Expect::After, _) => return false,
            (Expect::Key | Expect::FirstKey, b'"') => {
                let Some(len) = after_string(rest.as_bytes()) else { return false };
                out.push_str(&rest[..len]);
                rest = skip_space(&rest[len..]);
                if !rest.starts_with(':') {
                    return false;
                }
                expect = Expect::Value;
                1
            }
            (Expect::Key | Expect::FirstKey, _) => return false,
            (_, b'{' | b'[') => {
                open.push(byte);
                expect = if byte == b'{' { Expect::FirstKey } else { Expect::FirstValue };
                1
            }
            _ => {
                let Some(len) = after_scalar(rest.as_bytes()) else { return false };
                expect = Expect::After;
                len
            }
        };
        out.push_str(&rest[..len]);
        rest = skip_space(&rest[len..]);
    }
    expect == Expect::After && open.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compacts() {
        for (text, wanted) in [
            (" 1 ", "1"),
            ("\"a b\\u00e9\\\" \"", "\"a b\\u00e9\\\" \""),
            (
                "{ \"a\" : [ 1 , 2.5e-3 , { } , [ ] ] , \"b\" : null }",
                "{\"a\":[1,2.5e-3,{},[]],\"b\":null}",
            ),
            ("[true,\n\tfalse]", "[true,false]"),
        ] {
            let mut out = String::new();
            assert!(compact(&mut out, text), "{text}");
            assert_eq!(out, wanted);
        }
    }

    #[test]
    fn refuses() {
        for text in [
            "",
            "1 2",
            "[1,]",
            "{\"a\"}",
            "{,}",
            "[",
            "]",
            "01",
            "1.",
            "-",
            "\"\\x\"",
            "\"\n\"",
            "nul",
            "{\"a\":1,}",
            "1e",
            "\"\\u12g4\"",
        ] {
            assert!(!compact(&mut String::new(), text), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert!(!compact(&mut String::new(), &deep));
    }
}
