//! Operation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgcdc::metrics::{Counter, Gauge, Metrics};
use pgcdc::test::{insert, Script};
use pgcdc::{pb, Assembler, Error, Limits, Policy, Refusal, Transport};

use crate::eventually;
use crate::live::{available, next};
use crate::look::tables;

#[tokio::test]
async fn slot_status() {
    if !available() {
        return;
    }
    let mut db = tables("status").await;
    let gauges = Arc::new(Seen::default());
    let config = db.config().metrics(gauges.clone());
    let status = config.slot_status().await.unwrap();
    assert_eq!(status.confirmed, db.confirmed().await);
    assert_eq!((status.wal_status.as_str(), status.invalidation_reason.as_str()), ("reserved", ""));
    assert_eq!((status.active_pid, status.safe_bytes), (None, None));
    let retained = gauges.gauges.lock().unwrap()["cdc_retained_wal_bytes"];
    assert_eq!(retained, status.retained_bytes as f64);
    let stream = config.start().await.unwrap();
    assert!(stream.slot_status().await.unwrap().active_pid.is_some());
    stream.close().await.unwrap();
    let mut gone = db.config();
    gone.slot = "gone".into();
    let error = gone.slot_status().await.unwrap_err();
    assert!(matches!(&error, Error::Refused(Refusal::NoSlot(name)) if name == "gone"), "{error}");
    db.drop().await;
}

#[tokio::test]
async fn drop_slot() {
    if !available() {
        return;
    }
    let mut db = tables("drop").await;
    let config = db.config();
    let stream = config.clone().start().await.unwrap();
    let pid = stream.slot_status().await.unwrap().active_pid.unwrap().to_string();
    let error = config.drop_slot().await.unwrap_err();
    assert!(matches!(&error, Error::Server(e) if e.code == "55006"), "{error}");
    assert!(error.to_string().contains(&pid), "{error}");
    stream.close().await.unwrap();
    eventually!(!db.is_active().await);
    for _ in 0..2 {
        config.drop_slot().await.unwrap();
        assert!(config.slot_status().await.is_err());
    }
    db.drop().await;
}

#[tokio::test]
async fn flush() {
    if !available() {
        return;
    }
    for transport in [Transport::Replication, Transport::Fetch] {
        let mut db = tables("flush").await;
        let mut config = db.config().transport(transport).checkpoint(db.checkpoint());
        config.feedback_interval = Duration::from_secs(3);
        let mut stream = config.start().await.unwrap();
        db.run("INSERT INTO orders VALUES (1)").await;
        let delivery = next(&mut stream).await.unwrap();
        let end = delivery.batch().unwrap().end_lsn;
        stream.ack(&delivery);
        stream.flush().await.unwrap();
        let stored = pgcdc::CheckpointStore::load(&db.checkpoint()).await.unwrap().unwrap();
        assert!(stored.end_lsn >= end);
        eventually!(db.confirmed().await >= end);
        stream.close().await.unwrap();
        db.drop().await;
    }
}

#[test]
fn defaults() {
    let config = Script::config();
    assert_eq!(config.buffer_bytes, 64 << 20);
    assert_eq!(config.feedback_interval, Duration::from_secs(10));
    assert_eq!((config.fetch_wait, config.fetch_bytes), (Duration::from_secs(10), 16 << 20));
    assert_eq!(config.connect.connect_timeout, Duration::from_secs(30));
    assert_eq!(config.max_backoff, Duration::from_secs(30));
    assert_eq!(config.store_timeout, Duration::from_secs(30));
    assert!(config.reconnect && !config.read_only && !config.create_slot);
    assert_eq!([config.on_damage, config.on_failure, config.on_handler_error], [Policy::Stop; 3]);
    assert_eq!(
        config.limits,
        Limits {
            max_batch_bytes: 1 << 30,
            max_columns: 1600,
            max_schemas: 65_536,
            max_schema_bytes: 256 << 20
        }
    );
    assert_eq!(Assembler::default().limit(), 64 << 20);
}

/// Counters by name and label, gauges by name.
#[derive(Default)]
struct Seen {
    counters: Mutex<BTreeMap<String, u64>>,
    gauges: Mutex<BTreeMap<&'static str, f64>>,
}

impl Metrics for Seen {
    fn add(&self, counter: Counter, n: u64) {
        let label = counter.label().map_or("", |(_, value)| value);
        let name = format!("{} {label}", counter.name());
        *self.counters.lock().unwrap().entry(name).or_default() += n;
    }
    fn set(&self, gauge: Gauge, value: f64) {
        self.gauges.lock().unwrap().insert(gauge.name(), value);
    }
}

#[tokio::test]
async fn metrics() {
    let op = |op: pb::Op, id| pb::ChangeEvent { op: op as i32, ..insert(id, "x") };
    let fails = |id| pb::ChangeEvent {
        failure: Some(pb::Failure { sqlstate: "22000".into(), ..pb::Failure::default() }),
        ..insert(id, "x")
    };
    let message = pb::ChangeEvent {
        op: pb::Op::Message as i32,
        message: Some(pb::Message { prefix: "p".into(), ..pb::Message::default() }),
        ..pb::ChangeEvent::default()
    };
    let outside = pb::Batch {
        end_lsn: 0x100_0000,
        event_count: 1,
        events: vec![message],
        ..pb::Batch::default()
    };
    let events =
        [insert(1, "a"), insert(2, "b"), op(pb::Op::Update, 1), op(pb::Op::Delete, 2), fails(3)];
    let script =
        || Script::new().transaction(&events).batch(&prost::Message::encode_to_vec(&outside));
    let run = |policy: Policy| async move {
        let seen = Arc::new(Seen::default());
        let mut config = Script::config().metrics(seen.clone());
        config.on_failure = policy;
        let mut stream = script().start_with(config);
        let mut stopped = false;
        while let Some(delivery) = stream.next_batch().await {
            stopped |= delivery.unwrap().changes().any(|change| change.is_err());
        }
        let counters = seen.counters.lock().unwrap().clone();
        (counters, stopped)
    };
    let common = [
        ("cdc_events_total insert", 2),
        ("cdc_events_total update", 1),
        ("cdc_events_total delete", 1),
        ("cdc_events_total message", 1),
        ("cdc_transactions_total ", 2),
    ];
    for (policy, stops, letters) in
        [(Policy::Skip, false, Some(1)), (Policy::Stop, true, None), (Policy::Pass, false, None)]
    {
        let (counters, stopped) = run(policy).await;
        assert_eq!(stopped, stops, "{policy:?}");
        for (name, n) in common {
            let passed = u64::from(policy == Policy::Pass && name.ends_with("insert"));
            assert_eq!(counters.get(name), Some(&(n + passed)), "{policy:?} {name}");
        }
        let found = counters.get("cdc_dead_letters_total failure").copied();
        assert_eq!(found, letters, "{policy:?}");
    }
}

/// What the example must be able to copy.
const MANY: &str = "CREATE TABLE many (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
    twice int GENERATED ALWAYS AS (n * 2) STORED, n int, boxes box[], points point[], texts text[], \
    numbers numeric(10,2)[], bytes bytea[], days date[], spans interval[], span interval, \
    fine interval(3), part interval day to second(3), j json, b jsonb, grid int[], flags bool[])";
const ROWS: &str = "INSERT INTO many (n, boxes, points, texts, numbers, bytes, days, spans, span, fine, part, j, b, grid, flags) \
    SELECT i, ARRAY['((1,1),(0,0))', NULL, '((3,4),(1,2))']::box[], '{\"(1,2)\"}', ARRAY['a,b', '{}', '\"', NULL, '\\', ';'], \
    '{1.50,-2}', ARRAY['\\x00ff'::bytea], '{2020-01-01,infinity}', '{1 mon 2 days,-03:00:00.5}', \
    '1 year -2 mons 3 days -04:05:06.789', '1.23456 s', '2 days 3.5 s', \
    CASE i % 3 WHEN 0 THEN 'null'::json WHEN 1 THEN NULL ELSE '{\"a\": null}' END, \
    CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN 'null'::jsonb ELSE '[1]' END, '[0:1][2:3]={{1,2},{3,4}}', '{t,f}' \
    FROM generate_series(1, 10) i";
const SUM: &str =
    "SELECT count(*) || coalesce(md5(string_agg(m::text, ',' ORDER BY id)), '') FROM many m";

#[tokio::test]
async fn copy_example() {
    if !available() {
        return;
    }
    let program = std::path::PathBuf::from(crate::tail::TAIL).with_file_name("examples/copy");
    if !program.exists() {
        eprintln!("skipped: the example is not built");
        return;
    }
    let mut source = crate::live::Database::without_slot("copied").await;
    let mut target = crate::live::Database::without_slot("copy").await;
    for db in [&mut source, &mut target] {
        db.run(MANY).await;
    }
    source.run(ROWS).await;
    let mut child = tokio::process::Command::new(program)
        .args([format!("dbname={}", source.name), format!("dbname={}", target.name)])
        .args([&source.name, "public.many", "load"])
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let wanted = source.one(SUM).await;
    eventually!(target.one(SUM).await == wanted);
    source.run(ROWS).await;
    source.run("UPDATE many SET n = n + 1, j = NULL, b = 'null' WHERE id % 2 = 0").await;
    source
        .run("UPDATE many SET j = 'null', b = NULL, boxes = boxes || boxes WHERE id % 5 = 0")
        .await;
    source.run("DELETE FROM many WHERE id = 7; UPDATE many SET id = DEFAULT WHERE id = 8").await;
    let wanted = source.one(SUM).await;
    eventually!(target.one(SUM).await == wanted);
    for ddl in [
        "ALTER TABLE many ADD extra int DEFAULT 5",
        "ALTER TABLE many RENAME boxes TO crates; UPDATE many SET extra = 6 WHERE id % 3 = 0",
        "ALTER TABLE many ALTER extra TYPE text USING 'x' || extra; UPDATE many SET extra = 'y' WHERE id = 5",
        "ALTER TABLE many DROP extra, ADD other text; DELETE FROM many WHERE id = 9",
        "DROP TABLE many; CREATE TABLE many (id int PRIMARY KEY, t text); INSERT INTO many VALUES (1, 'anew')",
        "ALTER TABLE many DROP CONSTRAINT many_pkey, ADD PRIMARY KEY (id, t); UPDATE many SET t = 'key'",
    ] {
        source.run(ddl).await;
        let wanted = source.one(SUM).await;
        eventually!(target.sql.query(SUM).await.is_ok_and(|rows| rows[0][0].as_ref() == Some(&wanted)));
    }
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    child.kill().await.unwrap();
    for db in [source, target] {
        db.drop().await;
    }
}

#[tokio::test]
async fn load_progress() {
    if !available() {
        return;
    }
    let (log, _guard) = crate::log::Log::start(tracing::Level::INFO);
    let mut db = tables("progress").await;
    db.run("INSERT INTO orders SELECT generate_series(1, 5000); ANALYZE orders").await;
    let seen = Arc::new(Seen::default());
    let config = db.config().metrics(seen.clone());
    let mut sql = db.another().await;
    let mut load = pgcdc::Loader::plan_for(&config, &mut sql, "public.orders", 1000).await.unwrap();
    let mut joiner = pgcdc::Joiner::new(pgcdc::Applier::new(pgcdc::MemoryState::default()));
    while load.read_next(&mut sql, &mut joiner).await.unwrap() {}
    assert_eq!(load.rows(), (5000, 5000));
    assert_eq!(seen.counters.lock().unwrap()["cdc_load_rows_total "], 5000);
    assert_eq!(seen.gauges.lock().unwrap()["cdc_load_rows_expected"], 5000.0);
    let lines = log.with("initial load");
    assert_eq!(lines.len(), load.chunks().0);
    let last = lines.last().unwrap();
    for part in ["rows=5000", "expected=5000", "rows_per_second=", "public.orders"] {
        assert!(last.contains(part), "{last}");
    }
    sql.close().await;
    db.drop().await;
}
