//! The stream by `cdc.fetch()`, as a role without REPLICATION and without SELECT.

mod common;
#[path = "common/live.rs"]
mod live;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use live::{available, lines, next, resumed, Between, Database};
use pgcdc::metrics::{Counter, Gauge, Metrics};
use pgcdc::{
    Checkpoint, CheckpointStore, Connection, Error, Limits, Lsn, Redaction, Refusal, Transport,
};

/// A table, and a slot of the database's name that is bound to its reader.
async fn orders(test: &str) -> Database {
    let mut db = Database::without_slot(test).await;
    db.run("CREATE TABLE orders (id int PRIMARY KEY, customer text, secret text)").await;
    db.bind_slot(&["orders"]).await;
    db
}

async fn sleep(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

/// Waits for something that must come within a time.
macro_rules! eventually {
    ($condition:expr) => {
        let until = Instant::now() + Duration::from_secs(10);
        while !$condition {
            assert!(Instant::now() < until, stringify!($condition));
            sleep(20).await;
        }
    };
}

#[tokio::test]
async fn delivers_acknowledges_and_resumes() {
    if !available() {
        return;
    }
    let mut db = orders("f_resume").await;
    let mut config = db.reader().checkpoint(db.checkpoint());
    config.fetch_wait = Duration::from_secs(60);
    config.feedback_interval = Duration::from_secs(60);
    // what the role may not do
    let mut reader = Connection::connect(&config.connect, &Limits::DEFAULT).await.unwrap();
    assert!(reader.query("SELECT * FROM orders").await.is_err());
    reader.close().await;
    let replication = Connection::connect_replication(&config.connect, &Limits::DEFAULT).await;
    assert!(replication.is_err());

    let mut stream = config.clone().start().await.unwrap();
    sleep(200).await;
    let began = Instant::now();
    db.run("INSERT INTO orders VALUES (1, 'ada')").await;
    let one = next(&mut stream).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "a call that waits is woken");
    assert!(lines(&one)[0].contains(r#""new":{"customer":"ada"}"#), "{:?}", lines(&one));
    db.run("INSERT INTO orders VALUES (2, 'bob')").await;
    let two = next(&mut stream).await.unwrap();
    stream.ack(&one);
    let began = Instant::now();
    stream.close().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "the call that waits is cancelled");
    let (stream, _) = resumed(&mut db, &config, &one, &two).await;
    // without a word, too
    drop(stream);
    eventually!(!db.is_active().await);
    db.drop().await;
}

#[tokio::test]
async fn redacted_and_withheld_columns() {
    if !available() {
        return;
    }
    let mut db = Database::without_slot("f_redact").await;
    db.run("CREATE TABLE orders (id int PRIMARY KEY, customer text, secret text, mail text)").await;
    db.run("CREATE TABLE hidden (id int PRIMARY KEY, secret text)").await;
    db.run("SELECT cdc.redact('orders', 'mail', 'constant', value => 'none')").await;
    db.bind_slot(&[]).await;
    let role = db.role();
    db.run(&format!(
        "SELECT cdc.grant_read('orders', '{role}', columns => '{{id,customer,mail}}')"
    ))
    .await;
    let mut stream = db.reader().start().await.unwrap();
    db.run("INSERT INTO hidden VALUES (1, 'canary')").await;
    db.run("INSERT INTO orders VALUES (1, 'ada', 'canary', 'canary@example.org')").await;
    let delivery = loop {
        let delivery = next(&mut stream).await.unwrap();
        assert!(!delivery.bytes().windows(6).any(|bytes| bytes == b"canary"));
        if delivery.changes().any(|c| c.unwrap().table().unwrap().name == "orders") {
            break delivery;
        }
    };
    let change = delivery.changes().next().unwrap().unwrap();
    let table = change.table().unwrap();
    let column = |name: &str| table.columns.iter().find(|c| c.name == name).unwrap();
    assert_eq!(column("customer").redaction, Redaction::Unspecified);
    assert_eq!(column("mail").redaction, Redaction::Constant);
    assert_eq!(column("secret").redaction, Redaction::Withheld);
    let values: Vec<_> = change.new.values(table).map(Result::unwrap).collect();
    let texts: Vec<_> = values.iter().map(|(c, v)| (c.name.as_str(), v.to_string())).collect();
    assert_eq!(texts, [("customer", "ada".into()), ("mail", "none".to_owned())]);
    assert_eq!(change.nulls().count(), 0, "withheld is not NULL");
    stream.close().await.unwrap();
    db.drop().await;
}

#[tokio::test]
async fn idle_database_does_not_retain_wal() {
    if !available() {
        return;
    }
    let mut db = orders("f_idle").await;
    let mut config = db.reader().checkpoint(db.checkpoint());
    config.feedback_interval = Duration::from_millis(200);
    let stream = config.start().await.unwrap();
    let mut elsewhere = db.another().await;
    elsewhere.query("CREATE TABLE noise AS SELECT generate_series(1, 10000)").await.unwrap();
    let wanted: Lsn = db.one("SELECT pg_current_wal_lsn()").await.parse().unwrap();
    // nobody takes part: no delivery has to be acknowledged
    eventually!(db.confirmed().await >= wanted);
    let checkpoint = db.checkpoint().load().await.unwrap().unwrap();
    assert!(checkpoint.end_lsn >= db.confirmed().await, "stored as well, and before");
    stream.close().await.unwrap();
    db.drop().await;
}

#[derive(Default)]
struct Counts {
    reconnects: AtomicU64,
    buffered: AtomicU64,
}

impl Metrics for Counts {
    fn add(&self, counter: Counter, n: u64) {
        if let Counter::Reconnects(_) = counter {
            self.reconnects.fetch_add(n, Ordering::Relaxed);
        }
    }
    fn set(&self, gauge: Gauge, value: f64) {
        if gauge == Gauge::BufferedBytes {
            self.buffered.fetch_max(value as u64, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn slow_consumer_is_not_asked_to_buffer() {
    if !available() {
        return;
    }
    let mut db = orders("f_slow").await;
    let counts = Arc::new(Counts::default());
    let mut config = db.reader().metrics(counts.clone());
    config.buffer_bytes = 1 << 17;
    let mut stream = config.start().await.unwrap();
    // one that is larger than all buffers, and many that are not
    db.run("INSERT INTO orders SELECT i, repeat('x', 1000) FROM generate_series(1, 5000) i").await;
    for i in 0..20 {
        db.run(&format!(
            "INSERT INTO orders SELECT i, repeat('x', 1000) FROM generate_series({i}00000, {i}00010) i WHERE i > 5000"
        ))
        .await;
    }
    sleep(1500).await;
    let (mut rows, mut transactions) = (0, 0);
    while rows < 5000 + 19 * 11 {
        let delivery = next(&mut stream).await.unwrap();
        rows += delivery.changes().map(Result::unwrap).count();
        transactions += usize::from(delivery.is_end());
        stream.ack(&delivery);
        if transactions % 5 == 1 {
            sleep(50).await;
        }
    }
    assert_eq!((rows, transactions), (5000 + 19 * 11, 20));
    // a batch is 64 kB, and one more than fits is accepted
    assert!(counts.buffered.load(Ordering::Relaxed) < (1 << 17) + 2 * (1 << 16), "bounded");
    assert_eq!(counts.reconnects.load(Ordering::Relaxed), 0);
    stream.close().await.unwrap();
    db.drop().await;
}

#[tokio::test]
async fn acknowledgement_is_contiguous() {
    if !available() {
        return;
    }
    let mut db = orders("f_contiguous").await;
    let mut config = db.reader().checkpoint(db.checkpoint());
    config.feedback_interval = Duration::from_millis(100);
    let mut stream = config.start().await.unwrap();
    let mut deliveries = Vec::new();
    for i in 0..3 {
        db.run(&format!("INSERT INTO orders VALUES ({i})")).await;
        deliveries.push(next(&mut stream).await.unwrap());
    }
    let ends: Vec<_> = deliveries.iter().map(|d| d.batch().unwrap().end_lsn).collect();
    stream.ack(&deliveries[2]);
    stream.ack(&deliveries[1]);
    sleep(500).await;
    assert!(db.confirmed().await < ends[0], "not ahead of the first one");
    stream.ack(&deliveries[0]);
    eventually!(db.confirmed().await >= ends[2]);
    stream.close().await.unwrap();
    db.drop().await;
}

#[tokio::test]
async fn reconnects_without_repeating() {
    if !available() {
        return;
    }
    let mut db = orders("f_reconnect").await;
    let counts = Arc::new(Counts::default());
    let config = db.reader().checkpoint(db.checkpoint()).metrics(counts.clone());
    let mut stream = config.start().await.unwrap();
    let mut held = Vec::new();
    for i in 0..10 {
        db.run(&format!("INSERT INTO orders VALUES ({i})")).await;
        let delivery = next(&mut stream).await.unwrap();
        assert!(lines(&delivery)[0].contains(&format!("\"id\":{i}}}")), "{:?}", lines(&delivery));
        held.push(delivery);
        if i % 3 == 1 {
            eventually!(db.is_active().await);
            db.kill_walsender().await;
        }
    }
    assert!(counts.reconnects.load(Ordering::Relaxed) >= 3);
    for delivery in &held {
        stream.ack(delivery);
    }
    stream.close().await.unwrap();
    let saved = db.checkpoint().load().await.unwrap().unwrap();
    assert!(saved.end_lsn >= held[9].batch().unwrap().end_lsn);
    assert_eq!(db.confirmed().await, saved.end_lsn);
    db.drop().await;
}

#[tokio::test]
async fn a_server_that_is_gone_without_a_word_is_noticed() {
    if !available() {
        return;
    }
    let mut db = orders("f_gone").await;
    let between = Between::new(&db, db.reader().connect);
    let counts = Arc::new(Counts::default());
    let mut config = db.reader().metrics(counts.clone());
    config.connect = between.config.clone();
    config.fetch_wait = Duration::from_millis(300);
    config.connect.options = Some("-c wal_sender_timeout=1s".into());
    // what else the client is busy with does not count
    config.feedback_interval = Duration::from_millis(300);
    let mut stream = config.start().await.unwrap();
    for i in 0..2 {
        db.run(&format!("INSERT INTO orders VALUES ({i})")).await;
        let delivery = next(&mut stream).await.unwrap();
        assert!(lines(&delivery)[0].contains(&format!("\"id\":{i}}}")));
        stream.ack(&delivery);
        sleep(2000).await;
        assert_eq!(counts.reconnects.load(Ordering::Relaxed), i, "it answers in time");
        between.forget.send(()).unwrap();
        eventually!(counts.reconnects.load(Ordering::Relaxed) == i + 1);
    }
    // it may just be connecting
    let _ = stream.close().await;
    db.drop().await;
}

#[tokio::test]
async fn a_slot_in_use_is_waited_for() {
    if !available() {
        return;
    }
    let mut db = orders("f_busy").await;
    let mut other = Connection::connect(&db.reader().connect, &Limits::DEFAULT).await.unwrap();
    let sql = format!("SELECT count(*) FROM cdc.fetch('{}', timeout => '3 s')", db.name);
    // as a client leaves it that was killed
    let waiting = tokio::spawn(async move {
        other.query(&sql).await.unwrap();
        other.close().await;
    });
    eventually!(db.is_active().await);
    let mut config = db.reader();
    config.max_backoff = Duration::from_millis(200);
    let mut stream = config.start().await.unwrap();
    waiting.await.unwrap();
    db.run("INSERT INTO orders VALUES (1, 'ada')").await;
    assert!(lines(&next(&mut stream).await.unwrap())[0].contains("ada"));
    stream.close().await.unwrap();
    db.drop().await;
}

#[tokio::test]
async fn unsafe_starts_are_refused() {
    if !available() {
        return;
    }
    let mut db = orders("f_refuse").await;
    let store = db.checkpoint();
    db.reader().checkpoint(db.checkpoint()).start().await.unwrap().close().await.unwrap();
    let good = store.load().await.unwrap().unwrap();
    // the same as by the other transport
    let identified = db.config().start().await;
    assert!(identified.is_ok(), "{identified:?}");
    drop(identified);
    eventually!(!db.is_active().await);
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
        (with(|c| c.end_lsn = Lsn(c.end_lsn.0 - 1)), "SlotAhead"),
    ] {
        store.save(&checkpoint).await.unwrap();
        let error = db.reader().checkpoint(db.checkpoint()).start().await.unwrap_err();
        let Error::Refused(refusal) = error else { panic!("{error} for {wanted}") };
        assert!(format!("{refusal:?}").starts_with(wanted), "{refusal:?} for {wanted}");
        assert_eq!(store.load().await.unwrap().unwrap(), checkpoint, "left as it is");
    }
    store.save(&good).await.unwrap();
    // what the server refuses is known at once, and final
    for (name, value, wanted) in
        [("nonsense", "1", "22023"), ("streaming", "on", "22023"), ("tables", "*.*", "42501")]
    {
        let error = db.reader().option(name, value).start().await.unwrap_err();
        let Error::Server(error) = error else { panic!("{error}") };
        assert_eq!(error.code, wanted, "{error}");
        assert!(error.is_permanent());
    }
    let mut config = db.reader();
    config.slot = "nobody".into();
    let error = config.start().await.unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::NoSlot(_))), "{error}");
    let error = db.reader().create_slot().start().await.unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error}");
    // another role's slot
    let name = db.name.clone();
    db.run(&format!("SELECT cdc.alter_slot('{name}', reader => 'postgres')")).await;
    let error = db.reader().start().await.unwrap_err();
    assert!(matches!(&error, Error::Server(e) if e.code == "42501"), "{error}");
    // a superuser needs no slot that is bound
    db.config().transport(Transport::Fetch).start().await.unwrap().close().await.unwrap();
    db.drop().await;
}
