//! Brings the rows of a relation from one schema to the next.

use super::rows;
use super::state::State;
use crate::base::error::Error;
use crate::base::relation::Relation;
use crate::model::row::Row;
use crate::model::table::{Column, Table, Type, MAX_COLUMN, REDACTED_BASE};
use crate::wire::field::{put_varint, unzigzag, Field, Wire};

/// What becomes of a column.
enum Step {
    Keep,
    Drop,
    /// integer and oid: the same 32 bits, another encoding.
    Signed,
    Unsigned,
    /// What the server does by writing all rows anew; where there are none, it sends none.
    Rewrite,
}

fn step(before: &Table, after: &Table, number: u32) -> Step {
    let (old, new) = match (before.column(number), after.column(number)) {
        (Some(old), Some(new)) => (old, new),
        (Some(_), None) => return Step::Drop,
        (None, _) => return Step::Keep,
    };
    if old.r#type == new.r#type && old.element == new.element {
        return Step::Keep;
    }
    match (old.r#type, new.r#type) {
        (Type::Uint32, Type::Int32) => Step::Signed,
        (Type::Int32, Type::Uint32) => Step::Unsigned,
        // the same text or bytes, under another name
        (a, b) if is_text(a) && is_text(b) => Step::Keep,
        (Type::Timestamp, Type::Timestamptz) | (Type::Timestamptz, Type::Timestamp) => Step::Keep,
        (Type::Int32, Type::Int64) => Step::Keep,
        _ => Step::Rewrite,
    }
}

fn is_text(r#type: Type) -> bool {
    matches!(r#type, Type::Text | Type::Json | Type::Numeric | Type::Other)
}

fn keys(table: &Table) -> impl Iterator<Item = u32> + '_ {
    table.columns.iter().filter(|column| column.key).map(|column| column.number)
}

/// What columns that have come are in rows that were there before.
pub(crate) fn missing(before: &Table, after: &Table) -> Vec<u8> {
    let added =
        |column: &&Column| before.column(column.number).is_none() && !column.missing.is_empty();
    let columns = after.columns.iter().filter(added);
    columns.flat_map(|column| column.missing.iter().copied()).collect()
}

/// Whether rows of both are found by the same columns.
pub(super) fn has_same_key(before: &Table, after: &Table) -> bool {
    keys(before).eq(keys(after))
}

/// Rows change where a column comes with a value for them or goes, or where
/// they get another key. Everything else is the same bytes.
pub(super) fn changes_rows(before: &Table, after: &Table) -> bool {
    let keeps = |column: &Column| matches!(step(before, after, column.number), Step::Keep);
    let same = missing(before, after).is_empty() && has_same_key(before, after);
    !(same && before.columns.iter().all(keeps))
}

/// What the server must have written anew has not come.
fn not_rewritten(before: &Table, after: &Table) -> Error {
    let is = |old: &&Column| matches!(step(before, after, old.number), Step::Rewrite);
    let old = before.columns.iter().find(is);
    let new = old.and_then(|old| after.column(old.number));
    let names = old.zip(new).map(|(old, new)| {
        format!(
            "column \"{}\" of {after} changed from {} to {}",
            new.name, old.pg_type, new.pg_type
        )
    });
    Error::Protocol(format!("{} without a rewrite", names.unwrap_or_default()))
}

/// Brings the rows that there are to another schema.
pub(super) fn migrate(
    state: &mut impl State,
    relation: &Relation,
    before: &Table,
    after: &Table,
) -> Result<(), Error> {
    migrate_some(state, relation, before, after, |_| Ok(true))
}

/// The same of some rows; others stay as they are.
pub(super) fn migrate_some(
    state: &mut impl State,
    relation: &Relation,
    before: &Table,
    after: &Table,
    mut wants: impl FnMut(&[u8]) -> Result<bool, Error>,
) -> Result<(), Error> {
    if !changes_rows(before, after) {
        return Ok(());
    }
    let missing = missing(before, after);
    let impossible =
        before.columns.iter().any(|old| matches!(step(before, after, old.number), Step::Rewrite));
    let (mut changed, mut kept) = (Vec::new(), Vec::new());
    state.scan(relation, &mut |key, row| {
        if !wants(row)? {
            kept.push((key.to_vec(), row.to_vec()));
            return Ok(());
        }
        if impossible {
            return Err(not_rewritten(before, after));
        }
        changed.push(migrated(row, before, after, &missing)?);
        Ok(())
    })?;
    state.truncate(relation)?;
    kept.iter().try_for_each(|(key, row)| state.put(relation, key, row))?;
    changed.iter().try_for_each(|(row, count)| add(state, relation, after, row, *count))
}

/// A row, and how often it is there.
pub(crate) fn migrated(
    row: &[u8],
    before: &Table,
    after: &Table,
    missing: &[u8],
) -> Result<(Vec<u8>, u64), Error> {
    let (columns, count) = rows::canonical(Row::new(row))?;
    let mut changed = Vec::with_capacity(row.len() + missing.len());
    for field in Row::new(&columns).fields() {
        put(&mut changed, before, after, field?);
    }
    changed.extend_from_slice(missing);
    if after.has_key() {
        let mut fields = Row::new(row).fields().flatten();
        changed.extend_from_slice(fields.find(|f| f.number == rows::MARK).map_or(&[], |f| f.raw));
    }
    Ok((changed, count))
}

fn add(
    state: &mut impl State,
    relation: &Relation,
    table: &Table,
    row: &[u8],
    count: u64,
) -> Result<(), Error> {
    if table.has_key() {
        return state.put(relation, &rows::key_of(table, row)?, row);
    }
    (0..count).try_for_each(|_| rows::add(state, relation, Row::new(row)))
}

fn put(out: &mut Vec<u8>, before: &Table, after: &Table, field: Field<'_>) {
    let number = match field.number {
        number if number > REDACTED_BASE && number <= REDACTED_BASE + MAX_COLUMN => {
            number - REDACTED_BASE
        }
        number => number,
    };
    match (step(before, after, number), field.value) {
        (Step::Drop, _) => (),
        (Step::Signed, Wire::Varint(value)) => {
            let value = value as u32 as i32;
            put_varint(out, u64::from(number) << 3);
            put_varint(out, u64::from(((value << 1) ^ (value >> 31)) as u32));
        }
        (Step::Unsigned, Wire::Varint(value)) => {
            put_varint(out, u64::from(number) << 3);
            put_varint(out, u64::from(unzigzag(value) as i32 as u32));
        }
        _ => out.extend_from_slice(field.raw),
    }
}
