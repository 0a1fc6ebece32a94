//! What metrics cost: a stream from memory to acknowledged, without and with a recorder that
//! keeps atomics, as that of Prometheus does. `cargo bench --features test,metrics --bench metrics`.
//! ROWS: how many events.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use metrics::atomics::AtomicU64;
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, SharedString, Unit,
};
use pgcdc::metrics::Recorder;
use pgcdc::test::{insert, Script};

#[derive(Default)]
struct Kept {
    numbers: RwLock<HashMap<Key, Arc<AtomicU64>>>,
    spread: RwLock<HashMap<Key, Arc<Spread>>>,
}

#[derive(Default)]
struct Spread([AtomicU64; 16]);

impl HistogramFn for Spread {
    fn record(&self, value: f64) {
        let bounds = &pgcdc::metrics::Histogram::BUCKETS;
        let at = bounds.partition_point(|bound| *bound < value).min(bounds.len() - 1);
        self.0[at].increment(1);
    }
}

fn of<T: Default>(all: &RwLock<HashMap<Key, Arc<T>>>, key: &Key) -> Arc<T> {
    if let Some(found) = all.read().unwrap().get(key) {
        return found.clone();
    }
    all.write().unwrap().entry(key.clone()).or_default().clone()
}

impl metrics::Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(of(&self.numbers, key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(of(&self.numbers, key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(of(&self.spread, key))
    }
}

/// Nanoseconds of CPU that this thread has used, which others on the machine disturb less than
/// the time.
fn used() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).expect("Linux has it")
}

/// Microseconds of CPU for a transaction.
async fn run(transactions: usize, events: usize, measured: bool) -> f64 {
    let rows: Vec<_> = (0..events).map(|i| insert(i as i32, "the name of a thing")).collect();
    let script = (0..transactions).fold(Script::new(), |script, _| script.transaction(&rows));
    let mut config = Script::config();
    if measured {
        config = config.metrics(Recorder { labels: vec![("slot", "shop".to_owned())] });
    }
    let mut stream = script.start_with(config);
    let began = used();
    while let Some(delivery) = stream.next_batch().await {
        let delivery = delivery.unwrap();
        assert_eq!(delivery.changes().count(), events);
        stream.ack(&delivery);
    }
    (used() - began) / 1e3 / transactions as f64
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    metrics::set_global_recorder(Kept::default()).expect("there is none yet");
    let rows = std::env::var("ROWS").ok().and_then(|s| s.parse().ok()).unwrap_or(1_000_000);
    for events in [1, 100] {
        let transactions = rows / events / if events == 1 { 5 } else { 1 };
        let mut best = [f64::MAX; 2];
        for _ in 0..5 {
            for (at, measured) in [(0, false), (1, true)] {
                best[at] = best[at].min(run(transactions, events, measured).await);
            }
        }
        println!(
            "{events} events a transaction: {:.2} us without metrics, {:.2} us with",
            best[0], best[1]
        );
    }
}
