//! Keeps a copy of a table in another PostgreSQL. The position is stored in the
//! transaction that applies the changes, so each of them takes effect exactly
//! once, whatever is killed when.
//!
//!     cargo run --example copy -- SOURCE_URL TARGET_URL SLOT SCHEMA.TABLE [load | fetch]
//!
//! The table must exist in the target, with the same names of columns and a
//! primary key, and be empty or have the rows from before the slot. What commands make of
//! it in the source is made of it in the target, where types of the same names must
//! exist. With `load` the slot is
//! made, and the rows that are there at that moment are copied first. With `fetch` the
//! changes are asked for by SQL, as a role to which the slot is bound.

use std::collections::HashMap;
use std::sync::Arc;

use pgcdc::{
    Change, CheckpointStore, Column as Described, ConnectConfig, Connection, Damage, Error, Limits,
    Op, PostgresStore, Relation, Row, Schema, SchemaChange, SchemaChangeKind, StreamConfig, Table,
    Transport,
};

/// What the source's table was, with the last change that was applied.
const SCHEMAS: &str = "CREATE TABLE IF NOT EXISTS cdc_copy_schema \
    (slot text PRIMARY KEY, descriptor bytea NOT NULL)";
const LOAD_SCHEMA: &str = "SELECT encode(descriptor, 'hex') FROM cdc_copy_schema WHERE slot = $1";
const SAVE_SCHEMA: &str = "INSERT INTO cdc_copy_schema VALUES ($1, decode($2, 'hex')) \
    ON CONFLICT (slot) DO UPDATE SET descriptor = EXCLUDED.descriptor";
const COLUMNS: &str = "SELECT a.attname, format_type(a.atttypid, a.atttypmod), \
    coalesce(b.typcategory, t.typcategory) = 'A', a.attidentity = 'a', a.attgenerated <> '' \
    FROM pg_attribute a \
    JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = t.typbasetype \
    WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped";
const NAME: &str = "SELECT format('%I.%I', n.nspname, c.relname) \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)";
const PRIMARY_KEY: &str = "SELECT conname FROM pg_constraint \
    WHERE conrelid = $1::regclass AND contype = 'p'";

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn one(rows: Vec<Vec<Option<String>>>) -> Option<String> {
    rows.into_iter().next()?.into_iter().next()?
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn key_numbers(table: &Table) -> Vec<u32> {
    table.columns.iter().filter(|column| column.key).map(|column| column.number).collect()
}

/// The columns of a key, as SQL.
fn key(table: &Table) -> String {
    let names = table.columns.iter().filter(|column| column.key);
    names.map(|column| identifier(&column.name)).collect::<Vec<_>>().join(", ")
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
    slot: String,
    /// What it was in the source.
    known: Option<Schema>,
    /// Rows have come in this transaction.
    written: bool,
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
    async fn open(config: &ConnectConfig, slot: &str, relation: &str) -> Result<Self, Error> {
        let mut sql = Connection::connect(config, &Limits::DEFAULT).await?;
        sql.query(SCHEMAS).await?;
        let known = one(sql.query_with(LOAD_SCHEMA, &[Some(slot)]).await?);
        let known = known.as_deref().and_then(unhex);
        let known = known.map(|bytes| Schema::from_bytes(&bytes, 0)).transpose()?;
        // where it was dropped, or has another name by now, as it was called last
        let relation = known.as_ref().map_or(relation.to_owned(), |known| known.table.to_string());
        let name = one(sql.query_with(NAME, &[Some(&relation)]).await?).unwrap_or(relation);
        let (slot, columns) = (slot.to_owned(), HashMap::new());
        let mut target = Target { sql, name, columns, slot, known, written: false };
        target.look().await?;
        Ok(target)
    }

    /// At the columns as they are now.
    async fn look(&mut self) -> Result<(), Error> {
        self.columns.clear();
        if one(self.sql.query_with(NAME, &[Some(&self.name)]).await?).is_none() {
            return Ok(());
        }
        for row in self.sql.query_with(COLUMNS, &[Some(&self.name)]).await? {
            let text = |at: usize| row[at].clone().unwrap_or_default();
            let is = |at: usize| text(at) == "t";
            let column =
                Column { r#type: text(1), is_array: is(2), is_fixed: is(3), is_computed: is(4) };
            self.columns.insert(text(0), column);
        }
        Ok(())
    }

    async fn ddl(&mut self, sql: &str) -> Result<(), Error> {
        self.run(sql, &Statement::default()).await
    }

    /// Does what a command has done in the source.
    async fn follow(
        &mut self,
        change: &SchemaChange<'_>,
        schema: Option<&Schema>,
    ) -> Result<(), Error> {
        match (change.kind, schema) {
            (SchemaChangeKind::Created | SchemaChangeKind::Entered, Some(schema)) => {
                let written = self.written && self.is_known(schema);
                self.begin(schema, written).await
            }
            (SchemaChangeKind::Altered, Some(schema)) => {
                if let Some(former) = change.former() {
                    self.rename(&former, &schema.table).await?;
                }
                self.become_(schema).await
            }
            (SchemaChangeKind::Dropped, _) => {
                (self.written, self.known) = (false, None);
                self.ddl(&format!("DROP TABLE IF EXISTS {}", self.name)).await?;
                self.look().await
            }
            (SchemaChangeKind::Left, _) => {
                self.written = false;
                eprintln!("{} is not followed any more", self.name);
                Ok(())
            }
            _ => Err(Damage::Unsupported("the kind of a change of a schema").into()),
        }
    }

    fn is_known(&self, schema: &Schema) -> bool {
        self.known.as_ref().is_some_and(|known| known.fingerprint == schema.fingerprint)
    }

    /// A table that is new in the source: without rows, but those that its command wrote.
    async fn begin(&mut self, schema: &Schema, written: bool) -> Result<(), Error> {
        if written {
            return Ok(());
        }
        if !self.columns.is_empty() {
            self.truncate().await?;
        }
        self.become_(schema).await
    }

    /// Brings the table to a schema of the source's.
    async fn become_(&mut self, schema: &Schema) -> Result<(), Error> {
        if self.is_known(schema) && !self.columns.is_empty() {
            return Ok(());
        }
        match self.known.take() {
            _ if self.columns.is_empty() => self.create(&schema.table).await?,
            Some(before) => self.alter(&before.table, &schema.table).await?,
            // all that is known is how its columns are called
            None => {
                for column in &schema.table.columns {
                    if !self.columns.contains_key(&column.name) {
                        self.add(column, &schema.table).await?;
                    }
                }
            }
        }
        self.look().await?;
        let descriptor: String = schema.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let parameters = [Some(&*self.slot), Some(&*descriptor)];
        self.sql.query_with(SAVE_SCHEMA, &parameters).await?;
        self.known = Some(schema.clone());
        Ok(())
    }

    async fn create(&mut self, table: &Table) -> Result<(), Error> {
        self.name = table.to_string();
        let column = |c: &Described| format!("{} {}", identifier(&c.name), c.pg_type);
        let mut columns: Vec<_> = table.columns.iter().map(column).collect();
        if table.has_key() {
            columns.push(format!("PRIMARY KEY ({})", key(table)));
        }
        self.ddl(&format!("CREATE TABLE {} ({})", self.name, columns.join(", "))).await
    }

    async fn rename(&mut self, former: &Relation, table: &Table) -> Result<(), Error> {
        if former.name != table.name {
            let name = identifier(&table.name);
            self.ddl(&format!("ALTER TABLE {} RENAME TO {name}", self.name)).await?;
            self.name = format!("{}.{name}", identifier(&former.schema));
        }
        if former.schema != table.schema {
            let schema = identifier(&table.schema);
            self.ddl(&format!("ALTER TABLE {} SET SCHEMA {schema}", self.name)).await?;
        }
        self.name = table.to_string();
        Ok(())
    }

    /// What differs between two tables, by the numbers of columns.
    async fn alter(&mut self, before: &Table, after: &Table) -> Result<(), Error> {
        let (mut steps, mut renamed) = (Vec::new(), Vec::new());
        let has_other_key = key_numbers(before) != key_numbers(after);
        if has_other_key && before.has_key() {
            if let Some(name) = one(self.sql.query_with(PRIMARY_KEY, &[Some(&self.name)]).await?) {
                steps.push(format!("DROP CONSTRAINT {}", identifier(&name)));
            }
        }
        for old in &before.columns {
            match after.column(old.number) {
                None => steps.push(format!("DROP COLUMN {}", identifier(&old.name))),
                Some(new) if new.name != old.name => {
                    let between = identifier(&format!("column {}", old.number));
                    steps.push(format!("RENAME COLUMN {} TO {between}", identifier(&old.name)));
                    renamed.push(format!("RENAME COLUMN {between} TO {}", identifier(&new.name)));
                }
                Some(_) => (),
            }
        }
        steps.extend(renamed);
        for new in &after.columns {
            let Some(old) = before.column(new.number) else { continue };
            if old.pg_type != new.pg_type {
                let (name, pg_type) = (identifier(&new.name), &new.pg_type);
                steps.push(format!(
                    "ALTER COLUMN {name} TYPE {pg_type} USING {name}::text::{pg_type}"
                ));
            }
        }
        for step in steps {
            self.ddl(&format!("ALTER TABLE {} {step}", self.name)).await?;
        }
        for new in after.columns.iter().filter(|new| before.column(new.number).is_none()) {
            self.add(new, after).await?;
        }
        if has_other_key && after.has_key() {
            self.ddl(&format!("ALTER TABLE {} ADD PRIMARY KEY ({})", self.name, key(after)))
                .await?;
        }
        Ok(())
    }

    /// A column, with the value that rows have which are there.
    async fn add(&mut self, column: &Described, table: &Table) -> Result<(), Error> {
        let (name, pg_type) = (identifier(&column.name), &column.pg_type);
        self.ddl(&format!("ALTER TABLE {} ADD COLUMN {name} {pg_type}", self.name)).await?;
        let missing = Row::new(&column.missing).get(table, &column.name)?;
        let Some(missing) = missing else { return Ok(()) };
        let mut statement = Statement::default();
        let is_array = column.r#type == pgcdc::Type::Array;
        let r#type = pg_type.clone();
        let column = Column { r#type, is_array, is_fixed: false, is_computed: false };
        let value = statement.value(&column, Some(missing.to_string()));
        self.run(&format!("UPDATE {} SET {name} = {value}", self.name), &statement).await
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

    async fn apply(&mut self, change: &Change<'_>) -> Result<(), Error> {
        if let Some(schema_change) = &change.schema_change {
            return self.follow(schema_change, change.schema).await;
        }
        let Some(schema) = change.schema else { return Ok(()) };
        if change.rewrite_start && !self.columns.is_empty() {
            self.truncate().await?;
        }
        self.become_(schema).await?;
        self.written = true;
        self.apply_row(change, &schema.table).await
    }

    async fn apply_row(&mut self, change: &Change<'_>, table: &Table) -> Result<(), Error> {
        let key = values(change.key, table)?;
        let new = values(change.new, table)?;
        match change.op {
            Op::Insert | Op::Read | Op::Rewrite => self.insert([key, new].concat()).await,
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
            Op::Message | Op::Schema | Op::Unknown(_) => Ok(()),
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
        // of a slot of before
        let forget = "DELETE FROM cdc_copy_schema WHERE slot = $1";
        self.sql.query_with(forget, &[Some(&self.slot)]).await?;
        self.known = None;
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
    let mut target = Target::open(&config, slot, name).await?;
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
        target.written = false;
        let mut changes = txn.changes();
        while let Some(change) = changes.next() {
            target.apply(&change?).await?;
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
