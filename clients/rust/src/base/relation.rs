//! Names of relations, and how they are written.

use std::fmt;
use std::str::FromStr;

/// Name of a relation: schema and name. As text it is as in SQL, `public.orders` or
/// `"Sales"."Orders"`; names without double quotes are folded to lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Relation {
    /// Its schema (namespace).
    pub schema: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        qualified(f, &self.schema, &self.name)
    }
}

/// Why text is no [`Relation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotARelation;

impl fmt::Display for NotARelation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a relation is given as schema.table, as in SQL")
    }
}

impl std::error::Error for NotARelation {}

impl FromStr for Relation {
    type Err = NotARelation;

    fn from_str(text: &str) -> Result<Self, NotARelation> {
        match split(text) {
            Some((relation, "")) => Ok(relation),
            _ => Err(NotARelation),
        }
    }
}

/// The relation that text begins with, and what follows.
pub(crate) fn split(text: &str) -> Option<(Relation, &str)> {
    let (schema, rest) = name(text)?;
    let (name, rest) = name(rest.strip_prefix('.')?)?;
    Some((Relation { schema, name }, rest))
}

/// The name that text begins with, and what follows.
fn name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(['.', '"', ',', '=']).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let plain = !name.is_empty() && !name.contains(char::is_whitespace);
        return plain.then(|| (name.to_ascii_lowercase(), rest));
    };
    let (mut name, mut rest) = (String::new(), quoted);
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return (!name.is_empty()).then_some((name, rest)),
        }
    }
}

/// `schema.name`, with double quotes where needed.
pub(crate) fn qualified(f: &mut fmt::Formatter<'_>, schema: &str, name: &str) -> fmt::Result {
    identifier(f, schema)?;
    f.write_str(".")?;
    identifier(f, name)
}

fn identifier(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let first_is_digit = name.as_bytes().first().is_none_or(u8::is_ascii_digit);
    if !first_is_digit && name.bytes().all(plain) {
        return f.write_str(name);
    }
    write!(f, "\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for (text, schema, name, back) in [
            ("public.orders", "public", "orders", "public.orders"),
            ("Public.ORDERS", "public", "orders", "public.orders"),
            ("\"Pub\"\"lic\".\"1.a\"", "Pub\"lic", "1.a", "\"Pub\"\"lic\".\"1.a\""),
            ("\"a=b\".\"é, c\"", "a=b", "é, c", "\"a=b\".\"é, c\""),
        ] {
            let relation: Relation = text.parse().unwrap();
            assert_eq!((&*relation.schema, &*relation.name), (schema, name));
            assert_eq!(relation.to_string(), back);
            assert_eq!(back.parse(), Ok(relation));
        }
        for text in ["", "a", "a.", ".a", "a.b.c", "a. b", "\"a.b", "\"\".a", "a.b=1", "a.\"b\"c"] {
            assert_eq!(text.parse::<Relation>(), Err(NotARelation), "{text}");
        }
    }
}
