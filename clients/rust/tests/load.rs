//! Snapshots and the stream join without a gap or a repetition, while the
//! tables change.

mod common;
#[path = "common/compare.rs"]
mod compare_mod;
#[path = "common/live.rs"]
mod live;
#[path = "common/workload.rs"]
mod workload_mod;

use std::time::Duration;

use compare_mod::compare;
use live::{available, next, Database};
use pgcdc::{
    Applier, Connection, Error, Joiner, Limits, Loader, Lsn, MemoryState, Op, Row, Stream,
};
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
            // a table that is altered again and again is given up
            workload.alters = i < 100;
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
    db.run("ALTER TABLE plain ADD later text DEFAULT 'later'").await;
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
async fn a_table_that_is_altered_for_ever_is_not_loaded() {
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
        db.run(&format!("ALTER TABLE plain ADD c{reads} int")).await;
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
    db.run("ALTER TABLE plain RENAME TO gone").await;
    for _ in 0..3 {
        let error = load.read_next(&mut sql, &mut joiner).await.unwrap_err();
        assert!(matches!(&error, Error::Server(e) if e.code == "42P01"), "{error}");
    }
    assert_eq!(load.chunks().1, read, "what failed is not done");
    db.run("ALTER TABLE gone RENAME TO plain").await;
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
