//! What a consumer expects of the versions of schemas, and what becomes of others.
#![cfg(feature = "test")]

mod common;
#[path = "common/live.rs"]
mod live;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use live::{available, lines, next_rows, Database};
use pgcdc::metrics::{Counter, Gauge, Metrics};
use pgcdc::test::{insert, things, Script};
use pgcdc::{
    pb, Applier, Assembler, Change, Connection, DeadLetter, DeadLetterSink, Delivery, Error,
    Joiner, Limits, Loader, MemoryState, Relation, Router, Schema, StreamConfig, VersionError,
    VersionPolicy,
};
use prost::Message;

/// The last batch with its schema in a version, or not in the one asked for.
fn versioned(script: Script, version: u32, unmapped: &str) -> Script {
    script.map_last(|batch| {
        let mut batch = pb::Batch::decode(batch).unwrap();
        for schema in &mut batch.schemas {
            (schema.version, schema.unmapped) = (version, unmapped.into());
        }
        batch.encode_to_vec()
    })
}

/// Two transactions in these versions, the second one of two events.
fn script(first: (u32, &str), second: (u32, &str)) -> Script {
    let script = versioned(Script::new().transaction(&[insert(1, "a")]), first.0, first.1);
    versioned(script.transaction(&[insert(2, "b"), insert(3, "c")]), second.0, second.1)
}

/// By relation.
#[derive(Default)]
struct Mismatches(Mutex<BTreeMap<String, u64>>);

impl Metrics for Mismatches {
    fn add(&self, counter: Counter, _: u64) {
        assert_ne!(counter, Counter::SchemaVersionMismatches, "it has a relation");
    }
    fn add_for(&self, counter: Counter, relation: &str, n: u64) {
        assert_eq!(counter.name(), "cdc_schema_version_mismatches_total");
        *self.0.lock().unwrap().entry(relation.into()).or_default() += n;
    }
    fn set(&self, _: Gauge, _: f64) {}
}

impl Mismatches {
    fn of_things(&self) -> Option<u64> {
        let all = self.0.lock().unwrap();
        assert!(all.keys().all(|relation| relation == "public.things"));
        all.get("public.things").copied()
    }
}

/// Deliveries until the end, and the error there.
async fn drain(script: Script, config: StreamConfig) -> (Vec<Delivery>, Option<Error>) {
    let mut stream = script.start_with(config);
    let mut deliveries = Vec::new();
    while let Some(next) = stream.next_batch().await {
        match next {
            Ok(delivery) => deliveries.push(delivery),
            Err(error) => return (deliveries, Some(error)),
        }
    }
    (deliveries, None)
}

fn expecting(version: u32) -> (StreamConfig, Arc<Mismatches>) {
    let counts = Arc::new(Mismatches::default());
    (Script::config().version("public.things", version).metrics(counts.clone()), counts)
}

#[tokio::test]
async fn what_is_expected_passes() {
    let (config, counts) = expecting(2);
    let (deliveries, error) = drain(script((2, ""), (2, "")), config).await;
    assert!(error.is_none() && deliveries.len() == 2);
    for change in deliveries[1].changes() {
        assert_eq!(change.unwrap().version(), 2);
    }
    assert_eq!(counts.of_things(), None);
    // nobody asked
    let (deliveries, error) = drain(script((1, ""), (9, "")), Script::config()).await;
    assert!(error.is_none() && deliveries.len() == 2);
    // of another relation
    let config = Script::config().version("public.others", 1);
    assert_eq!(drain(script((1, ""), (9, "")), config).await.0.len(), 2);
}

#[tokio::test]
async fn others_are_refused() {
    let things: Relation = "public.things".parse().unwrap();
    for (got, reason) in [(3, ""), (0, ""), (3, "name was retyped"), (2, "so it is")] {
        let (config, counts) = expecting(2);
        let (deliveries, error) = drain(script((2, ""), (got, reason)), config).await;
        assert_eq!(deliveries.len(), 1, "what came before it");
        let Some(Error::Version(mismatch)) = error else { panic!("{error:?}") };
        let (relation, reason) = (things.clone(), reason.to_owned());
        assert_eq!(mismatch, VersionError { relation, wanted: 2, got, reason });
        assert!(!Error::Version(mismatch).is_transient());
        assert_eq!(counts.of_things(), Some(1));
    }
    // it was asked for under another name
    let config = Script::config().version("public.formerly", 2);
    let error = drain(script((3, "why"), (3, "why")), config).await.1.unwrap();
    let text = "rows of public.things come in version 3, not in the one that was asked for: why";
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn others_pass_and_are_counted() {
    let (config, counts) = expecting(1);
    let config = config.on_version(VersionPolicy::Pass);
    let (deliveries, error) = drain(script((1, ""), (2, "")), config).await;
    assert!(error.is_none());
    let versions: Vec<_> =
        deliveries.iter().flat_map(Delivery::changes).map(|c| c.unwrap().version()).collect();
    assert_eq!(versions, [1, 2, 2]);
    assert_eq!(counts.of_things(), Some(2));
    // until it is in that version again
    let (config, counts) = expecting(1);
    let config = config.on_version(VersionPolicy::Pass);
    drain(script((2, ""), (1, "")), config).await;
    assert_eq!(counts.of_things(), Some(1));
}

/// `public.things` when its column was called title and had the number 5.
fn first_version() -> Arc<Schema> {
    let mut table = pb::Table::decode(&things().table[..]).unwrap();
    (table.columns[1].name, table.columns[1].number) = ("title".into(), 5);
    Arc::new(Schema::new(&table, 1).unwrap())
}

/// Of the second version the first one; refuses some.
fn converter() -> VersionPolicy {
    let first = first_version();
    VersionPolicy::convert(move |mismatch, schema, event| {
        assert_eq!((mismatch.wanted, mismatch.got, schema.version), (1, 2, 2));
        if event.new.ends_with(b"b") {
            return Err("no b".into());
        }
        // the tag of a string: field 2, now field 5
        event.new[0] = 5 << 3 | 2;
        Ok(first.clone())
    })
}

#[derive(Default)]
struct Letters(Mutex<Vec<String>>);

impl DeadLetterSink for Letters {
    fn put(&self, letter: &DeadLetter<'_>) -> io::Result<()> {
        self.0.lock().unwrap().push(format!("{}: {}", letter.reason, letter.error));
        assert!(common::to_json(&frame(letter.batch)).unwrap().contains("\"name\":\"b\""));
        Ok(())
    }
}

fn frame(batch: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encode_length_delimiter(batch.len(), &mut out).unwrap();
    out.extend_from_slice(batch);
    out
}

#[tokio::test]
async fn others_are_converted() {
    let letters = Arc::new(Letters::default());
    let (config, counts) = expecting(1);
    let config = config.on_version(converter()).dead_letters(letters.clone());
    let (deliveries, error) = drain(script((1, ""), (2, "")), config).await;
    assert!(error.is_none(), "{error:?}");
    assert!(lines(&deliveries[0])[0].contains(r#""new":{"name":"a"}"#), "as it was");
    assert_eq!(counts.of_things(), Some(2));
    assert_eq!(*letters.0.lock().unwrap(), ["version: no b"]);
    let found = lines(&deliveries[1]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains(r#""key":{"id":3},"new":{"title":"c"}"#), "{found:?}");
    let changes: Vec<_> = deliveries[1].changes().map(Result::unwrap).collect();
    assert_eq!(changes[0].version(), 1);
    assert_eq!(changes[0].schema.unwrap().fingerprint, first_version().fingerprint);
    // what is passed on can be read by whoever knows nothing of it
    let alone = common::to_json(&frame(deliveries[1].bytes())).unwrap();
    assert_eq!(alone.lines().collect::<Vec<_>>(), found);
    // and its events are as many as it says
    let transaction = Assembler::default().push(&deliveries[1].batch().unwrap()).unwrap();
    assert_eq!(transaction.unwrap().event_len(), 1);
    // by default what cannot be converted ends the stream
    let (config, _) = expecting(1);
    let error = drain(script((1, ""), (2, "")), config.on_version(converter())).await.1;
    assert_eq!(error.unwrap().to_string(), "no b");
}

/// Generated structs of two versions.
mod generated {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ThingsV1 {
        #[prost(sint32, optional, tag = "1")]
        pub id: Option<i32>,
        #[prost(string, optional, tag = "2")]
        pub title: Option<String>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ThingsV2 {
        #[prost(sint32, optional, tag = "1")]
        pub id: Option<i32>,
        #[prost(string, optional, tag = "2")]
        pub name: Option<String>,
        #[prost(string, optional, tag = "3")]
        pub note: Option<String>,
    }
}

#[tokio::test]
async fn rows_are_converted_by_a_function_between_structs() {
    use generated::{ThingsV1, ThingsV2};

    let mut table = pb::Table::decode(&things().table[..]).unwrap();
    table.columns[1].name = "title".into();
    let policy = || {
        let first = Schema::from_bytes(&table.encode_to_vec(), 1).unwrap();
        VersionPolicy::rows(2, first, |from: ThingsV2| ThingsV1 {
            id: from.id,
            title: from.name.map(|name| name.to_uppercase()),
        })
    };
    let mut update = insert(4, "d");
    update.op = pb::Op::Update as i32;
    (update.new, update.nulls) = (b"\x1a\x04note".to_vec(), vec![2, 3]);
    let events = [insert(3, "c"), update];
    let script = || versioned(Script::new().transaction(&events), 2, "");
    let (deliveries, error) = drain(script(), expecting(1).0.on_version(policy())).await;
    assert!(error.is_none(), "{error:?}");
    let found = lines(&deliveries[0]);
    assert!(found[0].contains(r#""key":{"id":3},"new":{"title":"C"}"#), "{found:?}");
    assert!(found[1].contains(r#""key":{"id":4},"new":{"title":null}"#), "{found:?}");
    // of a third version nobody knows
    let error = drain(versioned(script(), 3, ""), expecting(1).0.on_version(policy())).await.1;
    assert!(error.unwrap().to_string().contains("in version 3, not in version 1"));
}

/// A transaction in parts, of which one has what cannot be converted.
#[tokio::test]
async fn counts_of_what_is_converted() {
    let part = |part: u32, outcome: pb::Outcome, names: &'static [&'static str]| {
        move |batch: &[u8]| {
            let mut batch = pb::Batch::decode(batch).unwrap();
            let events: Vec<_> = (1..).zip(names).map(|(i, name)| insert(i, name)).collect();
            (batch.part, batch.outcome) = (part, outcome as i32);
            let last = outcome != pb::Outcome::Open;
            (batch.event_count, batch.end_lsn) = if last { (5, batch.end_lsn) } else { (0, 0) };
            batch.transaction.as_mut().unwrap().xid = 7;
            batch.schemas[0].version = 2;
            if part > 0 {
                batch.schemas.clear();
            }
            batch.events = events;
            batch.encode_to_vec()
        }
    };
    let mut script = Script::new();
    let parts = [
        (0, pb::Outcome::Open, &["a", "b"][..]),
        (1, pb::Outcome::Open, &["b", "c"]),
        (2, pb::Outcome::Open, &["c"]),
        (3, pb::Outcome::Committed, &[]),
    ];
    for (number, outcome, names) in parts {
        script = script.transaction(&[]).map_last(part(number, outcome, names));
    }
    let config = expecting(1).0.on_version(converter());
    let config = config.dead_letters(Arc::new(Letters::default()));
    let (deliveries, error) = drain(script, config).await;
    assert!(error.is_none(), "{error:?}");
    let mut assembler = Assembler::default();
    for delivery in &deliveries[..3] {
        assert!(assembler.push(&delivery.batch().unwrap()).unwrap().is_none());
    }
    let transaction = assembler.push(&deliveries[3].batch().unwrap()).unwrap().unwrap();
    assert_eq!(transaction.event_len(), 3);
}

#[tokio::test]
async fn settings_that_are_wrong() {
    for config in [
        Script::config().version("things", 1),
        Script::config().version("public.things", 0),
        Script::config().version("public.things", 1).option("versions", "public.things=1"),
    ] {
        assert!(matches!(config.start().await, Err(Error::Config(_))));
    }
}

#[tokio::test]
async fn routes() {
    let (deliveries, _) = drain(script((1, ""), (2, "")), Script::config()).await;
    // a schema that came in another version is the same one for deliveries of before
    let mut router = Router::new(|_: &Change<'_>| "other");
    router
        .route("public.things", 1, |change| {
            assert_eq!(change.schema.unwrap().versioned_name(), "public.things.v1");
            "first"
        })
        .unwrap();
    router.route("public.things", 2, |_| "second").unwrap();
    assert!(router.route("things", 2, |_| "").is_err());
    let mut route = |delivery: &Delivery| -> Vec<_> {
        delivery.changes().map(|change| router.dispatch(&change.unwrap())).collect()
    };
    assert_eq!(route(&deliveries[0]), ["first"]);
    assert_eq!(route(&deliveries[1]), ["second", "second"]);
    assert_eq!(route(&deliveries[0]), ["first"]);
    let (deliveries, _) = drain(script((7, ""), (0, "")), Script::config()).await;
    assert_eq!([route(&deliveries[0])[0], route(&deliveries[1])[1]], ["other", "other"]);
}

/// The registry's numbers come with the stream; a reader that registers is known there.
#[tokio::test]
async fn live_versions() {
    if !available() {
        return;
    }
    let mut db = Database::new("versions").await;
    db.run("CREATE TABLE orders (id int PRIMARY KEY, total int)").await;
    db.run("SELECT cdc.register('public.orders', 'full')").await;
    db.run("INSERT INTO orders VALUES (1, 10)").await;
    let fingerprint = db.one("SELECT cdc.fingerprint('orders')").await;
    let fingerprint = u64::from_str_radix(&fingerprint, 16).unwrap();
    assert_eq!(db.sql.register_reader("billing", "public.orders", 1).await.unwrap(), 1);
    assert_eq!(db.sql.register_reader_of("search", "orders", fingerprint).await.unwrap(), 1);
    let missing = db.sql.register_reader("billing", "public.orders", 7).await;
    assert!(matches!(missing, Err(Error::Server(error)) if error.code == "42704"));
    let readers = db.one("SELECT count(*) FROM cdc.schema_reader WHERE major = 1").await;
    assert_eq!(readers, "2");
    db.run(
        "BEGIN; SELECT cdc.allow_breaking('test'); ALTER TABLE orders DROP total; COMMIT; \
         INSERT INTO orders VALUES (2)",
    )
    .await;
    let mut config = db.config();
    config.request_versions = false;
    let mut stream = config.clone().start().await.unwrap();
    let mut versions = Vec::new();
    for _ in 0..2 {
        let delivery = next_rows(&mut stream).await.unwrap();
        versions.extend(delivery.changes().map(|change| change.unwrap().version()));
    }
    stream.close().await.unwrap();
    assert_eq!(versions, [1, 2]);
    // an old consumer gets as far as it can
    let config = config.version("public.orders", 1);
    let mut stream = config.clone().start().await.unwrap();
    next_rows(&mut stream).await.unwrap();
    let error = next_rows(&mut stream).await.unwrap_err();
    assert_eq!(error.to_string(), "rows of public.orders come in version 2, not in version 1");
    assert!(stream.next_batch().await.is_none());
    stream.close().await.unwrap();
    // and does not load what it cannot read
    let mut sql = db.another().await;
    let mut load = Loader::plan_for(&config, &mut sql, "orders", 100).await.unwrap();
    let joiner = || Joiner::new(Applier::new(MemoryState::default()));
    let mut strict = joiner().expect(&config).unwrap();
    let error = load.read_next(&mut sql, &mut strict).await.unwrap_err();
    assert!(matches!(error, Error::Version(mismatch) if mismatch.got == 2));
    load.read_next(&mut sql, &mut joiner()).await.unwrap();
    db.drop().await;
}

/// Rows in an older version, by both transports and as they are read: until something
/// comes that cannot be sent so.
#[tokio::test]
async fn live_older_versions() {
    if !available() {
        return;
    }
    let mut db = Database::without_slot("older").await;
    db.run("CREATE TABLE orders (id int PRIMARY KEY, total int NOT NULL)").await;
    db.run("SELECT cdc.register('public.orders', 'full')").await;
    db.bind_slot(&["orders"]).await;
    db.run("INSERT INTO orders VALUES (1, 10)").await;
    let breaking =
        |ddl: &str| format!("SELECT cdc.allow_breaking('test'); ALTER TABLE orders {ddl}");
    db.run(&breaking("RENAME total TO cents")).await;
    db.run("INSERT INTO orders VALUES (2, 20)").await;
    let (name, role) = (db.name.clone(), db.role());
    db.run(&format!(
        "SELECT cdc.alter_slot('{name}', '{{versions,public.orders=1}}'); \
         GRANT EXECUTE ON FUNCTION cdc.snapshot, cdc.snapshot_chunks TO {role}"
    ))
    .await;
    let mut bound = db.reader().version("public.orders", 1);
    bound.request_versions = false;
    let old = [r#""key":{"id":1},"new":{"total":10}}"#, r#""key":{"id":2},"new":{"total":20}}"#];
    for config in [db.config().version("public.orders", 1), bound.clone()] {
        let mut stream = config.clone().start().await.unwrap();
        for row in old {
            let delivery = next_rows(&mut stream).await.unwrap();
            assert!(lines(&delivery)[0].ends_with(row), "{:?}", lines(&delivery));
            assert_eq!(delivery.changes().next().unwrap().unwrap().version(), 1);
        }
        stream.close().await.unwrap();
        let mut sql = Connection::connect(&config.connect, &Limits::DEFAULT).await.unwrap();
        let mut load = Loader::plan_for(&config, &mut sql, "orders", 100).await.unwrap();
        let joiner = Joiner::new(Applier::new(MemoryState::default()));
        let mut joiner = joiner.expect(&config).unwrap();
        while load.read_next(&mut sql, &mut joiner).await.unwrap() {}
        let state = joiner.into_applier().into_state();
        assert_eq!(state.rows(&"public.orders".parse().unwrap()).unwrap().len(), 2);
    }
    // whoever asks for nothing has the names of now
    let mut stream = db.config().option("versions", "public.orders=2").start().await.unwrap();
    next_rows(&mut stream).await.unwrap();
    let delivery = next_rows(&mut stream).await.unwrap();
    assert!(lines(&delivery)[0].ends_with(r#""new":{"cents":20}}"#), "{:?}", lines(&delivery));
    stream.close().await.unwrap();
    // a version that there is not
    let error = db.config().version("public.orders", 7).start().await.unwrap_err();
    assert!(matches!(error, Error::Server(_)), "{error}");

    db.run(&breaking("ALTER cents DROP NOT NULL")).await;
    db.run("INSERT INTO orders VALUES (3, NULL)").await;
    for config in [db.config().version("public.orders", 1), bound] {
        refused_and_converted(config).await;
    }
    db.drop().await;
}

/// Rows of the third version where the first one is expected, which cannot be had.
async fn refused_and_converted(config: StreamConfig) {
    let mut stream = config.clone().start().await.unwrap();
    let mut error = None;
    for _ in 0..10 {
        match next_rows(&mut stream).await {
            Ok(delivery) => assert!(delivery.changes().all(|c| c.unwrap().version() == 1)),
            Err(found) => {
                error = Some(found);
                break;
            }
        }
    }
    stream.close().await.unwrap();
    let Some(Error::Version(mismatch)) = error else { panic!("{error:?}") };
    assert_eq!((mismatch.wanted, mismatch.got), (1, 3));
    assert!(!mismatch.reason.is_empty() && mismatch.to_string().ends_with(&mismatch.reason));
    println!("refused: {mismatch}");

    // rows that are read are refused, or converted, as those of the stream
    let table = pb::Table { schema: "public".into(), name: "orders".into(), ..Default::default() };
    let target = Arc::new(Schema::new(&table, 1).unwrap());
    let policy = VersionPolicy::convert(move |mismatch, schema, event| {
        assert_eq!((mismatch.got, schema.version), (3, 3));
        (event.new, event.old) = (Vec::new(), Vec::new());
        Ok(target.clone())
    });
    let config = config.on_version(policy);
    let mut sql = Connection::connect(&config.connect, &Limits::DEFAULT).await.unwrap();
    let mut load = Loader::plan_for(&config, &mut sql, "orders", 2).await.unwrap();
    let joiner = || Joiner::new(Applier::new(MemoryState::default()));
    let refused = load.read_next(&mut sql, &mut joiner()).await;
    match config.request_versions {
        true => assert!(matches!(refused, Err(Error::Version(m)) if m.got == 3)),
        false => assert!(refused.unwrap(), "nobody said that it matters"),
    }
    let mut load = Loader::plan_for(&config, &mut sql, "orders", 2).await.unwrap();
    let mut joiner = joiner().expect(&config).unwrap();
    while load.read_next(&mut sql, &mut joiner).await.unwrap() {}
    assert!(load.chunks().0 > 1);
    let state = joiner.into_applier().into_state();
    assert_eq!(state.rows(&"public.orders".parse().unwrap()).unwrap().len(), 3);
}
