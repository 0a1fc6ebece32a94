//! Compares the rows of tables with those of their copies.
#![allow(dead_code)]

use std::collections::BTreeMap;

use pgcdc::{Applier, MemoryState, Relation, Row, Schema, State, Wire};

use crate::workload_mod::TABLES;

pub type Rows = Vec<BTreeMap<String, Vec<u8>>>;

/// Rows by column name, without tags, sorted; equal rows as often as they are
/// there.
pub fn rows(state: &mut MemoryState, schema: &Schema) -> Rows {
    let table = &schema.table;
    let mut rows = Rows::new();
    state
        .scan(&Relation::from(table), &mut |_, row| {
            let mut fields = BTreeMap::new();
            let mut count = 1;
            for field in Row::new(row).fields() {
                let field = field?;
                match table.column(field.number) {
                    Some(column) => {
                        let tag = if column.number < 16 { 1 } else { 2 };
                        assert!(fields
                            .insert(column.name.clone(), field.raw[tag..].to_vec())
                            .is_none());
                    }
                    None => match (field.number, field.value) {
                        (536_870_911, Wire::Varint(n)) => count = n,
                        // of a row that a snapshot brought
                        (536_870_910, Wire::Varint(_)) => (),
                        other => panic!("{other:?}"),
                    },
                }
            }
            rows.extend(std::iter::repeat_n(fields, count as usize));
            Ok(())
        })
        .unwrap();
    rows.sort();
    rows
}

/// Every table equals its copy; how many rows there are.
pub fn compare(applier: &mut Applier<MemoryState>) -> usize {
    let schemas: Vec<_> = applier.schemas().cloned().collect();
    let of = |name: &str| schemas.iter().find(|s| s.table.name == name).cloned();
    let mut compared = 0;
    for table in TABLES {
        let Some(schema) = of(table) else { continue };
        let ours = rows(applier.state(), &schema);
        let theirs = match of(&format!("copy_{table}")) {
            Some(copy) => rows(applier.state(), &copy),
            None => Rows::new(),
        };
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{table}");
        }
        assert_eq!(ours.len(), theirs.len(), "{table}");
        compared += ours.len();
    }
    compared
}
