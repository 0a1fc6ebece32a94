//! A copy that is made of nothing but the stream equals the source after every
//! transaction, whatever DDL there is: in names, schemas, keys and rows.

mod common;
#[path = "common/compare.rs"]
mod compare_mod;
#[path = "common/live.rs"]
mod live;
#[path = "common/source.rs"]
mod source_mod;
#[path = "common/workload.rs"]
mod workload_mod;

use live::{available, hex, lines, next, server_lines, Database};
use pgcdc::{
    Applier, Delivery, MemoryState, Op, PostgresApplier, Relation, SchemaChangeKind, State, Stream,
    StreamConfig,
};
use prost::Message;
use source_mod::{held, same, source, Tables};

/// Each is a transaction. The copies are compared behind each one.
const DDL: &[&str] = &[
    "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (LIKE a INCLUDING ALL)",
    "INSERT INTO a SELECT i, 'a' FROM generate_series(1, 50) i; INSERT INTO b VALUES (1, 'b')",
    // columns, without a row
    "ALTER TABLE a ADD w int DEFAULT 7",
    "ALTER TABLE a RENAME v TO vv",
    "VACUUM FULL a",
    "ALTER TABLE a DROP w, ADD w bigint",
    "ALTER TABLE a ALTER vv TYPE varchar(10)",
    "ALTER TABLE a ALTER w TYPE text USING 'w' || id",
    "ALTER TABLE a ADD r float8 DEFAULT random()",
    // names
    "ALTER TABLE a RENAME TO c",
    "UPDATE c SET vv = 'c' WHERE id % 3 = 0; ALTER TABLE c RENAME TO a; DELETE FROM a WHERE id = 5",
    "ALTER TABLE a RENAME TO x; ALTER TABLE b RENAME TO a; ALTER TABLE x RENAME TO b; \
     INSERT INTO a VALUES (2, 'was b'); UPDATE b SET vv = 'was a' WHERE id = 7",
    "ALTER TABLE a RENAME TO \"A b\"; ALTER TABLE \"A b\" RENAME TO a",
    "CREATE SCHEMA s CREATE TABLE one (id int PRIMARY KEY) CREATE TABLE two (id int PRIMARY KEY, o int REFERENCES one)",
    "INSERT INTO s.one VALUES (1), (2); INSERT INTO s.two VALUES (1, 1)",
    "ALTER SCHEMA s RENAME TO t",
    "INSERT INTO t.one VALUES (3); ALTER TABLE t.one SET SCHEMA public; UPDATE one SET id = 9 WHERE id = 3",
    "ALTER TABLE a SET SCHEMA t; ALTER TABLE t.a RENAME TO z",
    "DROP SCHEMA t CASCADE",
    // gone, and made anew under a name
    "DROP TABLE one",
    "CREATE TABLE one (id int PRIMARY KEY); INSERT INTO one VALUES (7)",
    "INSERT INTO one VALUES (8); DROP TABLE one; CREATE TABLE one (id int PRIMARY KEY); INSERT INTO one VALUES (5)",
    "DROP TABLE one; CREATE TABLE one AS SELECT 3 AS id",
    "SELECT 4 AS id, 'into' AS t INTO two; CREATE TABLE three (n int) INHERITS (two)",
    "INSERT INTO three VALUES (1, 'x', 2)",
    "ALTER TABLE two ADD u text DEFAULT 'u'",
    "DROP TABLE two CASCADE",
    // keys
    "ALTER TABLE one REPLICA IDENTITY FULL",
    "INSERT INTO one VALUES (6), (6); DELETE FROM one WHERE id = 3",
    "DELETE FROM one WHERE ctid = (SELECT max(ctid) FROM one); ALTER TABLE one ADD PRIMARY KEY (id)",
    "UPDATE one SET id = 10 WHERE id = 6",
    "ALTER TABLE b DROP CONSTRAINT a_pkey; ALTER TABLE b REPLICA IDENTITY FULL",
    "UPDATE b SET vv = 'full' WHERE id = 8; DELETE FROM b WHERE id = 9",
    "ALTER TABLE b ADD k int GENERATED ALWAYS AS IDENTITY; ALTER TABLE b ADD PRIMARY KEY (k, id)",
    "UPDATE b SET vv = 'again' WHERE id = 11; DELETE FROM b WHERE k = 3",
    // rolled back in part
    "BEGIN; SAVEPOINT p; DROP TABLE one; CREATE TABLE one (z text); INSERT INTO one VALUES ('z'); \
     ROLLBACK TO p; INSERT INTO one VALUES (20); ALTER TABLE one ADD q int; SAVEPOINT q; \
     ALTER TABLE one RENAME TO no; ROLLBACK TO q; INSERT INTO one VALUES (21, 1); COMMIT",
    "DO $$ BEGIN ALTER TABLE one RENAME q TO r; BEGIN ALTER TABLE one DROP r; INSERT INTO one VALUES (21); \
     EXCEPTION WHEN unique_violation THEN NULL; END; INSERT INTO one VALUES (22, 2); END $$",
    "BEGIN; DROP TABLE one; ROLLBACK",
    // large enough to be sent before it ends
    "BEGIN; ALTER TABLE b RENAME TO big; INSERT INTO big (id, vv) SELECT i, 'big' FROM generate_series(100, 2000) i; \
     SAVEPOINT p; ALTER TABLE big ADD nope int; UPDATE big SET nope = 1; ROLLBACK TO p; \
     ALTER TABLE big ADD yes int DEFAULT 3; UPDATE big SET yes = id WHERE id > 1900; \
     CREATE TABLE copied AS SELECT * FROM big; ALTER TABLE big RENAME TO b; COMMIT",
    // what changes nothing
    "CREATE INDEX ON b (vv); COMMENT ON TABLE b IS 'b'; GRANT SELECT ON b TO PUBLIC; ANALYZE b",
    "CREATE TEMPORARY TABLE temporary (id int); CREATE MATERIALIZED VIEW m AS SELECT * FROM b; CREATE VIEW v AS SELECT * FROM one",
    "DROP MATERIALIZED VIEW m; DROP VIEW v; TRUNCATE b",
    "ALTER TABLE b ALTER vv TYPE int USING 4",
    "INSERT INTO b (id, vv) VALUES (1, 5)",
    // not sent for a while
    "ALTER TABLE copied SET UNLOGGED",
    "DELETE FROM copied",
    "ALTER TABLE copied SET LOGGED",
    "INSERT INTO copied (id) VALUES (77)",
    "CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id); \
     CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (10); CREATE TABLE part2 (id int NOT NULL PRIMARY KEY)",
    "INSERT INTO part2 VALUES (11); ALTER TABLE parts ATTACH PARTITION part2 FOR VALUES FROM (10) TO (20); INSERT INTO parts VALUES (1), (12)",
    "ALTER TABLE parts ADD p int DEFAULT 1",
    "ALTER TABLE parts DETACH PARTITION part1",
    "DROP TABLE parts; DROP TABLE part1",
    "DROP TABLE b, copied, one",
];

/// As [`DDL`], of transactions that are prepared.
const PREPARED: &[&str] = &[
    "CREATE TABLE p (id int PRIMARY KEY)",
    "BEGIN; INSERT INTO p VALUES (1); ALTER TABLE p RENAME TO q; INSERT INTO q SELECT generate_series(2, 3000); PREPARE TRANSACTION",
    "BEGIN; DROP TABLE q; CREATE TABLE q (id int PRIMARY KEY, n int); INSERT INTO q VALUES (1, 1); PREPARE TRANSACTION",
];

fn is_end(event: &pgcdc::Event<'_>) -> bool {
    event.op == Op::Message && event.message.is_some_and(|m| m.prefix == "end")
}

/// The schemas of a batch's events.
fn delivery_schemas(delivery: &Delivery) -> Vec<pgcdc::pb::SchemaVersion> {
    let schemas = delivery.changes().filter_map(|change| change.unwrap().schema.cloned());
    let version = |schema: pgcdc::Schema| pgcdc::pb::SchemaVersion {
        fingerprint: schema.fingerprint,
        table: schema.bytes.into(),
        ..Default::default()
    };
    schemas.map(version).collect()
}

/// Three copies of a source: batch by batch, by whole transactions that may be sent before
/// they end, and in PostgreSQL.
struct Copies {
    name: String,
    streams: [Stream; 3],
    applier: Applier<MemoryState>,
    whole: Applier<MemoryState>,
    stored: PostgresApplier,
    target: Database,
}

impl Copies {
    async fn new(db: &mut Database) -> Self {
        let name = db.name.clone();
        let mut streams = Vec::new();
        for slot in ["plain", "whole", "stored"] {
            let two_phase = slot == "whole";
            db.run(&format!(
                "SELECT pg_create_logical_replication_slot('{name}_{slot}', 'cdc', false, {two_phase})"
            ))
            .await;
            let mut config = db.config().option("messages", "*");
            config.slot = format!("{name}_{slot}");
            config.connect.options = Some("-c logical_decoding_work_mem=64kB".into());
            if two_phase {
                config = config.option("streaming", "on").option("two_phase", "on");
                config = config.option("batch_bytes", "2kB");
            }
            streams.push(config.start().await.unwrap());
        }
        let target = Database::without_slot("copies").await;
        PostgresApplier::create_tables(&target.connect()).await.unwrap();
        let stored = PostgresApplier::open(target.connect(), &name).await.unwrap();
        let streams = streams.try_into().ok().unwrap();
        let new = || Applier::new(MemoryState::default());
        Copies { name, streams, applier: new(), whole: new(), stored, target }
    }

    /// Reads to the end message; the server sees in it what is seen here.
    async fn follow(&mut self, db: &mut Database) {
        let Copies { streams: [plain, whole, stored_stream], applier, stored, .. } = self;
        let mut done = false;
        while !done {
            let delivery = next(plain).await.unwrap();
            let batch = delivery.batch().unwrap();
            // with the schemas that came before
            let header =
                pgcdc::pb::Batch { schemas: delivery_schemas(&delivery), ..Default::default() };
            let mut frames = String::new();
            hex(&mut frames, &header.encode_to_vec());
            hex(&mut frames, delivery.bytes());
            assert_eq!(lines(&delivery), server_lines(&mut db.sql, &frames).await);
            applier.apply_batch(&batch, delivery.schemas()).unwrap();
            done = batch.events().any(|event| is_end(&event.unwrap()));
            plain.ack(&delivery);
        }
        done = false;
        while !done {
            let delivery = next(stored_stream).await.unwrap();
            let batch = delivery.batch().unwrap();
            stored.apply_batch(&batch, delivery.schemas()).await.unwrap();
            done = batch.events().any(|event| is_end(&event.unwrap()));
            stored_stream.ack(&delivery);
        }
        done = false;
        while !done {
            let txn = whole.next().await.unwrap().unwrap();
            self.whole.apply_txn(&txn, txn.schemas()).unwrap();
            let mut changes = txn.changes();
            while let Some(change) = changes.next() {
                done |= is_end(&change.unwrap());
            }
            whole.ack(&txn);
        }
    }

    /// What is stored, opened anew.
    async fn stored(&mut self) -> Tables {
        self.stored = PostgresApplier::open(self.target.connect(), &self.name).await.unwrap();
        let schemas: Vec<_> = self.stored.schemas().cloned().collect();
        let mut state = MemoryState::default();
        for schema in &schemas {
            let relation = Relation::from(&schema.table);
            for (key, row) in self.stored.rows(&relation).await.unwrap() {
                state.put(&relation, &key, &row).unwrap();
            }
        }
        held(&mut state, &schemas)
    }

    async fn check(&mut self, db: &mut Database, what: &str, left: &[&str]) -> usize {
        db.run("SELECT pg_logical_emit_message(true, 'end', '')").await;
        self.follow(db).await;
        let source = source(&mut db.sql, "%").await;
        let stored = self.stored().await;
        for (how, applier) in [("batches", &mut self.applier), ("whole", &mut self.whole)] {
            let schemas: Vec<_> = applier.schemas().cloned().collect();
            let copy = held(applier.state(), &schemas);
            same(&format!("{how}: {what}"), &copy, &source, left);
            assert!(applier.lost().is_empty());
        }
        same(&format!("stored: {what}"), &stored, &source, left);
        source.values().map(|(_, rows)| rows.len()).sum()
    }

    async fn close(self) {
        for stream in self.streams {
            let _ = stream.close().await;
        }
        self.target.drop().await;
    }
}

#[tokio::test]
async fn a_copy_follows_every_command() {
    if !available() {
        return;
    }
    let mut db = Database::without_slot("ddl").await;
    let mut copies = Copies::new(&mut db).await;
    let mut rows = 0;
    for sql in DDL {
        db.run(sql).await;
        let unlogged =
            "SELECT count(*) FROM pg_class WHERE relname = 'copied' AND relpersistence = 'u'";
        let left: &[&str] = if db.one(unlogged).await == "1" { &["public.copied"] } else { &[] };
        rows += copies.check(&mut db, sql, left).await;
    }
    for (n, sql) in PREPARED.iter().enumerate() {
        let gid = format!("'{}_{n}'", db.name);
        db.run(&sql.replace("TRANSACTION", &format!("TRANSACTION {gid}"))).await;
        if sql.contains("PREPARE") {
            db.run(&format!("COMMIT PREPARED {gid}")).await;
        }
        rows += copies.check(&mut db, sql, &[]).await;
    }
    println!("{} transactions with DDL, {rows} rows equal", DDL.len() + PREPARED.len());
    copies.close().await;
    db.drop().await;
}

/// Kinds, tags and names of what a stream tells.
async fn told(db: &mut Database, stream: &mut Stream, sql: &str) -> Vec<String> {
    db.run(sql).await;
    db.run("SELECT pg_logical_emit_message(true, 'end', '')").await;
    let mut told = Vec::new();
    loop {
        let delivery = next(stream).await.unwrap();
        for change in delivery.changes() {
            let change = change.unwrap();
            if is_end(&change) {
                stream.ack(&delivery);
                return told;
            }
            let Some(schema_change) = change.schema_change else {
                told.push(change.op.name().to_lowercase());
                continue;
            };
            assert_eq!(change.op, Op::Schema);
            let gone =
                matches!(schema_change.kind, SchemaChangeKind::Dropped | SchemaChangeKind::Left);
            assert_eq!(change.table().is_none(), gone);
            let names = [schema_change.former(), change.table().map(Relation::from)];
            let names: Vec<_> = names.into_iter().flatten().map(|name| name.to_string()).collect();
            told.push(format!("{} {}", schema_change.kind.name(), names.join(" ")));
            assert!(lines(&delivery).iter().any(|line| line.contains(schema_change.command_tag)));
        }
        stream.ack(&delivery);
    }
}

async fn selected(db: &Database, option: &str, value: &str) -> StreamConfig {
    db.config().option("messages", "*").option(option, value)
}

/// A table enters and leaves what is sent: by a publication, and by its name.
#[tokio::test]
async fn tables_enter_and_leave() {
    if !available() {
        return;
    }
    let mut db = Database::new("enter").await;
    db.run("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE a")
        .await;
    let mut stream = selected(&db, "publication_names", "p").await.start().await.unwrap();
    let first =
        told(&mut db, &mut stream, "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)").await;
    assert_eq!(first.last().unwrap(), "insert");
    let entered = "ALTER PUBLICATION p ADD TABLE b; INSERT INTO b VALUES (2)";
    assert_eq!(told(&mut db, &mut stream, entered).await, ["entered public.b", "insert"]);
    let left =
        "INSERT INTO a VALUES (2); ALTER PUBLICATION p DROP TABLE a; INSERT INTO a VALUES (3)";
    assert_eq!(told(&mut db, &mut stream, left).await, ["insert", "left public.a"]);
    stream.close().await.unwrap();

    let mut stream = selected(&db, "tables", "public.b").await.start().await.unwrap();
    let sql = "ALTER TABLE b RENAME TO x; ALTER TABLE a RENAME TO b; DROP TABLE b";
    let wanted = ["left public.b", "entered public.b", "dropped public.b"];
    assert_eq!(told(&mut db, &mut stream, sql).await, wanted);
    let source = db.config().option("schema_changes", "off");
    stream.close().await.unwrap();
    // and as before, without
    let mut stream = source.option("messages", "*").start().await.unwrap();
    let quiet =
        told(&mut db, &mut stream, "ALTER TABLE x RENAME TO b; INSERT INTO b VALUES (4)").await;
    assert_eq!(quiet, ["insert"]);
    stream.close().await.unwrap();
    db.drop().await;
}

/// The first batch of a connection says whether changes of schemas are told.
#[tokio::test]
async fn the_source_says_so() {
    if !available() {
        return;
    }
    let mut db = Database::new("says").await;
    db.run("CREATE TABLE t (id int PRIMARY KEY)").await;
    for (option, wanted) in [("on", true), ("off", false)] {
        db.run("INSERT INTO t VALUES ((SELECT count(*) FROM t))").await;
        let mut stream = db.config().option("schema_changes", option).start().await.unwrap();
        let delivery = next(&mut stream).await.unwrap();
        assert_eq!(delivery.batch().unwrap().source.unwrap().schema_changes, wanted);
        stream.close().await.unwrap();
    }
    db.drop().await;
}
