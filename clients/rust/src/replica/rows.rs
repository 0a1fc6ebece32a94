//! Rows as bytes: in order, without a key, with all columns.

use super::state::State;
use crate::base::damage::Damage;
use crate::base::error::Error;
use crate::base::relation::Relation;
use crate::model::event::Event;
use crate::model::row::Row;
use crate::model::table::{Table, REDACTED_BASE};
use crate::wire::field::{put_varint, Wire};

/// How often a row without a key is there, if more than once.
pub(super) const COUNT: u32 = (1 << 29) - 1;

/// The number of a row's snapshot stands in the row, as a field that no table
/// has: so it is kept where the row is kept.
pub(crate) const MARK: u32 = (1 << 29) - 2;

/// The row with its fields in ascending order, without its count and its snapshot; and the
/// count.
pub(crate) fn canonical(row: Row<'_>) -> Result<(Vec<u8>, u64), Damage> {
    let mut count = 1;
    let mut fields = Vec::new();
    for field in row.fields() {
        let field = field?;
        match (field.number, field.value) {
            (COUNT, Wire::Varint(n)) => count = n,
            (MARK, _) => (),
            _ => fields.push((field.number, field.raw)),
        }
    }
    fields.sort_by_key(|(number, _)| *number);
    Ok((fields.into_iter().flat_map(|(_, raw)| raw).copied().collect(), count))
}

fn put(state: &mut impl State, relation: &Relation, key: &[u8], count: u64) -> Result<(), Error> {
    let mut row = key.to_vec();
    if count > 1 {
        put_varint(&mut row, u64::from(COUNT) << 3);
        put_varint(&mut row, count);
    }
    state.put(relation, key, &row)
}

/// A row without a key comes.
pub(crate) fn add(state: &mut impl State, relation: &Relation, row: Row<'_>) -> Result<(), Error> {
    let (key, count) = canonical(row)?;
    let before = match state.get(relation, &key)? {
        Some(same) => canonical(Row::new(&same))?.1,
        None => 0,
    };
    put(state, relation, &key, before + count)
}

/// A row without a key goes; of several that are equal one. Whether it was
/// there.
pub(super) fn remove(
    state: &mut impl State,
    relation: &Relation,
    row: Row<'_>,
) -> Result<bool, Error> {
    let (key, _) = canonical(row)?;
    let Some(same) = state.get(relation, &key)? else { return Ok(false) };
    match canonical(Row::new(&same))?.1 {
        1 => state.delete(relation, &key)?,
        count => put(state, relation, &key, count - 1)?,
    }
    Ok(true)
}

/// The key columns of a whole row, in order.
pub(crate) fn key_of(table: &Table, row: &[u8]) -> Result<Vec<u8>, Damage> {
    let mut fields = Vec::new();
    for field in Row::new(row).fields() {
        let field = field?;
        let number = match field.number {
            number if number > REDACTED_BASE && number < MARK => number - REDACTED_BASE,
            number => number,
        };
        if table.column(number).is_some_and(|column| column.key) {
            fields.push((field.number, field.raw));
        }
    }
    fields.sort_by_key(|(number, _)| *number);
    Ok(fields.into_iter().flat_map(|(_, raw)| raw).copied().collect())
}

/// Whether an UPDATE says the value of every column, so that the row before it
/// is not needed.
pub(crate) fn has_all_columns(table: &Table, event: &Event<'_>) -> Result<bool, Damage> {
    let mut numbers = Vec::new();
    for row in [event.key, event.new] {
        for field in row.fields() {
            numbers.push(field?.number);
        }
    }
    for number in event.nulls() {
        numbers.push(number?);
    }
    numbers.sort_unstable();
    let has = |number: u32| numbers.binary_search(&number).is_ok();
    Ok(table.columns.iter().all(|column| has(column.number) || has(column.number + REDACTED_BASE)))
}
