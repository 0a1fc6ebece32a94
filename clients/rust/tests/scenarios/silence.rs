//! Silence.

use std::time::{Duration, Instant};

use pgcdc::{ConnectConfig, Error, StreamConfig, Transport};

use crate::fake::{Act, Fake};
use crate::live::{available, lines, next, Between, Database};
use crate::look::tables;

/// Changes come by a new connection after the old one has fallen silent.
async fn falls_silent(mut db: Database, mut config: StreamConfig) {
    config.connect.options = Some("-c wal_sender_timeout=2s".into());
    let between = Between::new(&db, config.connect.clone());
    config.connect = between.config.clone();
    config.fetch_wait = Duration::from_secs(1);
    let mut stream = config.start().await.unwrap();
    db.run("INSERT INTO orders VALUES (1)").await;
    assert!(lines(&next(&mut stream).await.unwrap())[0].contains("\"id\":1"));
    // an idle server is not taken for a silent one
    let idle = tokio::time::timeout(Duration::from_secs(4), stream.next_batch()).await;
    assert!(idle.is_err(), "nothing comes");
    between.forget.send(()).unwrap();
    let began = Instant::now();
    db.run("INSERT INTO orders VALUES (2)").await;
    let delivery = next(&mut stream).await.unwrap();
    let taken = began.elapsed();
    assert!(delivery.is_first_of_connection() && lines(&delivery)[0].contains("\"id\":2"));
    assert!(taken < Duration::from_secs(10), "{taken:?}");
    stream.close().await.unwrap();
    db.drop().await;
}

#[tokio::test]
async fn silence_stream() {
    if available() {
        let db = tables("silent").await;
        let config = db.config();
        falls_silent(db, config).await;
    }
}

#[tokio::test]
async fn silence_fetch() {
    if available() {
        let db = tables("silent_fetch").await;
        let config = db.reader();
        falls_silent(db, config).await;
    }
}

fn timed_out(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut)
}

#[tokio::test]
async fn silence_connect() {
    let fake = Fake::start(|_| Act::Silent).await;
    let conninfo = format!("{} connect_timeout=2", fake.conninfo());
    for conninfo in [conninfo.clone(), conninfo.replace("disable", "require")] {
        let config = StreamConfig::new(ConnectConfig::parse(&conninfo).unwrap(), "s");
        let start = tokio::time::timeout(Duration::from_secs(10), config.start()).await;
        let error = start.expect("it gives up").unwrap_err();
        assert!(timed_out(&error), "{error}");
    }
}

#[tokio::test]
async fn silence_questions() {
    let fake = Fake::start(|_| Act::Mute).await;
    let conninfo = format!("{} connect_timeout=2", fake.conninfo());
    for transport in [Transport::Replication, Transport::Fetch] {
        let config = StreamConfig::new(ConnectConfig::parse(&conninfo).unwrap(), "s");
        let start = config.transport(transport).start();
        let start = tokio::time::timeout(Duration::from_secs(10), start).await;
        let error = start.expect("it gives up").unwrap_err();
        assert!(timed_out(&error), "{error}");
    }
}
