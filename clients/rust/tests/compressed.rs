//! Compressed batches are what they are without compression, and what is wrong with
//! them is found before there is memory for it.
#![cfg(all(feature = "test", feature = "lz4", feature = "zstd"))]

mod common;
#[path = "common/live.rs"]
mod live;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use common::{compress, compress_all, golden, to_json, LZ4, ZSTD};
use live::{available, lines, next, Database};
use pgcdc::metrics::{Counter, Gauge, Metrics};
use pgcdc::test::{insert, Script};
use pgcdc::{
    pb, Applier, Compression, Damage, DeadLetter, DeadLetterSink, Error, Inflater, Joiner, Limits,
    Loader, MemoryState, Reason,
};
use prost::Message;

#[test]
fn the_same_json() {
    for path in golden() {
        let bytes = std::fs::read(&path).unwrap();
        let wanted = std::fs::read_to_string(path.with_extension("json")).unwrap();
        // a golden file that is compressed already stays so
        if pb::Stream::decode(&bytes[..]).unwrap().batches.iter().any(|batch| batch.codec != 0) {
            continue;
        }
        for codec in [LZ4, ZSTD] {
            let compressed = compress_all(&bytes, codec);
            assert_eq!(to_json(&compressed).as_ref(), Ok(&wanted), "{}", path.display());
        }
    }
}

/// A stream gives the same deliveries, each to be kept for as long as one likes.
#[tokio::test]
async fn streams() {
    for codec in [0, LZ4, ZSTD] {
        let mut script = Script::new();
        for i in 0..50 {
            let events: Vec<_> = (0..i + 1).map(|j| insert(100 * i + j, "name")).collect();
            script = script.transaction(&events);
            if codec != 0 && i % 7 != 0 {
                script = script.map_last(|batch| compress(batch, codec));
            }
        }
        let mut stream = script.start();
        let mut kept = Vec::new();
        while let Some(delivery) = stream.next_batch().await {
            kept.push(delivery.unwrap());
        }
        assert_eq!(kept.len(), 50);
        for (i, delivery) in (1..).zip(&kept) {
            assert_eq!(delivery.changes().map(Result::unwrap).count(), i);
            assert_eq!(delivery.batch().unwrap().bytes(), &delivery.bytes()[..]);
        }
    }
}

#[derive(Default)]
struct Letters(Mutex<Vec<(Reason, Vec<u8>)>>);

impl DeadLetterSink for Letters {
    fn put(&self, letter: &DeadLetter<'_>) -> io::Result<()> {
        self.0.lock().unwrap().push((letter.reason, letter.batch.to_vec()));
        Ok(())
    }
}

/// Batches that say more than they are, or other than they are.
fn wrong_ones() -> Vec<(&'static str, Vec<u8>)> {
    let zeros = vec![0; 64 << 20];
    let mut all = Vec::new();
    for codec in [LZ4, ZSTD] {
        let good = pb::Batch::decode(&compress(&[0x32, 0].repeat(500), codec)[..]).unwrap();
        let mut with = |what, change: &dyn Fn(&mut pb::Batch)| {
            let mut batch = good.clone();
            change(&mut batch);
            all.push((what, batch.encode_to_vec()));
        };
        with("says 1 GiB", &|b| b.raw_size = 1 << 30);
        with("says all there is", &|b| b.raw_size = u64::MAX);
        with("says less", &|b| b.raw_size -= 1);
        with("says more", &|b| b.raw_size += 1);
        with("says nothing", &|b| b.raw_size = 0);
        with("of the other codec", &|b| b.codec = LZ4 + ZSTD - b.codec);
        with("of an unknown codec", &|b| b.codec = 77);
        with("cut", &|b| b.compressed.truncate(b.compressed.len() / 2));
        with("has more beside it", &|b| b.part = 1);
        with("has another inside", &|b| {
            let inner = b.encode_to_vec();
            *b = pb::Batch::decode(&compress(&inner, codec)[..]).unwrap();
        });
        all.push(("many zeros, which are no fields", compress(&zeros, codec)));
    }
    all
}

#[tokio::test]
async fn wrong_ones_are_dead_letters() {
    let (letters, mut script) = (Arc::new(Letters::default()), Script::new());
    let wrong = wrong_ones();
    for (_, batch) in &wrong {
        script = script.batch(batch);
    }
    let config = Script::config().dead_letters(letters.clone());
    let mut stream = script.transaction(&[insert(1, "a")]).start_with(config);
    // what comes behind them does
    assert_eq!(stream.next_batch().await.unwrap().unwrap().changes().count(), 1);
    assert!(stream.next_batch().await.is_none());
    let letters = std::mem::take(&mut *letters.0.lock().unwrap());
    assert_eq!(letters.len(), wrong.len());
    for ((what, batch), (reason, letter)) in wrong.iter().zip(&letters) {
        assert_eq!((reason, letter), (&Reason::Damage, batch), "{what}");
    }
    for (what, batch) in wrong {
        let error = Script::new().batch(&batch).start().next_batch().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Damage(_)), "{what}: {error}");
    }
}

#[test]
fn limits_hold_inside() {
    let limits = Limits { max_batch_bytes: 10_000, ..Limits::DEFAULT };
    for codec in [LZ4, ZSTD] {
        let batch = compress(&[0x32, 0].repeat(5001), codec);
        let parsed = Inflater::new(limits).parse(&batch).map(drop);
        assert_eq!(parsed, Err(Damage::Limit("bytes of a batch", 10_000)));
        let batch = compress(&[0x32, 0].repeat(5000), codec);
        assert_eq!(Inflater::new(limits).parse(&batch).map(drop), Ok(()));
    }
}

#[tokio::test]
async fn settings() {
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        assert!(compression.is_supported());
        assert_eq!(compression.name().parse::<Compression>().unwrap(), compression);
        let config = Script::config().compression(compression);
        assert_eq!(config.options["compression"], compression.name());
    }
    let error = Script::config().option("compression", "gzip").start().await.unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error}");
}

/// Bytes that were received.
#[derive(Default)]
struct Received(AtomicU64);

impl Metrics for Received {
    fn add(&self, counter: Counter, n: u64) {
        if counter == Counter::Bytes {
            self.0.fetch_add(n, Ordering::Relaxed);
        }
    }
    fn set(&self, _: Gauge, _: f64) {}
}

/// From a server, by both transports: the same, and less of it.
#[tokio::test]
async fn live_streams() {
    if !available() {
        return;
    }
    let mut db = Database::without_slot("compressed").await;
    db.run("CREATE TABLE orders (id int PRIMARY KEY, customer text)").await;
    db.bind_slot(&["orders"]).await;
    for i in 0..3 {
        db.run(&format!(
            "INSERT INTO orders SELECT i, 'customer ' || i FROM generate_series({i}0000, {i}4999) i"
        ))
        .await;
    }
    for config in [db.config(), db.reader()] {
        let mut plain = (Vec::new(), 0);
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let received = Arc::new(Received::default());
            let config = config.clone().compression(compression).metrics(received.clone());
            let mut stream = config.start().await.unwrap();
            let mut got = Vec::new();
            for _ in 0..3 {
                let mut end = false;
                while !end {
                    let delivery = next(&mut stream).await.unwrap();
                    got.extend(lines(&delivery));
                    end = delivery.is_end();
                }
            }
            stream.close().await.unwrap();
            let bytes = received.0.load(Ordering::Relaxed);
            if compression == Compression::None {
                assert_eq!(got.len(), 15_003);
                plain = (got, bytes);
            } else {
                assert!(bytes < plain.1 / 2, "{bytes} of {} bytes", plain.1);
                assert!(got == plain.0, "{compression:?}");
                println!("{compression:?}: {bytes} of {} bytes", plain.1);
            }
        }
    }
    // what is there already, too
    let mut sql = db.another().await;
    let config = db.config().compression(Compression::Zstd);
    let mut load = Loader::plan_for(&config, &mut sql, "orders", 4000).await.unwrap();
    let mut joiner = Joiner::new(Applier::new(MemoryState::default()));
    while load.read_next(&mut sql, &mut joiner).await.unwrap() {}
    let relation = "public.orders".parse().unwrap();
    assert_eq!(joiner.into_applier().state().rows(&relation).unwrap().len(), 15_000);
    db.drop().await;
}
