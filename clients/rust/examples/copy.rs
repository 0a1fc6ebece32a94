//! Keeps a copy of a table in another PostgreSQL. The position is stored in the
//! transaction that applies the changes, so each of them takes effect exactly
//! once, whatever is killed when.
//!
//!     cargo run --example copy -- SOURCE_URL TARGET_URL SLOT SCHEMA.TABLE [load | fetch]
//!
//! The table must exist in the target, with the same names of columns and a
//! primary key, and be empty or have the rows from before the slot. With `load` the slot is
//! made, and the rows that are there at that moment are copied first. With `fetch` the
//! changes are asked for by SQL, as a role to which the slot is bound.

use std::collections::HashMap;
use std::sync::Arc;

use pgcdc::{
    Change, CheckpointStore, ConnectConfig, Connection, Damage, Error, Limits, Op, PostgresStore,
    Row, StreamConfig, Table, Transport,
};

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A column of the target.
struct Column {
    /// As SQL.
    r#type: String,
    is_array: bool,
    /// GENERATED ALWAYS AS IDENTITY: SET takes no value for it.
    is_fixed: bool,
    /// GENERATED ALWAYS AS (expression): nothing does.
    is_computed: bool,
}

/// The table in the target.
struct Target {
    sql: Connection,
    /// `"schema"."table"`
    name: String,
    columns: HashMap<String, Column>,
}

/// A statement under construction: what comes from rows are parameters.
#[derive(Default)]
struct Statement {
    values: Vec<Option<String>>,
}

impl Statement {
    fn value(&mut self, column: &Column, text: Option<String>) -> String {
        self.values.push(text);
        let number = self.values.len();
        match column.is_array {
            // not all types have a comma between elements: each element by itself
            true => format!("${number}::text[]::{}", column.r#type),
            false => format!("${number}::{}", column.r#type),
        }
    }
}

type Values = Vec<(String, Option<String>)>;

/// The same with what the target has.
type Known<'a> = Vec<(&'a Column, String, Option<String>)>;

/// Names and values of a row's columns.
fn values(row: Row<'_>, table: &Table) -> Result<Values, Damage> {
    row.values(table)
        .map(|value| value.map(|(column, value)| (column.name.clone(), Some(value.to_string()))))
        .collect()
}

impl Target {
    /// `relation` as SQL takes it.
    async fn open(config: &ConnectConfig, relation: &str) -> Result<Self, Error> {
        let mut sql = Connection::connect(config, &Limits::DEFAULT).await?;
        let rows = sql
            .query_with(
                "SELECT a.attname, format_type(a.atttypid, a.atttypmod), \
                 coalesce(b.typcategory, t.typcategory) = 'A', a.attidentity = 'a', a.attgenerated <> '', \
                 format('%I.%I', n.nspname, c.relname) \
                 FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
                 JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = t.typbasetype \
                 WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped",
                &[Some(relation)],
            )
            .await?;
        let mut name = String::new();
        let mut columns = HashMap::new();
        for row in rows {
            let text = |at: usize| row[at].clone().unwrap_or_default();
            let is = |at: usize| text(at) == "t";
            name = text(5);
            let column =
                Column { r#type: text(1), is_array: is(2), is_fixed: is(3), is_computed: is(4) };
            columns.insert(text(0), column);
        }
        Ok(Target { sql, name, columns })
    }

    /// What the target has and is to be told.
    fn known(&self, values: Values) -> Result<Known<'_>, Error> {
        let mut known = Vec::new();
        for (name, value) in values {
            let column = self.columns.get(&name).ok_or_else(|| {
                Error::Config(format!("{} has no column {}", self.name, identifier(&name)))
            })?;
            if !column.is_computed {
                known.push((column, name, value));
            }
        }
        Ok(known)
    }

    async fn run(&mut self, sql: &str, statement: &Statement) -> Result<(), Error> {
        let values: Vec<_> = statement.values.iter().map(Option::as_deref).collect();
        self.sql.query_with(sql, &values).await.map(drop)
    }

    async fn insert(&mut self, row: Values) -> Result<(), Error> {
        let mut statement = Statement::default();
        let (names, texts): (Vec<_>, Vec<_>) = self
            .known(row)?
            .into_iter()
            .map(|(column, name, value)| (identifier(&name), statement.value(column, value)))
            .unzip();
        let sql = match names.is_empty() {
            true => format!("INSERT INTO {} DEFAULT VALUES", self.name),
            false => format!(
                "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})",
                self.name,
                names.join(", "),
                texts.join(", ")
            ),
        };
        self.run(&sql, &statement).await
    }

    fn condition(&self, key: Values, statement: &mut Statement) -> Result<String, Error> {
        let each = self.known(key)?.into_iter().map(|(column, name, value)| {
            format!("{} = {}", identifier(&name), statement.value(column, value))
        });
        Ok(each.collect::<Vec<_>>().join(" AND "))
    }

    async fn delete(&mut self, key: Values) -> Result<(), Error> {
        let mut statement = Statement::default();
        let condition = self.condition(key, &mut statement)?;
        self.run(&format!("DELETE FROM {} WHERE {condition}", self.name), &statement).await
    }

    async fn update(&mut self, key: Values, set: Values) -> Result<(), Error> {
        let mut statement = Statement::default();
        let condition = self.condition(key, &mut statement)?;
        let set = self.known(set)?;
        if set.is_empty() {
            return Ok(());
        }
        let sql = if set.iter().any(|(column, ..)| column.is_fixed) {
            // the row anew, as its identity cannot be set
            let (mut names, mut texts) = (Vec::new(), Vec::new());
            for (column, name, value) in set {
                texts.push(statement.value(column, value));
                names.push(identifier(&name));
            }
            for (name, _) in self.columns.iter().filter(|(_, column)| !column.is_computed) {
                let name = identifier(name);
                if !names.contains(&name) {
                    texts.push(format!("former.{name}"));
                    names.push(name);
                }
            }
            format!(
                "WITH former AS (DELETE FROM {0} WHERE {condition} RETURNING *) \
                 INSERT INTO {0} ({1}) OVERRIDING SYSTEM VALUE SELECT {2} FROM former",
                self.name,
                names.join(", "),
                texts.join(", ")
            )
        } else {
            let each = set.into_iter().map(|(column, name, value)| {
                format!("{} = {}", identifier(&name), statement.value(column, value))
            });
            let each = each.collect::<Vec<_>>().join(", ");
            format!("UPDATE {} SET {each} WHERE {condition}", self.name)
        };
        self.run(&sql, &statement).await
    }

    async fn truncate(&mut self) -> Result<(), Error> {
        self.run(&format!("TRUNCATE {}", self.name), &Statement::default()).await
    }

    async fn apply(&mut self, change: &Change<'_>, table: &Table) -> Result<(), Error> {
        let key = values(change.key, table)?;
        let new = values(change.new, table)?;
        match change.op {
            Op::Insert | Op::Read | Op::Rewrite => {
                if change.rewrite_start {
                    self.truncate().await?;
                }
                self.insert([key, new].concat()).await
            }
            Op::Update => {
                let mut set = [values(change.new_key, table)?, new].concat();
                for number in change.nulls() {
                    if let Some(column) = table.column(number?) {
                        set.push((column.name.clone(), None));
                    }
                }
                self.update(key, set).await
            }
            Op::Delete => self.delete(key).await,
            Op::Truncate => self.truncate().await,
            Op::Message | Op::Unknown(_) => Ok(()),
        }
    }

    /// The rows that are there, and the slot whose changes follow them, in one
    /// transaction of the target. A load that was interrupted begins anew.
    async fn load(&mut self, config: &StreamConfig, relation: &str) -> Result<(), Error> {
        config.drop_slot().await?;
        let slot = config.create_slot_with_snapshot().await?;
        let mut source = Connection::connect(&config.connect, &Limits::DEFAULT).await?;
        slot.begin(&mut source).await?;
        let names: Vec<_> = self
            .columns
            .iter()
            .filter(|(_, column)| !column.is_computed)
            .map(|(name, _)| name.clone())
            .collect();
        // arrays as they are written with a comma, whatever the type of the elements
        let texts = names.iter().map(|name| match self.columns[name].is_array {
            true => format!("{}::text[]::text", identifier(name)),
            false => format!("{}::text", identifier(name)),
        });
        let texts = texts.collect::<Vec<_>>().join(", ");
        source.query(&format!("DECLARE load CURSOR FOR SELECT {texts} FROM {relation}")).await?;
        self.sql.query("BEGIN").await?;
        self.truncate().await?;
        loop {
            let rows = source.query("FETCH 1000 FROM load").await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                self.insert(names.iter().cloned().zip(row).collect()).await?;
            }
        }
        self.sql.query(&PostgresStore::save_sql(slot.checkpoint())).await?;
        self.sql.query("COMMIT").await?;
        slot.close().await;
        source.close().await;
        Ok(())
    }
}

async fn run(
    source: &str,
    target: &str,
    slot: &str,
    name: &str,
    how: Option<&str>,
) -> Result<(), Error> {
    let config = ConnectConfig::parse(target)?;
    let mut target = Target::open(&config, name).await?;
    let store = Arc::new(PostgresStore::new(config, slot));
    store.create_table().await?;
    let mut config = StreamConfig::new(ConnectConfig::parse(source)?, slot);
    config.checkpoint = Some(store.clone());
    if how == Some("fetch") {
        // whom it is bound to, and what is sent to them, is not the client's to say
        config.transport = Transport::Fetch;
    } else {
        config = config.create_slot().option("tables", name);
    }
    if how == Some("load") && store.load().await?.is_none() {
        target.load(&config, name).await?;
    }
    let mut stream = config.start().await?;
    while let Some(txn) = stream.next().await {
        let txn = txn?;
        target.sql.query("BEGIN").await?;
        let mut changes = txn.changes();
        while let Some(change) = changes.next() {
            let change = change?;
            if let Some(table) = change.table() {
                target.apply(&change, table).await?;
            }
        }
        target.sql.query(&PostgresStore::save_sql(&stream.checkpoint(&txn))).await?;
        target.sql.query("COMMIT").await?;
        stream.ack(&txn);
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = copy().await {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

async fn copy() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [source, target, slot, table] => run(source, target, slot, table, None).await,
        [source, target, slot, table, how @ ("load" | "fetch")] => {
            run(source, target, slot, table, Some(how)).await
        }
        _ => {
            Err(Error::Config("usage: copy SOURCE TARGET SLOT SCHEMA.TABLE [load | fetch]".into()))
        }
    }
}
