//! What is read: the same changes as in the Go client's comparison.

use pgcdc::{ConnectConfig, Connection, Error, Limits};

pub const DATABASE: &str = "cdc_compare_rust";

/// A slot for each plugin, made before the changes.
pub fn slot(plugin: &str) -> String {
    format!("cdc_compare_rust_{plugin}")
}

/// As in the project's other benchmarks: ten columns of many types, a NULL in ten
/// rows.
const TABLE: &str = "CREATE TABLE mixed (
    id bigint PRIMARY KEY, quantity integer NOT NULL, price numeric(12,2), code text NOT NULL,
    note text, paid boolean, made timestamptz, weight double precision, token uuid, extra jsonb)";

const PER_TRANSACTION: u64 = 1000;

fn insert(from: u64, to: u64) -> String {
    format!(
        "INSERT INTO mixed SELECT
    n, n % 1000, (n % 100000) / 100.0, 'c' || lpad((n % 100000)::text, 6, '0'),
    CASE WHEN n % 10 > 0 THEN repeat(md5(n::text), 2)::varchar(40) END, n % 3 = 0,
    '2026-01-01 00:00:00+00'::timestamptz + n * interval '1.001 s', n / 7.0::float8, md5(n::text)::uuid,
    jsonb_build_object('n', n, 'tag', 'x' || n % 7)
FROM generate_series({from}, {to}) n"
    )
}

fn update(from: u64, to: u64) -> String {
    format!(
        "UPDATE mixed SET quantity = quantity + 1, price = price + 0.5 WHERE id BETWEEN {from} AND {to}"
    )
}

pub async fn connect(database: &str) -> Result<Connection, Error> {
    let mut config = ConnectConfig::from_env()?;
    config.dbname = database.into();
    Connection::connect(&config, &Limits::DEFAULT).await
}

/// Makes the database, the slots, and then the changes.
pub async fn prepare(inserts: u64, updates: u64) -> Result<(), Error> {
    clean().await?;
    let mut admin = connect("postgres").await?;
    admin.query(&format!("CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING 'UTF8'")).await?;
    let mut sql = connect(DATABASE).await?;
    for statement in ["CREATE EXTENSION cdc", TABLE, "CREATE PUBLICATION compare FOR TABLE mixed"] {
        sql.query(statement).await?;
    }
    for plugin in ["cdc", "pgoutput"] {
        let slot = slot(plugin);
        sql.query(&format!("SELECT pg_create_logical_replication_slot('{slot}', '{plugin}')"))
            .await?;
    }
    let steps: [(fn(u64, u64) -> String, u64); 2] = [(insert, inserts), (update, updates)];
    for (statement, rows) in steps {
        for first in (1..=rows).step_by(PER_TRANSACTION as usize) {
            sql.query(&statement(first, rows.min(first + PER_TRANSACTION - 1))).await?;
        }
    }
    sql.query("CHECKPOINT").await.map(drop)
}

/// Where the slots stand, once nobody reads: servers learn late that a client has
/// gone.
pub async fn positions() -> Result<String, Error> {
    let mut sql = connect(DATABASE).await?;
    sql.query(
        "DO $$ BEGIN WHILE EXISTS (SELECT FROM pg_replication_slots WHERE active AND database = current_database()) \
         LOOP PERFORM pg_sleep(0.05); END LOOP; END $$",
    )
    .await?;
    let rows = sql
        .query(
            "SELECT string_agg(confirmed_flush_lsn::text, ' ' ORDER BY slot_name) \
             FROM pg_replication_slots WHERE database = current_database()",
        )
        .await?;
    Ok(rows[0][0].clone().unwrap_or_default())
}

/// Drops everything.
pub async fn clean() -> Result<(), Error> {
    let mut admin = connect("postgres").await?;
    admin
        .query(&format!(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '{DATABASE}'"
        ))
        .await?;
    admin.query(&format!("DROP DATABASE IF EXISTS {DATABASE}")).await.map(drop)
}
