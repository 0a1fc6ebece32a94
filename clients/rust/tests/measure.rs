//! What a stream measures, against a source in memory.
#![cfg(feature = "test")]

#[path = "common/fake.rs"]
mod fake;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fake::{Act, Fake};
use pgcdc::metrics::{Counter, Gauge, Histogram, Metrics, HEARTBEAT};
use pgcdc::test::{insert, Script};
use pgcdc::{pb, ConnectConfig, StreamConfig};
use prost::Message;

#[derive(Default)]
struct Seen {
    counters: Mutex<BTreeMap<String, u64>>,
    gauges: Mutex<BTreeMap<&'static str, f64>>,
    observed: Mutex<Vec<(Histogram, f64)>>,
}

impl Metrics for Seen {
    fn add(&self, counter: Counter, n: u64) {
        let label = counter.label().map_or("", |(_, value)| value);
        let name = format!("{}{label}", counter.name());
        *self.counters.lock().unwrap().entry(name).or_default() += n;
    }
    fn set(&self, gauge: Gauge, value: f64) {
        self.gauges.lock().unwrap().insert(gauge.name(), value);
    }
    fn observe(&self, histogram: Histogram, value: f64) {
        self.observed.lock().unwrap().push((histogram, value));
    }
}

impl Seen {
    fn of(&self, histogram: Histogram) -> Vec<f64> {
        let observed = self.observed.lock().unwrap();
        observed.iter().filter(|(h, _)| *h == histogram).map(|(_, value)| *value).collect()
    }

    fn count(&self, name: &str) -> u64 {
        self.counters.lock().unwrap().get(name).copied().unwrap_or_default()
    }

    fn age(&self) -> Option<f64> {
        self.gauges.lock().unwrap().get("cdc_heartbeat_age_seconds").copied()
    }
}

fn message(prefix: &str) -> pb::ChangeEvent {
    pb::ChangeEvent {
        op: pb::Op::Message as i32,
        message: Some(pb::Message { prefix: prefix.into(), ..pb::Message::default() }),
        ..pb::ChangeEvent::default()
    }
}

/// The batch as it would be if it had committed so many seconds ago.
fn committed(seconds: i64) -> impl FnOnce(&[u8]) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
    change(move |batch| {
        batch.transaction.as_mut().unwrap().commit_time = now - seconds * 1_000_000;
    })
}

fn change(f: impl FnOnce(&mut pb::Batch)) -> impl FnOnce(&[u8]) -> Vec<u8> {
    |bytes| {
        let mut batch = pb::Batch::decode(bytes).unwrap();
        f(&mut batch);
        batch.encode_to_vec()
    }
}

/// Each transaction that is handed out is observed once, and again when it is acknowledged;
/// clocks may differ.
#[tokio::test]
async fn delays() {
    let seen = Arc::new(Seen::default());
    let outside = pb::Batch {
        end_lsn: 0x100_0000,
        event_count: 1,
        events: vec![message("p")],
        ..pb::Batch::default()
    };
    let script = Script::new()
        .transaction(&[insert(1, "a"), insert(2, "b")])
        .map_last(committed(3))
        .transaction(&[insert(3, "c")])
        .map_last(committed(-3600))
        .batch(&outside.encode_to_vec());
    let mut stream = script.start_with(Script::config().metrics(seen.clone()));
    let mut txns = Vec::new();
    for _ in 0..3 {
        txns.push(stream.next().await.unwrap().unwrap());
    }
    let received = seen.of(Histogram::ReceiveDelaySeconds);
    assert!(matches!(received[..], [first, 0.0] if (3.0..30.0).contains(&first)), "{received:?}");
    assert_eq!(seen.of(Histogram::AcknowledgeDelaySeconds), []);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let acker = stream.acker();
    for txn in &txns {
        stream.ack(txn);
        acker.ack(txn); // says nothing new
    }
    let acknowledged = seen.of(Histogram::AcknowledgeDelaySeconds);
    assert_eq!(acknowledged.len(), 3);
    assert!(acknowledged.iter().all(|delay| (0.05..30.0).contains(delay)), "{acknowledged:?}");
    let build = seen.gauges.lock().unwrap()["cdc_build_info"];
    assert_eq!(build, 1.0);
}

/// The age of a heartbeat counts from its COMMIT; other messages are none.
#[tokio::test]
async fn heartbeats() {
    let seen = Arc::new(Seen::default());
    let outside = pb::Batch {
        end_lsn: 0x100_0000,
        event_count: 1,
        events: vec![message(HEARTBEAT)],
        ..pb::Batch::default()
    };
    let script = Script::new()
        .transaction(&[message("cdc.heartbeats"), message("")])
        .map_last(committed(9))
        .transaction(&[message(HEARTBEAT)])
        .map_last(committed(5))
        .batch(&outside.encode_to_vec());
    let mut stream = script.start_with(Script::config().metrics(seen.clone()));
    stream.next().await.unwrap().unwrap();
    assert_eq!(seen.age(), None);
    stream.next().await.unwrap().unwrap();
    let age = seen.age().unwrap();
    assert!((5.0..30.0).contains(&age), "{age}");
    stream.next().await.unwrap().unwrap();
    assert_eq!(seen.age(), Some(age), "outside of transactions there is no COMMIT");
}

/// What does not come is counted, and ends the stream.
#[tokio::test]
async fn gaps() {
    type Fault = fn(&mut pb::Batch);
    let parts: [(&str, Fault); 2] = [
        ("a part", |batch: &mut pb::Batch| batch.part = 1),
        ("an event", |batch: &mut pb::Batch| batch.event_count = 2),
    ];
    for (name, f) in parts {
        let seen = Arc::new(Seen::default());
        let script = Script::new().transaction(&[insert(1, "a")]).map_last(change(f));
        let mut stream = script.start_with(Script::config().metrics(seen.clone()));
        assert!(stream.next().await.unwrap().is_err(), "without {name}");
        assert_eq!(seen.count("cdc_gaps_total"), 1, "without {name}");
    }
    let seen = Arc::new(Seen::default());
    let script = Script::new().transaction(&[insert(1, "a")]).damage();
    let mut stream = script.start_with(Script::config().metrics(seen.clone()));
    assert!(stream.next().await.unwrap().is_err());
    assert_eq!(seen.count("cdc_gaps_total"), 0, "damage is no gap");
}

/// Whether there is a connection is known, and why there is none any more.
#[tokio::test]
async fn connected() {
    for (code, reason) in [("55006", "busy"), ("57P01", "server")] {
        let fake = Fake::start(move |n| match n {
            0 => Act::Fail(code, "no"),
            1 => Act::Refuse,
            _ => Act::Mute,
        })
        .await;
        let seen = Arc::new(Seen::default());
        let connect = ConnectConfig::parse(&fake.conninfo()).unwrap();
        let config = StreamConfig::new(connect, "s").metrics(seen.clone());
        let stream = config.start().await.unwrap();
        let name = format!("cdc_reconnects_total{reason}");
        for _ in 0..500 {
            if seen.count("cdc_reconnects_totalconnection") > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!((seen.count(&name), seen.count("cdc_reconnects_totalconnection")), (1, 1));
        assert_eq!(seen.gauges.lock().unwrap()["cdc_connected"], 0.0, "it was set");
        drop(stream);
    }
}
