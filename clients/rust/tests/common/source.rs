//! Compares a copy with the tables of its source, as they are now.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use pgcdc::{Applier, Connection, Joiner, Loader, MemoryState, Relation, Schema};

use crate::compare_mod::{rows, Rows};

/// Names, columns and rows.
pub type Tables = BTreeMap<String, (Vec<String>, Rows)>;

/// Of a schema all but what older rows have in a column: a server forgets that when it
/// writes them anew.
fn columns(schema: &Schema) -> Vec<String> {
    let column = |c: &pgcdc::Column| format!("{} {} {} {}", c.number, c.name, c.pg_type, c.key);
    let identity = [format!("{:?}", schema.table.replica_identity)];
    schema.table.columns.iter().map(column).chain(identity).collect()
}

/// What a copy has.
pub fn held(state: &mut MemoryState, schemas: &[Arc<Schema>]) -> Tables {
    let table =
        |schema: &Arc<Schema>| (schema.table.to_string(), (columns(schema), rows(state, schema)));
    schemas.iter().map(table).collect()
}

/// What the source has: of each table that is logged. `schema` is a pattern of SQL.
pub async fn source(sql: &mut Connection, schema: &str) -> Tables {
    let names = "SELECT format('%I.%I', n.nspname, c.relname), n.nspname, c.relname \
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname LIKE $1 \
        AND n.nspname NOT IN ('cdc', 'pg_catalog', 'information_schema') ORDER BY 1";
    let mut tables = Tables::new();
    for row in sql.query_with(names, &[Some(schema)]).await.unwrap() {
        let [Some(name), Some(schema), Some(table)] = &row[..] else { panic!("{row:?}") };
        let relation = Relation { schema: schema.clone(), name: table.clone() };
        let mut load = Loader::plan(sql, name, 1000, &[]).await.unwrap();
        let mut joiner = Joiner::new(Applier::new(MemoryState::default()));
        while load.read_next(sql, &mut joiner).await.unwrap() {}
        let mut applier = joiner.into_applier();
        let schemas: Vec<_> = applier.schemas().cloned().collect();
        // a table without rows does not tell its schema
        let read = held(applier.state(), &schemas).remove(&relation.to_string());
        tables.insert(relation.to_string(), read.unwrap_or_default());
    }
    tables
}

/// Names, schemas and rows are the same, but for tables that are not followed.
pub fn same(what: &str, copy: &Tables, source: &Tables, left: &[&str]) {
    let of = |tables: &Tables| {
        let names = tables.keys().filter(|name| !left.contains(&name.as_str()));
        names.cloned().collect::<Vec<_>>()
    };
    assert_eq!(of(copy), of(source), "{what}");
    for (name, (columns, rows)) in source.iter().filter(|(n, _)| !left.contains(&n.as_str())) {
        let (ours, copied) = &copy[name];
        assert_eq!(copied, rows, "{what}: {name}");
        assert!(columns.is_empty() || ours == columns, "{what}: {name}: {ours:?} {columns:?}");
    }
}
