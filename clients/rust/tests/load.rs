//! Snapshots and the stream join without a gap or a repetition, while the
//! tables change.

mod common;
#[path = "common/compare.rs"]
mod compare_mod;
#[path = "common/live.rs"]
mod live;
#[path = "common/source.rs"]
mod source_mod;
#[path = "common/workload.rs"]
mod workload_mod;

use std::time::Duration;

use compare_mod::compare;
use live::{available, next, Database};
use pgcdc::{
    Applier, Connection, Error, Joiner, Limits, Loader, Lsn, MemoryState, Op, Row, Stream,
};
use source_mod::{held, same, source};
use workload_mod::{Workload, SCHEMA, TABLES};

/// Reads what has not been read of a table.
async fn read_all(load: &mut Loader, sql: &mut Connection, joiner: &mut Joiner<MemoryState>) {
    loop {
        match load.read_next(sql, joiner).await {
            Ok(true) => tokio::time::sleep(Duration::from_millis(5)).await,
            Ok(false) => return,
            // truncated or rewritten meanwhile
            Err(Error::Server(error)) if error.code == "55000" => (),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Reads until the end message or a position; rows that must be read again are.
async fn follow(
    stream: &mut Stream,
    sql: &mut Connection,
    loads: &mut [Loader],
    joiner: &mut Joiner<MemoryState>,
) -> usize {
    let mut rereads = 0;
    loop {
        let delivery = next(stream).await.unwrap();
        let batch = delivery.batch().unwrap();
        joiner.apply_batch(&batch, delivery.schemas()).unwrap();
        for reread in joiner.take_rereads() {
            let at = TABLES.iter().position(|table| *table == reread.relation.name).unwrap();
            loads[at].reread(sql, joiner, &reread).await.unwrap();
            rereads += 1;
        }
        for reload in joiner.reloads() {
            for load in &mut *loads {
                load.reload(sql, joiner, &reload).await.unwrap();
                read_all(load, sql, joiner).await;
            }
        }
        stream.ack(&delivery);
        let end = |event: pgcdc::Event<'_>| {
            event.op == Op::Message && event.message.is_some_and(|m| m.prefix == "end")
        };
        if batch.events().any(|event| end(event.unwrap())) {
            return rereads;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_and_stream_join() {
    if !available() {
        return;
    }
    let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64 | 1
    });
    println!("SEED={seed}");
    let mut db = Database::without_slot("load").await;
    db.run(SCHEMA).await;
    let mut workload = Workload::new(seed, &db.name);
    for _ in 0..60 {
        workload.transaction(&mut db.sql, false).await;
    }
    let name = db.name.clone();
    db.run(&format!("SELECT pg_create_logical_replication_slot('{name}', 'cdc')")).await;
    let mut sql = db.another().await;
    let mut busy = db.another().await;
    let changes = tokio::spawn(async move {
        for i in 0..200 {
            workload.alters = i < 150;
            workload.transaction(&mut busy, false).await;
        }
        workload.finish(&mut busy).await;
    });
    let mut joiner = Joiner::new(Applier::new(MemoryState::default()));
    let mut loads = Vec::new();
    let mut chunks = 0;
    for table in TABLES {
        let mut load = Loader::plan(&mut sql, &format!("public.{table}"), 40, &[]).await.unwrap();
        read_all(&mut load, &mut sql, &mut joiner).await;
        assert!(load.is_done() && load.end_lsn().0 > 0);
        chunks += load.chunks().0;
        loads.push(load);
    }
    let mut stream = db.config().option("messages", "*").start().await.unwrap();
    let rereads = follow(&mut stream, &mut sql, &mut loads, &mut joiner).await;
    changes.await.unwrap();
    stream.close().await.unwrap();
    let mut applier = joiner.into_applier();
    let rows = compare(&mut applier);
    println!("{rows} rows equal, {chunks} chunks, {rereads} rows read again");
    assert!(rows > 100 && chunks > 12);
    db.drop().await;
}

#[tokio::test]
async fn altered_tables_are_loaded_anew() {
    if !available() {
        return;
    }
    let mut db = Database::without_slot("altered").await;
    db.run("CREATE TABLE plain (id int PRIMARY KEY, v int, part text)").await;
    db.run("CREATE TABLE nokey (id int, v int)").await;
    let write = |from: u32| {
        format!(
            "INSERT INTO plain (id, v) SELECT i, 0 FROM generate_series({from}, {from} + 99) i; \
             UPDATE plain SET v = v + 1 WHERE id % 7 = 0; UPDATE plain SET id = -id WHERE id % 90 = 1; \
             DELETE FROM plain WHERE id % 50 = 2; INSERT INTO nokey (id) SELECT generate_series(1, 9)"
        )
    };
    let name = db.name.clone();
    db.run(&write(0)).await;
    db.run(&format!("SELECT pg_create_logical_replication_slot('{name}', 'cdc')")).await;
    db.run(&write(100)).await;
    // before anything is read: what the slot has of it is passed over
    db.run("ALTER TABLE plain ALTER v TYPE text").await;
    db.run("ALTER TABLE plain ALTER v TYPE int USING v::int").await;
    let mut sql = db.another().await;
    let mut joiner = Joiner::new(Applier::new(MemoryState::default()));
    let mut loads = Vec::new();
    for table in ["plain", "nokey"] {
        loads.push(Loader::plan(&mut sql, table, 40, &[]).await.unwrap());
    }
    assert!(loads[0].read_next(&mut sql, &mut joiner).await.unwrap());
    db.run(&write(200)).await;
    // between the parts
    db.run("ALTER TABLE plain ADD more int DEFAULT 7, ALTER id TYPE bigint").await;
    for load in &mut loads {
        while load.read_next(&mut sql, &mut joiner).await.unwrap() {
            *load = Loader::from_bytes(&load.to_bytes()).unwrap();
        }
        assert!(load.is_done());
    }
    // behind them, with and without changes that are not read
    db.run(&write(300)).await;
    db.run("ALTER TABLE nokey ADD more int DEFAULT 8; UPDATE plain SET id = id + 10000 WHERE id % 9 = 0").await;
    db.run("ALTER TABLE plain DROP part, ADD other text DEFAULT 'x'; ALTER TABLE nokey DROP v")
        .await;
    db.run(&write(400).replace("(id, v) SELECT i, 0", "(id, v, other) SELECT i, 0, 'y'")).await;
    for table in ["plain", "nokey"] {
        db.run(&format!("CREATE TABLE copy_{table} AS SELECT * FROM {table}")).await;
    }
    db.run("SELECT pg_logical_emit_message(true, 'end', '')").await;
    let mut stream = db.config().option("messages", "*").start().await.unwrap();
    let mut all = [loads.remove(0), loads.remove(0)];
    follow(&mut stream, &mut sql, &mut all, &mut joiner).await;
    stream.close().await.unwrap();
    let rows = compare(&mut joiner.into_applier());
    println!("{rows} rows equal");
    assert!(rows > 450, "{rows}");
    db.drop().await;
}

/// Tables and loads of them, with what happens while they are read and after.
struct Joined {
    db: Database,
    sql: Connection,
    joiner: Joiner<MemoryState>,
    loads: Vec<Loader>,
}

impl Joined {
    async fn new(test: &str, tables: &[&str]) -> Self {
        let mut db = Database::without_slot(test).await;
        db.run("CREATE TYPE mood AS ENUM ('fine', 'bad')").await;
        let name = db.name.clone();
        db.run(&format!("SELECT pg_create_logical_replication_slot('{name}', 'cdc')")).await;
        let mut sql = db.another().await;
        let mut loads = Vec::new();
        for table in tables {
            db.run(&format!(
                "CREATE TABLE {table} (id int PRIMARY KEY, v text, m mood); \
                 INSERT INTO {table} SELECT i, '{table}', 'bad' FROM generate_series(1, 100) i"
            ))
            .await;
            loads.push(Loader::plan(&mut sql, table, 40, &[]).await.unwrap());
        }
        let joiner = Joiner::new(Applier::new(MemoryState::default()));
        Joined { db, sql, joiner, loads }
    }

    /// A part of each table.
    async fn read(&mut self) {
        for load in &mut self.loads {
            assert!(load.read_next(&mut self.sql, &mut self.joiner).await.unwrap());
        }
    }

    async fn read_all(&mut self) {
        for load in &mut self.loads {
            read_all(load, &mut self.sql, &mut self.joiner).await;
            assert!(load.is_done() && load.end_lsn().0 > 0);
        }
    }

    /// Everything that there is in the stream; then the copy is the source.
    async fn follow(&mut self) {
        self.db.run("SELECT pg_logical_emit_message(true, 'end', '')").await;
        let mut stream = self.db.config().option("messages", "*").start().await.unwrap();
        follow(&mut stream, &mut self.sql, &mut self.loads, &mut self.joiner).await;
        stream.close().await.unwrap();
        let applier = self.joiner.applier();
        let schemas: Vec<_> = applier.schemas().cloned().collect();
        let copy = held(applier.state(), &schemas);
        same("joined", &copy, &source(&mut self.db.sql, "public").await, &[]);
    }

    /// Rows that were read, without those that were read anew.
    fn rows(&self) -> Vec<u64> {
        self.loads.iter().map(|load| load.rows().0).collect()
    }
}

/// What commands make of a table between its parts and behind them is followed without
/// reading anything twice.
#[tokio::test]
async fn commands_while_tables_are_loaded() {
    if !available() {
        return;
    }
    let mut j = Joined::new("commands", &["plain", "other"]).await;
    j.db.run("UPDATE plain SET v = 'before' WHERE id % 3 = 0").await;
    j.read().await;
    j.db.run(
        "INSERT INTO plain VALUES (0, 'low'), (101, 'high'); DELETE FROM plain WHERE id IN (7, 77)",
    )
    .await;
    j.db.run("ALTER TABLE plain ADD w int DEFAULT 3; ALTER TABLE plain RENAME v TO vv").await;
    j.db.run(
        "UPDATE plain SET w = 4, vv = 'after' WHERE id % 5 = 0; DELETE FROM plain WHERE id = 8",
    )
    .await;
    j.read().await;
    j.db.run("ALTER TABLE plain DROP w; ALTER TABLE other ALTER v TYPE int USING length(v)").await;
    j.db.run("INSERT INTO other VALUES (200, 5); UPDATE other SET v = 6 WHERE id % 4 = 0").await;
    j.read_all().await;
    assert_eq!(j.rows(), [100, 101], "each row was read once");
    j.db.run("ALTER TABLE plain ADD x int DEFAULT 9; UPDATE plain SET x = 1 WHERE id = 3").await;
    // exchanged, when all is read
    j.db.run("ALTER TABLE plain RENAME TO t; ALTER TABLE other RENAME TO plain; ALTER TABLE t RENAME TO other; \
              INSERT INTO other VALUES (300); DELETE FROM plain WHERE id = 10")
        .await;
    j.follow().await;
    assert_eq!(j.rows(), [100, 101], "nothing was read again");
    j.db.run("ALTER TABLE plain RENAME v TO n; CREATE TABLE new AS SELECT 1 AS one").await;
    j.follow().await;
    j.db.drop().await;
}

/// Renamed or dropped between the parts, and made anew.
#[tokio::test]
async fn tables_that_go_while_they_are_loaded() {
    if !available() {
        return;
    }
    let tables = ["plain", "gone", "anew", "swapped", "too"];
    let mut j = Joined::new("going", &tables).await;
    j.read().await;
    j.db.run("INSERT INTO plain VALUES (0), (101); ALTER TABLE plain RENAME TO moved; DELETE FROM moved WHERE id = 5").await;
    j.db.run("UPDATE gone SET v = 'x'; DROP TABLE gone").await;
    j.db.run("UPDATE anew SET v = 'x'; DROP TABLE anew; CREATE TABLE anew (id int PRIMARY KEY, v text, m mood); \
              INSERT INTO anew VALUES (1, 'anew')")
        .await;
    j.db.run("ALTER TABLE swapped RENAME TO t; ALTER TABLE too RENAME TO swapped; ALTER TABLE t RENAME TO too; \
              DELETE FROM too WHERE id = 50")
        .await;
    j.read_all().await;
    j.db.run("UPDATE anew SET v = 'y'; ALTER TABLE moved RENAME TO plain").await;
    j.follow().await;
    assert!(!j.joiner.applier().schemas().any(|schema| schema.table.name == "gone"));
    // and when it is too late to read it anew
    j.db.run("DROP TABLE plain; CREATE TABLE gone (id int PRIMARY KEY)").await;
    j.follow().await;
    j.db.drop().await;
}

/// What the stream does not say is read: values of types, and rows of before a table came
/// into what is sent.
#[tokio::test]
async fn what_is_not_in_the_stream_is_read() {
    if !available() {
        return;
    }
    let mut j = Joined::new("types", &["plain"]).await;
    j.read().await;
    j.db.run("ALTER TYPE mood RENAME VALUE 'bad' TO 'worse'").await;
    j.db.run("UPDATE plain SET m = 'fine' WHERE id < 4").await;
    j.read_all().await;
    j.db.run("ALTER TYPE mood RENAME VALUE 'worse' TO 'worst'; ALTER TYPE mood ADD VALUE 'new'")
        .await;
    j.follow().await;
    j.db.run("ALTER TYPE mood RENAME VALUE 'fine' TO 'good'").await;
    j.follow().await;
    j.db.run("ALTER TABLE plain SET UNLOGGED; DELETE FROM plain WHERE id = 2").await;
    j.db.run("ALTER TABLE plain SET LOGGED; INSERT INTO plain VALUES (1000)").await;
    j.follow().await;
    let key =
        "ALTER TABLE plain DROP CONSTRAINT plain_pkey; ALTER TABLE plain ADD PRIMARY KEY (id, v)";
    j.db.run("DELETE FROM plain WHERE v IS NULL").await;
    j.db.run(key).await;
    j.db.run("UPDATE plain SET v = 'rekeyed' WHERE id = 3").await;
    j.follow().await;
    j.db.run(
        "ALTER TABLE plain DROP CONSTRAINT plain_pkey; ALTER TABLE plain REPLICA IDENTITY FULL",
    )
    .await;
    j.db.run("INSERT INTO plain VALUES (3, 'rekeyed', 'worst'); DELETE FROM plain WHERE id = 4")
        .await;
    j.follow().await;
    j.db.drop().await;
}

/// A table that comes into a publication again, with rows that it got meanwhile.
#[tokio::test]
async fn tables_that_enter_again_are_loaded_anew() {
    if !available() {
        return;
    }
    let mut db = Database::new("reenter").await;
    db.run(
        "CREATE TABLE plain (id int PRIMARY KEY); INSERT INTO plain SELECT generate_series(1, 90); \
         CREATE PUBLICATION p FOR TABLE plain",
    )
    .await;
    let config = db.config().option("publication_names", "p").option("messages", "*");
    let mut sql = db.another().await;
    let mut load = Loader::plan_for(&config, &mut sql, "plain", 40).await.unwrap();
    let mut joiner = Joiner::new(Applier::new(MemoryState::default()));
    read_all(&mut load, &mut sql, &mut joiner).await;
    db.run("ALTER PUBLICATION p DROP TABLE plain; INSERT INTO plain VALUES (91); DELETE FROM plain WHERE id = 1").await;
    db.run("ALTER PUBLICATION p ADD TABLE plain; INSERT INTO plain VALUES (92)").await;
    db.run("SELECT pg_logical_emit_message(true, 'end', '')").await;
    let mut stream = config.start().await.unwrap();
    let mut loads = [load];
    follow(&mut stream, &mut sql, &mut loads, &mut joiner).await;
    let mut applier = joiner.into_applier();
    assert_eq!(applier.state().rows(&"public.plain".parse().unwrap()).unwrap().len(), 91);
    stream.close().await.unwrap();
    db.drop().await;
}

/// A key of other columns: what is left of the ranges cannot be read any more.
#[tokio::test]
async fn a_table_with_another_key_is_loaded_anew() {
    if !available() {
        return;
    }
    let mut db = Database::without_slot("rekeyed").await;
    db.run(
        "CREATE TABLE plain (id int PRIMARY KEY, v int, w uuid NOT NULL DEFAULT gen_random_uuid()); \
         INSERT INTO plain SELECT i, 0 FROM generate_series(1, 200) i",
    )
    .await;
    let name = db.name.clone();
    db.run(&format!("SELECT pg_create_logical_replication_slot('{name}', 'cdc')")).await;
    let mut sql = db.another().await;
    let mut load = Loader::plan(&mut sql, "plain", 50, &[]).await.unwrap();
    let mut joiner = Joiner::new(Applier::new(MemoryState::default()));
    let key = "ALTER TABLE plain DROP CONSTRAINT plain_pkey";
    let ddl = [format!("{key}, ADD PRIMARY KEY (w, id)"), key.to_owned()];
    let mut steps = 0;
    while load.read_next(&mut sql, &mut joiner).await.unwrap() {
        db.run("UPDATE plain SET v = v + 1 WHERE id % 7 = 0").await;
        if steps % 2 == 0 && steps / 2 < ddl.len() {
            db.run(&ddl[steps / 2]).await;
            db.run("ALTER TABLE plain REPLICA IDENTITY FULL").await;
        }
        steps += 1;
        load = Loader::from_bytes(&load.to_bytes()).unwrap();
        let state = joiner.into_applier().into_state();
        joiner = Joiner::resume(Applier::new(state), &load);
    }
    assert!(load.is_done() && steps > load.chunks().0 + 2, "{steps} {load:?}");
    db.run("UPDATE plain SET v = v + 1 WHERE id % 9 = 0").await;
    db.run("CREATE TABLE copy_plain AS SELECT * FROM plain").await;
    db.run("SELECT pg_logical_emit_message(true, 'end', '')").await;
    let mut stream = db.config().option("messages", "*").start().await.unwrap();
    follow(&mut stream, &mut sql, &mut [load], &mut joiner).await;
    assert_eq!(compare(&mut joiner.into_applier()), 200);
    stream.close().await.unwrap();
    db.drop().await;
}

/// A row that must be read again, of a table that was altered since; and nobody who
/// reads it.
#[tokio::test]
async fn altered_before_a_row_is_read_again() {
    if !available() {
        return;
    }
    let mut db = Database::without_slot("altered_row").await;
    db.run("CREATE TABLE plain (id int PRIMARY KEY, big text)").await;
    db.run("ALTER TABLE plain ALTER big SET STORAGE EXTERNAL").await;
    db.run("INSERT INTO plain SELECT i, repeat(i::text, 5000) FROM generate_series(1, 100) i")
        .await;
    let name = db.name.clone();
    db.run(&format!("SELECT pg_create_logical_replication_slot('{name}', 'cdc')")).await;
    let mut sql = db.another().await;
    let mut load = Loader::plan(&mut sql, "plain", 50, &[]).await.unwrap();
    let mut joiner = Joiner::new(Applier::new(MemoryState::default()));
    assert!(load.read_next(&mut sql, &mut joiner).await.unwrap());
    // from what was not read to what was: without its large value
    db.run("UPDATE plain SET id = -id WHERE id = 100").await;
    while load.read_next(&mut sql, &mut joiner).await.unwrap() {}
    let kept = load.to_bytes();
    let state = joiner.applier().state().clone();
    db.run(
        "ALTER TABLE plain ADD later text DEFAULT 'later', DROP CONSTRAINT plain_pkey, \
         ADD PRIMARY KEY (id, later)",
    )
    .await;
    db.run("INSERT INTO plain VALUES (101)").await;
    db.run("UPDATE plain SET id = id WHERE id = 1").await;
    db.run("CREATE TABLE copy_plain AS SELECT * FROM plain").await;
    db.run("SELECT pg_logical_emit_message(true, 'end', '')").await;
    let config = db.config().option("messages", "*");
    let mut stream = config.clone().start().await.unwrap();
    let delivery = next(&mut stream).await.unwrap();
    joiner.apply_batch(&delivery.batch().unwrap(), delivery.schemas()).unwrap();
    let rereads = joiner.take_rereads();
    assert_eq!(rereads.len(), 1);
    load.reread(&mut sql, &mut joiner, &rereads[0]).await.unwrap();
    assert_eq!(joiner.reloads().len(), 1, "the row, and so the table");
    // who does not look is told
    let error = loop {
        let delivery = next(&mut stream).await.unwrap();
        let applied = joiner.apply_batch(&delivery.batch().unwrap(), delivery.schemas());
        if let Err(error) = applied {
            break error;
        }
    };
    assert!(error.to_string().contains("must be read anew"), "{error}");
    stream.close().await.unwrap();
    // and who does has all of it
    let mut joiner = Joiner::resume(Applier::new(state), &load);
    let mut stream = config.start().await.unwrap();
    let mut loads = [Loader::from_bytes(&kept).unwrap()];
    follow(&mut stream, &mut sql, &mut loads, &mut joiner).await;
    assert_eq!(compare(&mut joiner.into_applier()), 101);
    stream.close().await.unwrap();
    db.drop().await;
}

/// A snapshot sees what is not written yet.
#[tokio::test]
async fn the_end_is_behind_asynchronous_commits() {
    if !available() {
        return;
    }
    let mut db = Database::new("asynchronous").await;
    db.run("CREATE TABLE plain (id int PRIMARY KEY)").await;
    db.run("SET synchronous_commit = off").await;
    let mut sql = db.another().await;
    let mut stream = db.config().start().await.unwrap();
    for i in 0..10 {
        db.run(&format!("INSERT INTO plain VALUES ({i})")).await;
        let mut load = Loader::plan(&mut sql, "plain", 50, &[]).await.unwrap();
        let mut joiner = Joiner::new(Applier::new(MemoryState::default()));
        while load.read_next(&mut sql, &mut joiner).await.unwrap() {}
        let delivery = next(&mut stream).await.unwrap();
        let batch = delivery.batch().unwrap();
        let t = batch.transaction.unwrap();
        assert!(load.snapshots()[0].sees(t.xid));
        assert!(load.end_lsn() >= batch.end_lsn, "{} {}", load.end_lsn(), batch.end_lsn);
        assert!(t.commit_lsn < load.end_lsn());
    }
    stream.close().await.unwrap();
    db.drop().await;
}

#[tokio::test]
async fn a_table_that_is_renamed_for_ever_is_not_loaded() {
    if !available() {
        return;
    }
    let mut db = Database::without_slot("restless").await;
    db.run(
        "CREATE TABLE plain (id int PRIMARY KEY); INSERT INTO plain SELECT generate_series(1, 90)",
    )
    .await;
    let mut sql = db.another().await;
    let mut load = Loader::plan(&mut sql, "plain", 40, &[]).await.unwrap();
    let mut joiner = Joiner::new(Applier::new(MemoryState::default()));
    let mut reads = 0;
    let error = loop {
        match load.read_next(&mut sql, &mut joiner).await {
            Ok(more) => assert!(more && reads < 20),
            Err(error) => break error,
        }
        let before = if reads == 0 { "plain".into() } else { format!("plain{}", reads - 1) };
        db.run(&format!("ALTER TABLE {before} RENAME TO plain{reads}")).await;
        reads += 1;
    };
    assert!(
        matches!(&error, Error::Other(e) if e.to_string().contains("altered 6 times")),
        "{error}"
    );
    db.drop().await;
}

#[tokio::test]
async fn errors_leave_the_connection_usable() {
    if !available() {
        return;
    }
    let mut db = Database::without_slot("copyerror").await;
    db.run("CREATE TABLE plain (id int PRIMARY KEY); INSERT INTO plain VALUES (1), (2)").await;
    let mut sql = db.another().await;
    let mut load = Loader::plan(&mut sql, "plain", 1, &[]).await.unwrap();
    let mut joiner = Joiner::new(Applier::new(MemoryState::default()));
    assert!(load.read_next(&mut sql, &mut joiner).await.unwrap());
    let read = load.chunks().1;
    db.run("ALTER TABLE plain SET UNLOGGED").await;
    for _ in 0..3 {
        let error = load.read_next(&mut sql, &mut joiner).await.unwrap_err();
        assert!(matches!(&error, Error::Server(e) if e.code == "42809"), "{error}");
    }
    assert_eq!(load.chunks().1, read, "what failed is not done");
    db.run("ALTER TABLE plain SET LOGGED").await;
    while load.read_next(&mut sql, &mut joiner).await.unwrap() {}
    assert!(load.is_done());
    db.drop().await;
}

#[tokio::test]
async fn interrupted_load_goes_on() {
    if !available() {
        return;
    }
    let mut db = Database::without_slot("reload").await;
    db.run(
        "CREATE TABLE plain (id int, part text, v int, PRIMARY KEY (part, id)); \
            INSERT INTO plain SELECT i, 'p' || i % 3, 0 FROM generate_series(1, 300) i; \
            ALTER TABLE plain REPLICA IDENTITY FULL",
    )
    .await;
    let name = db.name.clone();
    db.run(&format!("SELECT pg_create_logical_replication_slot('{name}', 'cdc')")).await;
    let mut sql = db.another().await;
    let mut load =
        Loader::plan(&mut sql, "plain", 50, &[("tables", "public.plain")]).await.unwrap();
    let mut joiner = Joiner::new(Applier::new(MemoryState::default()));
    assert!(load.chunks().0 >= 5, "{:?}", load.chunks());
    while load.read_next(&mut sql, &mut joiner).await.unwrap() {
        // what was read, what was not, and what moves from one to the other
        db.run("UPDATE plain SET v = v + 1 WHERE id % 7 = 0; UPDATE plain SET part = 'a' WHERE id % 50 = 0; \
                UPDATE plain SET part = 'z' WHERE id % 50 = 1; DELETE FROM plain WHERE id % 50 = 2; \
                INSERT INTO plain VALUES ((SELECT max(id) + 1 FROM plain), 'p1', 0)")
            .await;
        // all that is left is what was kept
        load = Loader::from_bytes(&load.to_bytes()).unwrap();
        let state = joiner.into_applier().into_state();
        joiner = Joiner::resume(Applier::new(state), &load);
    }
    assert!(load.is_done());
    db.run("CREATE TABLE copy_plain AS SELECT * FROM plain").await;
    db.run("SELECT pg_logical_emit_message(true, 'end', '')").await;
    let mut stream = db.config().option("messages", "*").start().await.unwrap();
    let mut loads = [load];
    let rereads = follow(&mut stream, &mut sql, &mut loads, &mut joiner).await;
    let rows = compare(&mut joiner.into_applier());
    println!("{rows} rows equal, {rereads} read again");
    assert!(rows > 280 && rereads > 0);
    stream.close().await.unwrap();
    db.drop().await;
}

/// What is stored for the slot counts for what is read, without being repeated; also
/// for the role that the slot is bound to.
#[tokio::test]
async fn options_of_the_slot_count() {
    if !available() {
        return;
    }
    let mut db = Database::without_slot("load_options").await;
    db.run(
        "CREATE TABLE plain (id int PRIMARY KEY, v int, secret text); \
         CREATE PUBLICATION chosen FOR TABLE plain (id, v) WHERE (id < 100); \
         INSERT INTO plain SELECT i, 0, 'secret' FROM generate_series(1, 200) i",
    )
    .await;
    db.bind_slot(&["plain"]).await;
    let (name, role) = (db.name.clone(), db.role());
    db.run(&format!(
        "SELECT cdc.alter_slot('{name}', '{{publication_names,chosen}}'); \
         GRANT EXECUTE ON FUNCTION cdc.snapshot, cdc.snapshot_chunks TO {role}"
    ))
    .await;
    db.run("UPDATE plain SET v = 1 WHERE id % 3 = 0").await;
    for config in [db.config(), db.reader()] {
        let mut sql = Connection::connect(&config.connect, &Limits::DEFAULT).await.unwrap();
        let mut load = Loader::plan_for(&config, &mut sql, "plain", 50).await.unwrap();
        let mut joiner = Joiner::new(Applier::new(MemoryState::default()));
        while load.read_next(&mut sql, &mut joiner).await.unwrap() {
            load = Loader::from_bytes(&load.to_bytes()).unwrap();
        }
        db.run("UPDATE plain SET v = v + 1 WHERE id % 5 = 0").await;
        let mut stream = config.start().await.unwrap();
        // a difference would make it another schema
        let mut end = Lsn::ZERO;
        while end < load.end_lsn() {
            let delivery = next(&mut stream).await.unwrap();
            let batch = delivery.batch().unwrap();
            joiner.apply_batch(&batch, delivery.schemas()).unwrap();
            assert!(joiner.reloads().is_empty());
            end = batch.end_lsn;
        }
        stream.close().await.unwrap();
        let mut applier = joiner.into_applier();
        let rows = applier.state().rows(&"public.plain".parse().unwrap()).unwrap();
        assert_eq!(rows.len(), 99);
        let secret = |row: &Vec<u8>| Row::new(row).fields().any(|f| f.unwrap().number == 3);
        assert!(!rows.values().any(secret));
    }
    // who is not bound may not
    db.run(&format!("CREATE ROLE {role}2 LOGIN; GRANT USAGE ON SCHEMA cdc TO {role}2; GRANT SELECT ON plain TO {role}2; \
                     GRANT EXECUTE ON FUNCTION cdc.snapshot, cdc.snapshot_chunks TO {role}2")).await;
    let mut config = db.config();
    config.connect.user = format!("{role}2");
    let mut sql = Connection::connect(&config.connect, &Limits::DEFAULT).await.unwrap();
    let mut joiner = Joiner::new(Applier::new(MemoryState::default()));
    let mut load = Loader::plan_for(&config, &mut sql, "plain", 50).await.unwrap();
    let error = load.read_next(&mut sql, &mut joiner).await.unwrap_err();
    assert!(matches!(&error, Error::Server(error) if error.code == "42501"), "{error}");
    sql.close().await;
    db.run(&format!("DROP OWNED BY {role}2; DROP ROLE {role}2")).await;
    db.drop().await;
}
