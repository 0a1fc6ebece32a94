//! Random transactions on tables with all replica identities.
#![allow(dead_code)]

use pgcdc::Connection;

use crate::common::Random;

pub const TABLES: [&str; 6] = ["plain", "full_row", "keyless", "by_index", "arrays", "nokey"];

pub const SCHEMA: &str = "
CREATE TABLE plain (id int PRIMARY KEY, a text, b int, c numeric(12,2), big text);
ALTER TABLE plain ALTER big SET STORAGE EXTERNAL;
CREATE TABLE full_row (id bigint PRIMARY KEY, a text, b int, c float8, big text);
ALTER TABLE full_row REPLICA IDENTITY FULL;
ALTER TABLE full_row ALTER big SET STORAGE EXTERNAL;
CREATE TABLE keyless (id int, a text, b int, c timestamptz, big text);
ALTER TABLE keyless REPLICA IDENTITY FULL;
CREATE TABLE by_index (id int NOT NULL, a text, b int, c jsonb, big text);
CREATE UNIQUE INDEX by_index_key ON by_index (id);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_key;
CREATE TABLE arrays (id int, a text, b int, c int[], big text,
    d jsonb[] DEFAULT ARRAY[CASE (random() * 4)::int WHEN 0 THEN 'null' WHEN 1 THEN '\"n u\"'::jsonb END, NULL],
    PRIMARY KEY (id));
CREATE TABLE nokey (id int, a text, b int, c uuid, big text)";

/// A value for column c of each table.
const C: [&str; 6] = [
    "round((random() * 1000)::numeric, 2)",
    "random()",
    "now() + random() * interval '1 year'",
    "CASE (random() * 5)::int WHEN 0 THEN NULL WHEN 1 THEN 'null' \
     ELSE jsonb_build_object('k', random(), 'l', NULL) END",
    "ARRAY[1, NULL, (random() * 100)::int]",
    "gen_random_uuid()",
];

pub struct Workload {
    pub random: Random,
    added: u32,
    /// Prepared transactions that wait for their end.
    prepared: Vec<String>,
    pub prefix: String,
    /// Tables are altered from time to time.
    pub alters: bool,
}

impl Workload {
    pub fn new(seed: u64, prefix: &str) -> Self {
        Workload {
            random: Random(seed),
            added: 0,
            prepared: Vec::new(),
            prefix: prefix.into(),
            alters: true,
        }
    }

    fn statement(&mut self) -> String {
        let r = &mut self.random;
        let t = r.below(TABLES.len());
        let (table, c) = (TABLES[t], C[t]);
        // nothing tells which row of nokey is met
        let kind = if table == "nokey" { 0 } else { r.below(9) };
        let (id, other) = (r.below(400), 1000 + r.below(100_000));
        let unique = matches!(table, "plain" | "full_row" | "by_index" | "arrays");
        let conflict = if unique { "ON CONFLICT DO NOTHING" } else { "" };
        match kind {
            0 | 1 => format!(
                "INSERT INTO {table} (id, a, b, c, big) SELECT i, nullif(md5(i::text), md5('{id}')), i, {c}, \
                 CASE WHEN i % 5 = 0 THEN repeat(md5(i::text), 100) END \
                 FROM generate_series({id}, {id} + {}) i {conflict}",
                r.below(40)
            ),
            2 => format!("UPDATE {table} SET a = 'u' || b, c = {c} WHERE id BETWEEN {id} AND {id} + 9"),
            3 => format!("UPDATE {table} SET a = NULL, b = b + 1 WHERE id = {id}"),
            4 => format!("UPDATE {table} SET id = {other} + id WHERE id = {id}"),
            5 => format!("UPDATE {table} SET big = repeat('z', {}) WHERE id = {id}", r.below(9000)),
            6 => format!("UPDATE {table} SET b = b WHERE id < {id} AND id > {id} - 5"),
            7 => format!("DELETE FROM {table} WHERE id BETWEEN {id} AND {id} + 3"),
            _ if r.below(20) == 0 => format!("TRUNCATE {table}"),
            _ => format!("DELETE FROM {table} WHERE id = {id}"),
        }
    }

    fn ddl(&mut self) -> String {
        self.added += 1;
        let table = TABLES[self.random.below(TABLES.len())];
        let n = self.added;
        let insert = |table: &str| format!("INSERT INTO {table} (id) VALUES ({})", 1_000_000 + n);
        match self.random.below(8) {
            0 => format!("ALTER TABLE {table} ADD x{n} int DEFAULT {n}"),
            1 => format!("ALTER TABLE {table} ADD x{n} text"),
            2 => format!("ALTER TABLE {table} ADD x{n} float8 DEFAULT random()"),
            3 => format!(
                "ALTER TABLE {table} ADD y{n} int DEFAULT 1, DROP COLUMN IF EXISTS x{}",
                n - 1
            ),
            4 => format!(
                "ALTER TABLE {table} RENAME TO away; {}; ALTER TABLE away RENAME TO {table}",
                insert("away")
            ),
            5 => format!(
                "CREATE SCHEMA IF NOT EXISTS far; ALTER TABLE {table} SET SCHEMA far; {}; \
                 ALTER TABLE far.{table} SET SCHEMA public",
                insert(&format!("far.{table}"))
            ),
            6 => format!(
                "DROP TABLE nokey; CREATE TABLE nokey (id int, a text, b int, c uuid, big text); {}",
                insert("nokey")
            ),
            _ => format!(
                "ALTER TABLE {table} ALTER b TYPE bigint; ALTER TABLE {table} RENAME big TO b{n}; \
                 ALTER TABLE {table} RENAME b{n} TO big"
            ),
        }
    }

    /// One random transaction.
    pub async fn transaction(&mut self, sql: &mut Connection, two_phase: bool) {
        // what a prepared transaction locks would be waited for
        let mut text = String::from("BEGIN; SET LOCAL lock_timeout = '100ms';");
        for _ in 0..=self.random.below(6) {
            match self.random.below(12) {
                0 => {
                    text.push_str(&format!("SAVEPOINT s; {}; ROLLBACK TO s;", self.statement()));
                }
                1 => text.push_str(&format!("SAVEPOINT s; {}; RELEASE s;", self.statement())),
                _ => text.push_str(&format!("{};", self.statement())),
            }
        }
        let end = self.random.below(10);
        if end == 0 {
            text.push_str("ROLLBACK");
        } else if end == 1 && two_phase && self.prepared.is_empty() {
            let gid = format!("{}_{}", self.prefix, self.random.below(1 << 20));
            text.push_str(&format!("PREPARE TRANSACTION '{gid}'"));
            self.prepared.push(gid);
        } else {
            text.push_str("COMMIT");
        }
        if let Err(error) = sql.query(&text).await {
            assert!(error.to_string().contains("55P03"), "{text}: {error}");
            sql.query("ROLLBACK").await.unwrap();
        }
        if self.random.below(4) == 0 {
            self.end_prepared(sql).await;
        }
        if self.alters && self.random.below(15) == 0 && self.prepared.is_empty() {
            let ddl = self.ddl();
            sql.query(&ddl).await.unwrap_or_else(|error| panic!("{ddl}: {error}"));
        }
    }

    pub async fn end_prepared(&mut self, sql: &mut Connection) {
        for gid in std::mem::take(&mut self.prepared) {
            let how = if self.random.below(3) == 0 { "ROLLBACK" } else { "COMMIT" };
            sql.query(&format!("{how} PREPARED '{gid}'")).await.unwrap();
        }
    }

    /// Copies of the tables, which the stream brings as INSERTs, and a message
    /// that says that all is there.
    pub async fn finish(&mut self, sql: &mut Connection) {
        self.end_prepared(sql).await;
        for table in TABLES {
            // what a column gave to rows that are there is announced with the next event;
            // nothing tells which row of nokey an UPDATE meets
            let last = match table {
                "nokey" => "INSERT INTO nokey (id) VALUES (0)".to_string(),
                _ => format!(
                    "UPDATE {table} SET id = id WHERE ctid = (SELECT min(ctid) FROM {table})"
                ),
            };
            sql.query(&last).await.unwrap();
            sql.query(&format!("CREATE TABLE copy_{table} AS SELECT * FROM {table}"))
                .await
                .unwrap();
        }
        sql.query("SELECT pg_logical_emit_message(true, 'end', '')").await.unwrap();
    }
}
