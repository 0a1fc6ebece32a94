//! Looking moves nothing.

use std::time::Duration;

use pgcdc::{StreamConfig, Transport};

use crate::live::{available, lines, next, Database};
use crate::tail::TAIL;
use crate::{eventually, signal, sleep};

/// Two tables, and a slot of the database's name that is bound to its reader.
pub async fn tables(test: &str) -> Database {
    let mut db = Database::without_slot(test).await;
    db.run("CREATE TABLE orders (id int PRIMARY KEY)").await;
    db.run("CREATE TABLE noise (id int)").await;
    db.bind_slot(&["orders", "noise"]).await;
    db
}

/// WAL that a stream may hear of by keepalives alone.
async fn noise(db: &mut Database) {
    let mut elsewhere = db.another().await;
    for i in 0..30 {
        elsewhere.query(&format!("INSERT INTO noise VALUES ({i})")).await.unwrap();
        elsewhere
            .query("SELECT pg_logical_emit_message(true, 'elsewhere', repeat('x', 9000))")
            .await
            .unwrap();
        sleep(100).await;
    }
    elsewhere.close().await;
}

fn quick(mut config: StreamConfig) -> StreamConfig {
    config.feedback_interval = Duration::from_millis(100);
    config.fetch_wait = Duration::from_millis(100);
    config.connect.options = Some("-c wal_sender_timeout=1s".into());
    config
}

async fn look(mut db: Database, config: StreamConfig) {
    let before = db.confirmed().await;
    db.run("INSERT INTO orders VALUES (1)").await;
    let mut stream = quick(config).read_only().start().await.unwrap();
    let delivery = next(&mut stream).await.unwrap();
    assert!(lines(&delivery)[0].contains("orders"));
    let reading = tokio::spawn(async move {
        while let Ok(delivery) =
            tokio::time::timeout(Duration::from_millis(500), stream.next_batch()).await
        {
            stream.ack(&delivery.unwrap().unwrap());
        }
        stream.ack(&delivery);
        stream.flush().await.unwrap();
        stream.close().await.unwrap();
    });
    noise(&mut db).await;
    reading.await.unwrap();
    assert_eq!(db.confirmed().await, before);
    db.drop().await;
}

#[tokio::test]
async fn look_stream() {
    if available() {
        let db = tables("look_stream").await;
        let config = db.config();
        look(db, config).await;
    }
}

#[tokio::test]
async fn look_fetch() {
    if available() {
        let db = tables("look_fetch").await;
        let config = db.reader();
        look(db, config).await;
    }
}

#[tokio::test]
async fn look_filter() {
    if !available() {
        return;
    }
    for transport in [Transport::Replication, Transport::Fetch] {
        let mut db = tables("look_filter").await;
        let before = db.confirmed().await;
        let config = quick(db.config().transport(transport)).option("tables", "public.orders");
        let mut stream = config.start().await.unwrap();
        noise(&mut db).await;
        assert_eq!(db.confirmed().await, before, "{transport:?}");
        db.run("INSERT INTO orders VALUES (1)").await;
        let delivery = next(&mut stream).await.unwrap();
        sleep(500).await;
        assert_eq!(db.confirmed().await, before, "{transport:?}: not acknowledged");
        stream.ack(&delivery);
        let end = delivery.batch().unwrap().end_lsn;
        eventually!(db.confirmed().await >= end);
        stream.close().await.unwrap();
        db.drop().await;
    }
}

#[tokio::test]
async fn look_tail() {
    if !available() {
        return;
    }
    let mut db = tables("look_tail").await;
    let before = db.confirmed().await;
    let conninfo = format!("dbname={}", db.name);
    for fetch in [false, true] {
        let mut command = tokio::process::Command::new(TAIL);
        command.args(["--slot", &db.name, "--conninfo", &conninfo, "--json"]);
        command.args(["--option", "tables=public.orders"]);
        command.args(fetch.then_some("--fetch"));
        let mut child = command.spawn().unwrap();
        noise(&mut db).await;
        assert!(child.try_wait().unwrap().is_none(), "it still reads");
        signal(child.id().unwrap(), "-TERM");
        assert!(child.wait().await.unwrap().success());
        assert_eq!(db.confirmed().await, before, "fetch: {fetch}");
    }
    let mut owner = db.reader().start().await.unwrap();
    let mut rows = 0;
    while rows < 60 {
        let delivery = next(&mut owner).await.unwrap();
        rows +=
            delivery.changes().filter(|change| change.as_ref().unwrap().schema.is_some()).count();
    }
    owner.close().await.unwrap();
    db.drop().await;
}
