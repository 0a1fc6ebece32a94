//! Keeps a copy of a table in another PostgreSQL. The position is stored in the
//! transaction that applies the changes, so each of them takes effect exactly
//! once, whatever is killed when.
//!
//!     cargo run --example copy -- SOURCE_URL TARGET_URL SLOT SCHEMA.TABLE [fetch]
//!
//! With `fetch` the changes are asked for by SQL, as a role to which the slot is bound.
//! The table must exist in the target, with the same names of columns and a
//! primary key, and be empty or have the rows from before the slot.

use pgcdc::{
    Batch, Change, Checkpoint, ConnectConfig, Connection, Damage, Error, Limits, Op, PostgresStore,
    Row, StreamConfig, Table, Transport,
};

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Names and values of a row's columns, as SQL.
fn columns(row: Row<'_>, table: &Table) -> Result<Vec<(String, String)>, Damage> {
    row.values(table)
        .map(|value| {
            let (column, value) = value?;
            let typed = format!("{}::{}", literal(&value.to_string()), column.pg_type);
            Ok((identifier(&column.name), typed))
        })
        .collect()
}

fn equalities(columns: &[(String, String)], separator: &str) -> String {
    let each: Vec<_> = columns.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    each.join(separator)
}

fn statement(change: &Change<'_>, table: &Table) -> Result<String, Damage> {
    let target = format!("{}.{}", identifier(&table.schema), identifier(&table.name));
    let key = columns(change.key, table)?;
    Ok(match change.op {
        Op::Insert | Op::Read | Op::Rewrite => {
            let row = [key, columns(change.new, table)?].concat();
            let (names, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
            let insert = format!(
                "INSERT INTO {target} ({}) VALUES ({})",
                names.join(", "),
                values.join(", ")
            );
            match change.rewrite_start {
                true => format!("TRUNCATE {target}; {insert}"),
                false => insert,
            }
        }
        Op::Update => {
            let mut set = [columns(change.new_key, table)?, columns(change.new, table)?].concat();
            for number in change.nulls() {
                if let Some(column) = table.column(number?) {
                    set.push((identifier(&column.name), "NULL".into()));
                }
            }
            if set.is_empty() {
                return Ok(String::new());
            }
            format!(
                "UPDATE {target} SET {} WHERE {}",
                equalities(&set, ", "),
                equalities(&key, " AND ")
            )
        }
        Op::Delete => format!("DELETE FROM {target} WHERE {}", equalities(&key, " AND ")),
        Op::Truncate => format!("TRUNCATE {target}"),
        Op::Message | Op::Unknown(_) => String::new(),
    })
}

/// The checkpoint behind a transaction.
fn behind(batch: &Batch<'_>, start: &Checkpoint) -> Result<Checkpoint, Damage> {
    let last = batch.events().last().transpose()?;
    Ok(Checkpoint {
        position: last.map_or(start.position, |event| event.position),
        end_lsn: batch.end_lsn,
        ..start.clone()
    })
}

async fn run(
    source: &str,
    target: &str,
    slot: &str,
    name: &str,
    transport: Transport,
) -> Result<(), Error> {
    let target = ConnectConfig::parse(target)?;
    let mut sql = Connection::connect(&target, &Limits::DEFAULT).await?;
    let store = std::sync::Arc::new(PostgresStore::new(target, slot));
    store.create_table().await?;
    let mut config = StreamConfig::new(ConnectConfig::parse(source)?, slot)
        .transport(transport)
        .checkpoint(store.clone());
    if transport == Transport::Replication {
        // whom it is bound to, and what is sent to them, is not the client's to say
        config = config.create_slot().option("tables", name);
    }
    let mut stream = config.start().await?;
    let start = pgcdc::CheckpointStore::load(&*store).await?.unwrap_or_default();
    let mut transaction = String::new();
    while let Some(delivery) = stream.next().await {
        let delivery = delivery?;
        let batch = delivery.batch()?;
        if batch.part == 0 {
            transaction = String::from("BEGIN;");
        }
        for change in delivery.changes() {
            let change = change?;
            if let Some(table) = change.table() {
                transaction.push_str(&statement(&change, table)?);
                transaction.push(';');
            }
        }
        if delivery.is_end() {
            transaction.push_str(&PostgresStore::save_sql(&behind(&batch, &start)?));
            transaction.push_str("; COMMIT");
            sql.query(&transaction).await?;
            stream.ack(&delivery);
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [source, target, slot, table] => {
            run(source, target, slot, table, Transport::Replication).await
        }
        [source, target, slot, table, fetch] if fetch == "fetch" => {
            run(source, target, slot, table, Transport::Fetch).await
        }
        _ => Err(Error::Config("usage: copy SOURCE TARGET SLOT SCHEMA.TABLE [fetch]".into())),
    }
}
