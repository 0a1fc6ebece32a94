//! Streams from a server: what peers get wrong, these must not.

mod common;
#[path = "common/live.rs"]
mod live;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use live::{available, lines, next, next_rows, resumed, Database};
use pgcdc::metrics::{Counter, Gauge, Metrics};
use pgcdc::{Checkpoint, CheckpointStore, Error, Lsn, Op, Policy, Refusal};

async fn sleep(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

async fn orders(test: &str) -> Database {
    let mut db = Database::without_slot(test).await;
    db.run("CREATE TABLE orders (id int PRIMARY KEY, customer text)").await;
    let name = db.name.clone();
    db.run(&format!("SELECT pg_create_logical_replication_slot('{name}', 'cdc')")).await;
    db
}

#[tokio::test]
async fn delivers_acknowledges_and_resumes() {
    if !available() {
        return;
    }
    let mut db = orders("resume").await;
    db.run("INSERT INTO orders VALUES (1, 'ada')").await;
    db.run("INSERT INTO orders VALUES (2, 'bob')").await;
    let config = db.config().checkpoint(db.checkpoint());
    let mut stream = config.clone().start().await.unwrap();
    let one = next(&mut stream).await.unwrap();
    assert!(lines(&one)[0].contains(r#""new":{"customer":"ada"}"#), "{:?}", lines(&one));
    let two = next(&mut stream).await.unwrap();
    assert!(lines(&two)[0].contains("bob"));
    stream.ack(&one);
    stream.close().await.unwrap();
    let (stream, _) = resumed(&mut db, &config, &one, &two).await;
    stream.close().await.unwrap();
    db.drop().await;
}

#[tokio::test]
async fn acknowledgement_is_contiguous() {
    if !available() {
        return;
    }
    let mut db = orders("contiguous").await;
    for i in 0..3 {
        db.run(&format!("INSERT INTO orders VALUES ({i})")).await;
    }
    let mut stream = db.config().start().await.unwrap();
    let mut deliveries = Vec::new();
    for _ in 0..3 {
        deliveries.push(next(&mut stream).await.unwrap());
    }
    stream.ack(&deliveries[2]);
    stream.acker().ack(&deliveries[1]);
    let before = stream.acknowledged();
    assert!(before < deliveries[0].batch().unwrap().end_lsn);
    drop(stream);
    sleep(200).await;
    assert_eq!(db.confirmed().await, before, "not ahead of the first one");
    db.drop().await;
}

/// What a store was given, and when the server knew.
struct Slow {
    saved: std::sync::Mutex<Option<Checkpoint>>,
    delay: Duration,
}

impl CheckpointStore for Slow {
    fn load(&self) -> pgcdc::BoxFuture<'_, Result<Option<Checkpoint>, Error>> {
        Box::pin(async { Ok(self.saved.lock().unwrap().clone()) })
    }
    fn save<'a>(&'a self, c: &'a Checkpoint) -> pgcdc::BoxFuture<'a, Result<(), Error>> {
        Box::pin(async {
            tokio::time::sleep(self.delay).await;
            *self.saved.lock().unwrap() = Some(c.clone());
            Ok(())
        })
    }
}

#[tokio::test]
async fn durable_before_it_is_reported() {
    if !available() {
        return;
    }
    let mut db = orders("durable").await;
    let store = Arc::new(Slow { saved: None.into(), delay: Duration::from_millis(400) });
    let mut config = db.config();
    config.checkpoint = Some(store.clone());
    config.feedback_interval = Duration::from_millis(50);
    let mut stream = config.start().await.unwrap();
    let mut last = Lsn::ZERO;
    for i in 0..8 {
        db.run(&format!("INSERT INTO orders VALUES ({i})")).await;
        let delivery = next(&mut stream).await.unwrap();
        stream.ack(&delivery);
        sleep(100).await;
        // the server first: what it knows must have been stored by then
        let confirmed = db.confirmed().await;
        let saved = store.saved.lock().unwrap().clone().unwrap();
        assert!(confirmed <= saved.end_lsn, "{confirmed} reported, {} stored", saved.end_lsn);
        assert!(confirmed >= last, "never down");
        last = confirmed;
    }
    stream.close().await.unwrap();
    assert_eq!(db.confirmed().await, store.saved.lock().unwrap().clone().unwrap().end_lsn);
    db.drop().await;
}

/// A store that fails from its second save on.
struct Full(AtomicU64);

impl CheckpointStore for Full {
    fn load(&self) -> pgcdc::BoxFuture<'_, Result<Option<Checkpoint>, Error>> {
        Box::pin(async { Ok(None) })
    }
    fn save<'a>(&'a self, _: &'a Checkpoint) -> pgcdc::BoxFuture<'a, Result<(), Error>> {
        Box::pin(async {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => Ok(()),
                _ => Err(Error::Io(std::io::ErrorKind::StorageFull.into())),
            }
        })
    }
}

#[tokio::test]
async fn what_can_not_be_stored_is_not_reported() {
    if !available() {
        return;
    }
    let mut db = orders("full").await;
    let mut config = db.config().checkpoint(Full(AtomicU64::new(0)));
    config.store_timeout = Duration::from_millis(50);
    let mut stream = config.start().await.unwrap();
    let before = db.confirmed().await;
    db.run("INSERT INTO orders VALUES (1)").await;
    let delivery = next(&mut stream).await.unwrap();
    stream.ack(&delivery);
    let error = next(&mut stream).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error}");
    assert_eq!(db.confirmed().await, before);
    db.drop().await;
}

#[tokio::test]
async fn two_consumers_do_not_share_a_slot() {
    if !available() {
        return;
    }
    let db = orders("share").await;
    let stream = db.config().start().await.unwrap();
    let error = db.config().start().await.unwrap_err();
    assert!(matches!(&error, Error::Server(e) if e.code == "55006"), "{error}");
    assert!(error.is_transient(), "the other one may be about to end");
    stream.close().await.unwrap();
    db.drop().await;
}

#[tokio::test]
async fn traces_and_metadata() {
    if !available() {
        return;
    }
    let mut db = orders("trace").await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    db.run(&format!(
        "BEGIN; SELECT cdc.set_traceparent('{trace}'); INSERT INTO orders VALUES (1); COMMIT"
    ))
    .await;
    let mut stream = db.config().start().await.unwrap();
    let delivery = next(&mut stream).await.unwrap();
    let batch = delivery.batch().unwrap();
    let parent = pgcdc::TraceParent::of(&batch.transaction.unwrap()).unwrap();
    assert_eq!(format!("{:032x}", parent.trace_id), trace[3..35]);
    stream.close().await.unwrap();
    db.drop().await;
}

#[tokio::test]
async fn idle_database_does_not_retain_wal() {
    if !available() {
        return;
    }
    let mut db = orders("idle").await;
    let mut config = db.config().checkpoint(db.checkpoint()).option("tables", "public.orders");
    config.feedback_interval = Duration::from_millis(100);
    config.connect.options = Some("-c wal_sender_timeout=2s".into());
    let mut stream = config.start().await.unwrap();
    let waiting = tokio::spawn(async move {
        let delivery = stream.next_batch().await;
        (stream, delivery.is_some())
    });
    let mut elsewhere = db.another().await;
    elsewhere.query("CREATE TABLE noise AS SELECT generate_series(1, 10000)").await.unwrap();
    let wanted: Lsn = db.one("SELECT pg_current_wal_lsn()").await.parse().unwrap();
    let mut reached = false;
    for _ in 0..100 {
        sleep(100).await;
        reached = db.confirmed().await >= wanted;
        if reached {
            break;
        }
    }
    assert!(reached, "{} is not {wanted}", db.confirmed().await);
    let checkpoint = db.checkpoint().load().await.unwrap().unwrap();
    assert!(checkpoint.end_lsn >= db.confirmed().await, "stored as well");
    waiting.abort();
    db.drop().await;
}

#[tokio::test]
async fn slow_consumer_does_not_time_out() {
    if !available() {
        return;
    }
    let mut db = orders("slow").await;
    let mut config = db.config();
    config.connect.options = Some("-c wal_sender_timeout=4s".into());
    config.buffer_bytes = 1 << 16;
    let reconnects = Arc::new(Counts::default());
    config.metrics = reconnects.clone();
    let mut stream = config.start().await.unwrap();
    // far more than fits into the buffers of the client and of the sockets
    db.run("INSERT INTO orders SELECT i, repeat('x', 1000) FROM generate_series(1, 20000) i").await;
    sleep(6000).await;
    assert!(reconnects.buffered.load(Ordering::Relaxed) < (1 << 16) + (1 << 17), "bounded");
    let mut rows = 0;
    loop {
        let delivery = next(&mut stream).await.unwrap();
        rows += delivery.changes().map(Result::unwrap).count();
        if delivery.is_end() {
            break;
        }
    }
    assert_eq!(rows, 20_000);
    assert_eq!(reconnects.reconnects.load(Ordering::Relaxed), 0);
    assert_eq!(reconnects.events.load(Ordering::Relaxed), 20_000);
    stream.close().await.unwrap();
    db.drop().await;
}

#[derive(Default)]
struct Counts {
    reconnects: AtomicU64,
    events: AtomicU64,
    letters: AtomicU64,
    buffered: AtomicU64,
}

impl Metrics for Counts {
    fn add(&self, counter: Counter, n: u64) {
        match counter {
            Counter::Reconnects(_) => &self.reconnects,
            Counter::Events(Op::Insert) => &self.events,
            Counter::DeadLetters(_) => &self.letters,
            _ => return,
        }
        .fetch_add(n, Ordering::Relaxed);
    }
    fn set(&self, gauge: Gauge, value: f64) {
        if gauge == Gauge::BufferedBytes {
            self.buffered.fetch_max(value as u64, Ordering::Relaxed);
        }
    }
}

/// The last value of a gauge.
#[derive(Default)]
struct Lag(AtomicU64);

impl Metrics for Lag {
    fn add(&self, _: Counter, _: u64) {}
    fn set(&self, gauge: Gauge, value: f64) {
        if gauge == Gauge::LagSeconds {
            self.0.store(value.to_bits(), Ordering::Relaxed);
        }
    }
}

impl Lag {
    fn now(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn lag_is_that_of_the_oldest_that_is_not_acknowledged() {
    if !available() {
        return;
    }
    let mut db = orders("lag").await;
    let lag = Arc::new(Lag::default());
    let mut config = db.config().metrics(lag.clone());
    config.feedback_interval = Duration::from_millis(50);
    config.connect.options = Some("-c wal_sender_timeout=1s".into());
    let mut stream = config.start().await.unwrap();
    let mut held = Vec::new();
    for i in 0..2 {
        db.run(&format!("INSERT INTO orders VALUES ({i})")).await;
        held.push(next(&mut stream).await.unwrap());
        sleep(700).await;
    }
    stream.ack(&held[1]);
    sleep(800).await;
    let first = lag.now();
    assert!((2.0..6.0).contains(&first), "{first}");
    stream.ack(&held[0]);
    // the server says now and then that there is nothing more
    for _ in 0..100 {
        sleep(50).await;
        if lag.now() == 0.0 {
            break;
        }
    }
    assert_eq!(lag.now(), 0.0);
    stream.close().await.unwrap();
    db.drop().await;
}

#[tokio::test]
async fn reconnects_without_repeating() {
    if !available() {
        return;
    }
    let mut db = orders("reconnect").await;
    let counts = Arc::new(Counts::default());
    let mut stream =
        db.config().checkpoint(db.checkpoint()).metrics(counts.clone()).start().await.unwrap();
    let mut held = Vec::new();
    for i in 0..10 {
        db.run(&format!("INSERT INTO orders VALUES ({i})")).await;
        let delivery = next(&mut stream).await.unwrap();
        assert!(lines(&delivery)[0].contains(&format!("\"id\":{i}}}")), "{:?}", lines(&delivery));
        held.push(delivery);
        if i % 3 == 0 {
            db.kill_walsender().await;
        }
    }
    assert!(counts.reconnects.load(Ordering::Relaxed) >= 3);
    for delivery in &held {
        stream.ack(delivery);
    }
    stream.close().await.unwrap();
    let saved = db.checkpoint().load().await.unwrap().unwrap();
    assert_eq!(saved.end_lsn, held[9].batch().unwrap().end_lsn);
    db.drop().await;
}

#[tokio::test]
async fn unsafe_starts_are_refused() {
    if !available() {
        return;
    }
    let mut db = orders("refuse").await;
    let store = db.checkpoint();
    let start = || async {
        let result = db.config().checkpoint(db.checkpoint()).start().await;
        match result {
            Ok(stream) => {
                stream.close().await.unwrap();
                None
            }
            Err(Error::Refused(refusal)) => Some(refusal),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(start().await, None);
    let good = store.load().await.unwrap().unwrap();
    let with = |f: fn(&mut Checkpoint)| {
        let mut checkpoint = good.clone();
        f(&mut checkpoint);
        checkpoint
    };
    for (checkpoint, wanted) in [
        (with(|c| c.system_identifier += 1), "OtherSystem"),
        (with(|c| c.timeline = 9), "OtherTimeline"),
        (with(|c| c.end_lsn = Lsn(u64::MAX)), "BeyondWal"),
        (with(|c| c.database = "other".into()), "RenamedDatabase"),
        (with(|c| c.slot = "other".into()), "OtherSlot"),
        (with(|c| c.end_lsn = Lsn(c.end_lsn.0 - 1)), "SlotAhead"),
    ] {
        store.save(&checkpoint).await.unwrap();
        let refusal = start().await.expect(wanted);
        assert!(format!("{refusal:?}").starts_with(wanted), "{refusal:?} for {wanted}");
        assert_eq!(store.load().await.unwrap().unwrap(), checkpoint, "left as it is");
    }
    // after pg_upgrade: told to go on
    store.save(&with(|c| c.system_identifier += 1)).await.unwrap();
    let mut config = db.config().checkpoint(db.checkpoint());
    config.accept_system = true;
    config.start().await.unwrap().close().await.unwrap();
    assert_eq!(store.load().await.unwrap().unwrap().system_identifier, good.system_identifier);

    let name = db.name.clone();
    db.run(&format!("SELECT pg_create_logical_replication_slot('{name}_t', 'test_decoding')"))
        .await;
    let mut config = db.config();
    config.slot = format!("{name}_t");
    let error = config.clone().start().await.unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::OtherPlugin(_))), "{error}");
    config.slot = "nobody".into();
    let error = config.start().await.unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::NoSlot(_))), "{error}");
    let error = db.config().option("nonsense", "1").start().await.unwrap_err();
    assert!(matches!(&error, Error::Server(e) if e.code == "22023"), "{error}");
    db.drop().await;
}

#[tokio::test]
async fn slot_that_moved_away_is_noticed() {
    if !available() {
        return;
    }
    let mut db = orders("moved").await;
    let config = db.config().checkpoint(db.checkpoint());
    config.clone().start().await.unwrap().close().await.unwrap();
    db.run("INSERT INTO orders VALUES (1)").await;
    let name = db.name.clone();
    db.run(&format!("SELECT pg_replication_slot_advance('{name}', pg_current_wal_lsn())")).await;
    let error = config.start().await.unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::SlotAhead { .. })), "{error}");
    db.drop().await;
}

#[tokio::test]
async fn creates_slots() {
    if !available() {
        return;
    }
    let mut db = Database::without_slot("create").await;
    let config = db.config().create_slot().checkpoint(db.checkpoint());
    config.clone().start().await.unwrap().close().await.unwrap();
    let name = db.name.clone();
    let exists = format!("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{name}'");
    assert_eq!(db.one(&exists).await, "1");
    // a slot that was dropped under a checkpoint is not made again: what lies
    // between would be lost
    db.run(&format!("SELECT pg_drop_replication_slot('{name}')")).await;
    let error = config.start().await.unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::SlotGone(_))), "{error}");
    db.drop().await;
}

#[tokio::test]
async fn slots_with_a_snapshot() {
    if !available() {
        return;
    }
    let mut db = Database::without_slot("snapshot").await;
    db.run("CREATE TABLE orders (id int PRIMARY KEY, customer text)").await;
    db.run("INSERT INTO orders VALUES (1, 'before')").await;
    let config = db.config().checkpoint(db.checkpoint());
    let snapshot = config.create_slot_with_snapshot().await.unwrap();
    assert_eq!(db.confirmed().await, snapshot.consistent_point());
    db.run("INSERT INTO orders VALUES (2, 'after')").await;
    let mut copier = db.another().await;
    let ids = "SELECT string_agg(id::text, ',' ORDER BY id) FROM orders";
    snapshot.begin(&mut copier).await.unwrap();
    assert_eq!(copier.query(ids).await.unwrap()[0][0].as_deref(), Some("1"));
    // a second one, and both go on when the snapshot is given up
    let mut other = db.another().await;
    snapshot.begin(&mut other).await.unwrap();
    let name = snapshot.name().to_owned();
    snapshot.close().await;
    for connection in [&mut copier, &mut other] {
        assert_eq!(connection.query(ids).await.unwrap()[0][0].as_deref(), Some("1"));
        connection.query("COMMIT").await.unwrap();
    }
    assert_eq!(db.one(ids).await, "1,2");
    let adopt = format!("SET TRANSACTION SNAPSHOT '{name}'");
    copier.query("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    assert!(copier.query(&adopt).await.is_err(), "it is gone");
    // the rest comes by the slot
    let mut stream = config.clone().start().await.unwrap();
    let delivery = next(&mut stream).await.unwrap();
    assert!(lines(&delivery)[0].contains("after"), "{:?}", lines(&delivery));
    stream.close().await.unwrap();
    let error = config.create_slot_with_snapshot().await.unwrap_err();
    assert!(matches!(&error, Error::Server(e) if e.code == "42710"), "{error}");
    db.drop().await;
}

#[tokio::test]
async fn failures_and_rejects_become_dead_letters() {
    if !available() {
        return;
    }
    let mut db = orders("letters").await;
    // the server cannot say whether row 4 passes
    db.run("CREATE PUBLICATION p FOR TABLE orders WHERE (1 / (id - 4) IS NOT NULL)").await;
    db.run("INSERT INTO orders VALUES (1, 'fine'), (2, 'bad'), (3, 'fine'), (4, 'failure')").await;
    let dir = db.dir.join("letters");
    std::fs::create_dir(&dir).unwrap();
    let sink = pgcdc::DeadLetterDir::new(&dir);
    let counts = Arc::new(Counts::default());
    let config = db.config().metrics(counts.clone()).option("publication_names", "p");
    let mut stream = config.clone().dead_letters(sink).start().await.unwrap();
    let delivery = next_rows(&mut stream).await.unwrap();
    let mut handled = 0;
    for change in delivery.changes() {
        let change = change.unwrap();
        let value = change.new.get(change.table().unwrap(), "customer").unwrap();
        if value.and_then(|v| v.as_str()) == Some("bad") {
            delivery.reject(&change, "cannot handle it").unwrap();
        } else {
            handled += 1;
        }
    }
    assert_eq!(handled, 2);
    assert_eq!(counts.letters.load(Ordering::Relaxed), 2);
    stream.close().await.unwrap();
    let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
    let mut letters = Vec::new();
    for entry in std::fs::read_dir(&dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = name.strip_suffix(".pb") else { continue };
        // what was cut out can be read alone
        let json = common::to_json(&read(&format!("{name}.pb"))).unwrap();
        let why = String::from_utf8(read(&format!("{name}.json"))).unwrap();
        assert_eq!(json.lines().count(), 1);
        letters.push((name.rsplit('-').nth(1).unwrap().to_owned(), why, json));
    }
    letters.sort();
    let [failure, rejected] = &letters[..] else { panic!("{letters:?}") };
    assert!(failure.0 == "failure" && failure.2.contains(r#""failure":{"sqlstate":"22012""#));
    assert!(rejected.0 == "handler" && rejected.1.contains(r#""error":"cannot handle it""#));
    assert!(rejected.2.contains(r#""key":{"id":2}"#));
    assert!(serde_json::from_str::<serde_json::Value>(&rejected.1).is_ok(), "{}", rejected.1);

    // the default is to stop
    let mut stream = config.start().await.unwrap();
    let delivery = next_rows(&mut stream).await.unwrap();
    let change = delivery.changes().next().unwrap().unwrap();
    assert!(delivery.reject(&change, "cannot").is_err());
    assert!(matches!(delivery.changes().last(), Some(Err(Error::Failure { .. }))));
    let mut config = db.config();
    config.on_damage = Policy::DeadLetter;
    assert!(matches!(config.start().await, Err(Error::Config(_))), "no sink");
    drop(stream);
    db.drop().await;
}

#[tokio::test]
async fn limits_hold() {
    if !available() {
        return;
    }
    let mut db = orders("limits").await;
    db.run("INSERT INTO orders VALUES (1, repeat('x', 300000))").await;
    let mut config = db.config();
    config.limits.max_batch_bytes = 100_000;
    let mut stream = config.start().await.unwrap();
    let error = next(&mut stream).await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    assert!(stream.next_batch().await.is_none());
    drop(stream);
    db.drop().await;
}

#[tokio::test]
async fn postgres_store() {
    if !available() {
        return;
    }
    let mut db = orders("store").await;
    let store = Arc::new(pgcdc::PostgresStore::new(db.connect(), &db.name));
    assert!(store.load().await.is_err(), "no table yet");
    store.create_table().await.unwrap();
    store.create_table().await.unwrap();
    assert_eq!(store.load().await.unwrap(), None);
    let mut config = db.config().option("tables", "public.orders");
    config.checkpoint = Some(store.clone());
    let mut stream = config.start().await.unwrap();
    db.run("INSERT INTO orders VALUES (1)").await;
    let delivery = next(&mut stream).await.unwrap();
    let first = store.load().await.unwrap().unwrap();
    // in the caller's own transaction
    let checkpoint = stream.checkpoint(&delivery);
    let batch = delivery.batch().unwrap();
    let position = batch.events().last().unwrap().unwrap().position;
    assert_eq!(checkpoint, Checkpoint { position, end_lsn: batch.end_lsn, ..first.clone() });
    let save = pgcdc::PostgresStore::save_sql(&checkpoint);
    db.run(&format!("BEGIN; {save}; ROLLBACK")).await;
    assert_eq!(store.load().await.unwrap().unwrap(), first);
    db.run(&format!("BEGIN; {save}; COMMIT")).await;
    assert_eq!(store.load().await.unwrap().unwrap(), checkpoint);
    store.save(&first).await.unwrap();
    assert_eq!(store.load().await.unwrap().unwrap(), checkpoint, "never down");
    // a connection that broke is made again
    db.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT system%' AND pid <> pg_backend_pid()").await;
    sleep(100).await;
    assert_eq!(store.load().await.unwrap().unwrap(), checkpoint);
    stream.ack(&delivery);
    stream.close().await.unwrap();
    assert!(db.confirmed().await >= checkpoint.end_lsn);
    db.drop().await;
}
