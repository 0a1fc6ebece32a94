//! What ends, and how.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgcdc::{
    BoxFuture, Checkpoint, CheckpointStore, ConnectConfig, Error, Lsn, StreamConfig, Transport,
};

use crate::fake::{Act, Fake};
use crate::live::{available, lines, next, Database};
use crate::look::tables;
use crate::{eventually, sleep};

/// What a store does with its saves, by their number.
struct Store<F> {
    saves: Arc<AtomicUsize>,
    act: F,
}

impl<F: Fn(usize) -> bool + Send + Sync> CheckpointStore for Store<F> {
    fn load(&self) -> BoxFuture<'_, Result<Option<Checkpoint>, Error>> {
        Box::pin(async { Ok(None) })
    }
    fn save<'a>(&'a self, _: &'a Checkpoint) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async {
            match (self.act)(self.saves.fetch_add(1, Ordering::Relaxed)) {
                true => Ok(()),
                false => Err(Error::Io(std::io::ErrorKind::StorageFull.into())),
            }
        })
    }
}

/// A stream with such a store, of which one transaction is acknowledged.
async fn stored(
    test: &str,
    timeout: Duration,
    act: impl Fn(usize) -> bool + Send + Sync + 'static,
) -> (Database, pgcdc::Stream, Arc<AtomicUsize>, Lsn) {
    let mut db = tables(test).await;
    let saves = Arc::new(AtomicUsize::new(0));
    let mut config = db.config().checkpoint(Store { saves: saves.clone(), act });
    config.store_timeout = timeout;
    let mut stream = config.start().await.unwrap();
    db.run("INSERT INTO orders VALUES (1)").await;
    let delivery = next(&mut stream).await.unwrap();
    stream.ack(&delivery);
    let end = delivery.batch().unwrap().end_lsn;
    (db, stream, saves, end)
}

#[tokio::test]
async fn close_error() {
    if !available() {
        return;
    }
    // the start saves once
    let (mut db, stream, _, end) = stored("close", Duration::from_secs(30), |n| n == 0).await;
    let began = Instant::now();
    let error = stream.close().await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error}");
    assert!(began.elapsed() < Duration::from_secs(3), "it is not tried again and again");
    assert!(db.confirmed().await < end);
    db.drop().await;
}

#[tokio::test]
async fn store_retries() {
    if !available() {
        return;
    }
    let (mut db, stream, saves, end) =
        stored("retries", Duration::from_secs(30), |n| !(1..4).contains(&n)).await;
    eventually!(db.confirmed().await >= end);
    assert!(saves.load(Ordering::Relaxed) >= 5);
    stream.flush().await.unwrap();
    stream.close().await.unwrap();
    db.drop().await;
}

#[tokio::test]
async fn store_fails() {
    if !available() {
        return;
    }
    let (mut db, mut stream, saves, end) =
        stored("fails", Duration::from_millis(600), |n| n == 0).await;
    let error = next(&mut stream).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)) && !error.is_transient(), "{error}");
    assert!(saves.load(Ordering::Relaxed) > 2);
    assert!(stream.flush().await.is_err());
    assert!(matches!(stream.close().await, Err(Error::Store(_))), "not stored at the end either");
    assert!(db.confirmed().await < end, "nothing is reported");
    db.drop().await;
}

#[tokio::test]
async fn store_panics() {
    if !available() {
        return;
    }
    let (mut db, mut stream, _, end) =
        stored("panics", Duration::from_secs(30), |n| n == 0 || panic!("out of paper")).await;
    let error = next(&mut stream).await.unwrap_err();
    assert!(error.to_string().contains("out of paper"), "{error}");
    assert!(stream.next_batch().await.is_none());
    assert!(stream.close().await.unwrap_err().to_string().contains("out of paper"));
    assert!(db.confirmed().await < end);
    db.drop().await;
}

#[tokio::test]
async fn cancelled_query() {
    if !available() {
        return;
    }
    let db = tables("cancelled").await;
    let mut sql = db.another().await;
    for statement in [
        "SELECT i FROM generate_series(1, 300000) i",
        "SELECT 7, pg_sleep(0.3)",
        "SELECT 7, pg_sleep(0.3); SELECT 8",
        "SELECT 1 / (i - 5) FROM generate_series(1, 10) i, pg_sleep(0.1)",
    ] {
        for wait in [0, 1, 20] {
            let given_up =
                tokio::time::timeout(Duration::from_millis(wait), sql.query(statement)).await;
            let rows = sql.query("SELECT 'mine'").await.unwrap();
            assert_eq!(rows, [[Some("mine".to_owned())]], "{statement}: {}", given_up.is_err());
        }
    }
    sql.close().await;
    db.drop().await;
}

#[tokio::test]
async fn backoff() {
    let fake = Fake::start(|n| match n {
        0 => Act::Fail("57P01", "it ends"),
        _ => Act::Refuse,
    })
    .await;
    let config = StreamConfig::new(ConnectConfig::parse(&fake.conninfo()).unwrap(), "s");
    let mut stream = config.start().await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_secs(8), stream.next_batch()).await;
    assert!(waiting.is_err(), "it goes on trying");
    let attempts = fake.connections.load(Ordering::Relaxed);
    assert!((3..20).contains(&attempts), "{attempts} attempts");
}

/// Who asks while there is no connection is told when there never will be one.
#[tokio::test]
async fn flush_without_connection() {
    let fake = Fake::start(|n| match n {
        0 => Act::Fail("57P01", "it ends"),
        1..4 => Act::Refuse,
        _ => Act::Ask(vec![0, 0, 0, 3]),
    })
    .await;
    let config = StreamConfig::new(ConnectConfig::parse(&fake.conninfo()).unwrap(), "s");
    let mut stream = config.start().await.unwrap();
    eventually!(fake.connections.load(Ordering::Relaxed) > 1);
    let told = tokio::time::timeout(Duration::from_secs(10), stream.flush()).await;
    assert!(told.expect("it ends").is_err());
    let error = next(&mut stream).await.unwrap_err();
    assert!(error.to_string().contains("password"), "{error}");
}

#[tokio::test]
async fn busy_start() {
    if !available() {
        return;
    }
    for transport in [Transport::Replication, Transport::Fetch] {
        let mut db = tables("busy_start").await;
        let other = db.config().start().await.unwrap();
        let ends = tokio::spawn(async move {
            sleep(3000).await;
            other.close().await.unwrap();
        });
        let mut stream = db.config().transport(transport).start().await.unwrap();
        ends.await.unwrap();
        db.run("INSERT INTO orders VALUES (1)").await;
        assert!(lines(&next(&mut stream).await.unwrap())[0].contains("orders"));
        stream.close().await.unwrap();
        db.drop().await;
    }
}

#[tokio::test]
async fn busy_later() {
    if !available() {
        return;
    }
    let mut db = tables("busy_later").await;
    let mut config = db.config();
    config.max_backoff = Duration::from_secs(1);
    let mut stream = config.start().await.unwrap();
    let mut other = db.another().await;
    let (take, name) = ("SELECT count(*) FROM cdc.fetch", db.name.clone());
    db.kill_walsender().await;
    let taken = tokio::spawn(async move {
        for _ in 0..500 {
            // until it is free
            let sql = format!("{take}('{name}', timeout => '3 s')");
            if other.query(&sql).await.is_ok() {
                return true;
            }
        }
        false
    });
    assert!(taken.await.unwrap(), "the slot was free for a moment");
    db.run("INSERT INTO orders VALUES (1)").await;
    assert!(lines(&next(&mut stream).await.unwrap())[0].contains("orders"));
    stream.close().await.unwrap();
    db.drop().await;
}

#[tokio::test]
async fn permanent() {
    let fake = Fake::start(|_| Act::Fail("54000", "too much")).await;
    let config = StreamConfig::new(ConnectConfig::parse(&fake.conninfo()).unwrap(), "s");
    let mut stream = config.start().await.unwrap();
    let error = next(&mut stream).await.unwrap_err();
    assert!(matches!(&error, Error::Server(e) if e.code == "54000"), "{error}");
    assert!(stream.next_batch().await.is_none());
    assert_eq!(fake.connections.load(Ordering::Relaxed), 1);
    stream.close().await.unwrap();
}
