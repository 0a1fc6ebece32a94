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
}

fn step(before: &Table, after: &Table, number: u32) -> Result<Step, Error> {
    let (old, new) = match (before.column(number), after.column(number)) {
        (Some(old), Some(new)) => (old, new),
        (Some(_), None) => return Ok(Step::Drop),
        (None, _) => return Ok(Step::Keep),
    };
    if old.r#type == new.r#type && old.element == new.element {
        return Ok(Step::Keep);
    }
    match (old.r#type, new.r#type) {
        (Type::Uint32, Type::Int32) => Ok(Step::Signed),
        (Type::Int32, Type::Uint32) => Ok(Step::Unsigned),
        // the same text or bytes, under another name
        (a, b) if is_text(a) && is_text(b) => Ok(Step::Keep),
        (Type::Timestamp, Type::Timestamptz) | (Type::Timestamptz, Type::Timestamp) => {
            Ok(Step::Keep)
        }
        (Type::Int32, Type::Int64) => Ok(Step::Keep),
        _ => Err(Error::Protocol(format!(
            "column \"{}\" of {after} changed from {} to {} without a rewrite",
            new.name, old.pg_type, new.pg_type
        ))),
    }
}

fn is_text(r#type: Type) -> bool {
    matches!(r#type, Type::Text | Type::Json | Type::Numeric | Type::Other)
}

fn keys(table: &Table) -> impl Iterator<Item = u32> + '_ {
    table.columns.iter().filter(|column| column.key).map(|column| column.number)
}

/// What columns that have come are in rows that were there before.
fn missing(before: &Table, after: &Table) -> Vec<u8> {
    let added =
        |column: &&Column| before.column(column.number).is_none() && !column.missing.is_empty();
    let columns = after.columns.iter().filter(added);
    columns.flat_map(|column| column.missing.iter().copied()).collect()
}

/// Rows change where a column comes with a value for them or goes, or where
/// they get another key. Everything else is the same bytes.
pub(super) fn changes_rows(before: &Table, after: &Table) -> Result<bool, Error> {
    let mut same = missing(before, after).is_empty() && keys(before).eq(keys(after));
    for column in &before.columns {
        same &= matches!(step(before, after, column.number)?, Step::Keep);
    }
    Ok(!same)
}

/// Brings the rows that there are to another schema.
pub(super) fn migrate(
    state: &mut impl State,
    relation: &Relation,
    before: &Table,
    after: &Table,
) -> Result<(), Error> {
    if !changes_rows(before, after)? {
        return Ok(());
    }
    let missing = missing(before, after);
    let mut rows = Vec::new();
    state.scan(relation, &mut |_, row| {
        let (row, count) = rows::canonical(Row::new(row))?;
        let mut changed = Vec::with_capacity(row.len() + missing.len());
        for field in Row::new(&row).fields() {
            put(&mut changed, before, after, field?)?;
        }
        changed.extend_from_slice(&missing);
        rows.push((changed, count));
        Ok(())
    })?;
    state.truncate(relation)?;
    for (row, count) in rows {
        if after.has_key() {
            let key = rows::key_of(after, &row)?;
            state.put(relation, &key, &row)?;
        } else {
            for _ in 0..count {
                rows::add(state, relation, Row::new(&row))?;
            }
        }
    }
    Ok(())
}

fn put(out: &mut Vec<u8>, before: &Table, after: &Table, field: Field<'_>) -> Result<(), Error> {
    let number = match field.number {
        number if number > REDACTED_BASE && number <= REDACTED_BASE + MAX_COLUMN => {
            number - REDACTED_BASE
        }
        number => number,
    };
    match (step(before, after, number)?, field.value) {
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
    Ok(())
}
