//! Counters, gauges and histograms, and what they are called.

use crate::base::error::Error;
use crate::model::event::Op;

/// What only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Counter {
    /// `cdc_events_total{op}`: events handed to the consumer, each time that they are.
    Events(Op),
    /// `cdc_transactions_total`: ends of transactions, and messages outside of
    /// them.
    Transactions,
    /// `cdc_bytes_total`: bytes of batches received.
    Bytes,
    /// `cdc_batches_total`: batches received.
    Batches,
    /// `cdc_reconnects_total{reason}`: attempts to connect after the first connection, by why
    /// there was none any more: one of [`RECONNECTS`].
    Reconnects(&'static str),
    /// `cdc_gaps_total`: transactions that came without all of their parts or events.
    Gaps,
    /// `cdc_dead_letters_total{reason}`: what was set aside or skipped.
    DeadLetters(&'static str),
    /// `cdc_store_failures_total`: attempts to store a checkpoint that failed.
    StoreFailures,
    /// `cdc_load_rows_total`: rows of an initial load.
    LoadRows,
    /// `cdc_redacted_total`: events of tables that have redacted columns.
    Redacted,
    /// `cdc_unknown_fields_total`: fields of a newer server.
    UnknownFields,
    /// `cdc_schema_version_mismatches_total{relation}`: events of a relation whose rows
    /// are in another version than the consumer expects. See [`Metrics::add_for`].
    SchemaVersionMismatches,
}

impl Counter {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Counter::Events(_) => "cdc_events_total",
            Counter::Transactions => "cdc_transactions_total",
            Counter::Bytes => "cdc_bytes_total",
            Counter::Batches => "cdc_batches_total",
            Counter::Reconnects(_) => "cdc_reconnects_total",
            Counter::Gaps => "cdc_gaps_total",
            Counter::DeadLetters(_) => "cdc_dead_letters_total",
            Counter::StoreFailures => "cdc_store_failures_total",
            Counter::LoadRows => "cdc_load_rows_total",
            Counter::Redacted => "cdc_redacted_total",
            Counter::UnknownFields => "cdc_unknown_fields_total",
            Counter::SchemaVersionMismatches => "cdc_schema_version_mismatches_total",
        }
    }

    /// Name and value of its label.
    pub fn label(self) -> Option<(&'static str, &'static str)> {
        match self {
            Counter::Events(op) => Some(("op", label(op))),
            Counter::DeadLetters(reason) | Counter::Reconnects(reason) => Some(("reason", reason)),
            _ => None,
        }
    }
}

/// Why there is no connection any more, as [`Counter::Reconnects`] has it: somebody else reads
/// the slot; the server says another error; anything else.
pub const RECONNECTS: [&str; 3] = ["busy", "server", "connection"];

/// Why there is none after an error.
pub(super) fn reconnect_reason(error: &Error) -> &'static str {
    match error {
        Error::Server(error) if error.code == "55006" => RECONNECTS[0],
        Error::Server(_) => RECONNECTS[1],
        _ => RECONNECTS[2],
    }
}

/// The prefix of logical messages that are heartbeats:
/// `SELECT pg_logical_emit_message(true, 'cdc.heartbeat', '')`.
pub const HEARTBEAT: &str = "cdc.heartbeat";

/// Ops in lower case.
const fn label(op: Op) -> &'static str {
    match op {
        Op::Insert => "insert",
        Op::Update => "update",
        Op::Delete => "delete",
        Op::Truncate => "truncate",
        Op::Message => "message",
        Op::Read => "read",
        Op::Rewrite => "rewrite",
        Op::Schema => "schema",
        _ => "unknown",
    }
}

/// What goes up and down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Gauge {
    /// `cdc_lag_seconds`: the seconds between now and the commit time of the oldest
    /// transaction that was delivered but not acknowledged; 0 when everything received
    /// is acknowledged and a keepalive says that the server has nothing more. In
    /// between, and while there is no connection, that of the last one acknowledged.
    LagSeconds,
    /// `cdc_lag_bytes`: WAL that the server has sent up to, minus what is
    /// acknowledged.
    LagBytes,
    /// `cdc_retained_wal_bytes`: WAL that the server keeps for the slot, as of
    /// the last connection or [`Stream::slot_status`](crate::Stream::slot_status), plus what it
    /// has written since.
    RetainedWalBytes,
    /// `cdc_buffered_bytes`: received and not yet delivered.
    BufferedBytes,
    /// `cdc_load_rows_expected`: about how many rows an initial load has in all.
    LoadRowsExpected,
    /// `cdc_connected`: 1 while there is a connection that sends changes.
    Connected,
    /// `cdc_heartbeat_age_seconds`: how long ago the last [heartbeat](HEARTBEAT) committed that
    /// was handed out, in a transaction of its own. Not set before the first.
    HeartbeatAgeSeconds,
    /// `cdc_build_info{client,version}`: always 1.
    BuildInfo,
}

impl Gauge {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Gauge::LagSeconds => "cdc_lag_seconds",
            Gauge::LagBytes => "cdc_lag_bytes",
            Gauge::RetainedWalBytes => "cdc_retained_wal_bytes",
            Gauge::BufferedBytes => "cdc_buffered_bytes",
            Gauge::LoadRowsExpected => "cdc_load_rows_expected",
            Gauge::Connected => "cdc_connected",
            Gauge::HeartbeatAgeSeconds => "cdc_heartbeat_age_seconds",
            Gauge::BuildInfo => "cdc_build_info",
        }
    }

    /// Names and values of its labels.
    pub fn labels(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Gauge::BuildInfo => &[("client", "rust"), ("version", env!("CARGO_PKG_VERSION"))],
            _ => &[],
        }
    }
}

/// How values are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Histogram {
    /// `cdc_receive_delay_seconds`: from COMMIT until the client has all of a transaction, one
    /// for each that is handed out. 0 where this machine's clock is behind the server's.
    ReceiveDelaySeconds,
    /// `cdc_acknowledge_delay_seconds`: from there until it is acknowledged.
    AcknowledgeDelaySeconds,
    /// `cdc_read_delay_seconds`: from where a message of cdc-relay was published until a reader
    /// of its topic had it. See [`Message::observe_delay`](crate::topic::Message::observe_delay).
    ReadDelaySeconds,
}

impl Histogram {
    /// Upper bounds of the buckets, in seconds. A recorder has to be told:
    /// `set_buckets_for_metric(Matcher::Suffix("_delay_seconds".into()), &Histogram::BUCKETS)`
    /// is how `metrics-exporter-prometheus` is.
    pub const BUCKETS: [f64; 16] = [
        0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
        1800.0,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Histogram::ReceiveDelaySeconds => "cdc_receive_delay_seconds",
            Histogram::AcknowledgeDelaySeconds => "cdc_acknowledge_delay_seconds",
            Histogram::ReadDelaySeconds => "cdc_read_delay_seconds",
        }
    }
}

/// Takes measurements. Called from several tasks; must not block.
pub trait Metrics: Send + Sync {
    /// Adds to a counter.
    fn add(&self, counter: Counter, n: u64);
    /// Adds to a counter that has the label `relation`. Without it by default.
    fn add_for(&self, counter: Counter, relation: &str, n: u64) {
        let _ = relation;
        self.add(counter, n);
    }
    /// Sets a gauge.
    fn set(&self, gauge: Gauge, value: f64);
    /// Takes a value into a histogram. Passed over by default.
    fn observe(&self, histogram: Histogram, value: f64) {
        let _ = (histogram, value);
    }
}

impl<T: Metrics + ?Sized> Metrics for std::sync::Arc<T> {
    fn add(&self, counter: Counter, n: u64) {
        (**self).add(counter, n);
    }
    fn add_for(&self, counter: Counter, relation: &str, n: u64) {
        (**self).add_for(counter, relation, n);
    }
    fn set(&self, gauge: Gauge, value: f64) {
        (**self).set(gauge, value);
    }
    fn observe(&self, histogram: Histogram, value: f64) {
        (**self).observe(histogram, value);
    }
}

/// Measures nothing.
impl Metrics for () {
    fn add(&self, _: Counter, _: u64) {}
    fn set(&self, _: Gauge, _: f64) {}
}

/// Gives measurements to the recorder of the `metrics` crate, and so to
/// Prometheus and others.
#[cfg(feature = "metrics")]
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// Labels of every metric, for example the slot.
    pub labels: Vec<(&'static str, String)>,
}

#[cfg(feature = "metrics")]
impl Recorder {
    fn labels(&self) -> Vec<metrics::Label> {
        self.labels.iter().map(|(name, value)| metrics::Label::new(*name, value.clone())).collect()
    }
}

#[cfg(feature = "metrics")]
impl Metrics for Recorder {
    fn add(&self, counter: Counter, n: u64) {
        let mut labels = self.labels();
        labels.extend(counter.label().map(|(name, value)| metrics::Label::new(name, value)));
        metrics::counter!(counter.name(), labels).increment(n);
    }

    fn add_for(&self, counter: Counter, relation: &str, n: u64) {
        let mut labels = self.labels();
        labels.push(metrics::Label::new("relation", relation.to_owned()));
        metrics::counter!(counter.name(), labels).increment(n);
    }

    fn set(&self, gauge: Gauge, value: f64) {
        let mut labels = self.labels();
        labels
            .extend(gauge.labels().iter().map(|(name, value)| metrics::Label::new(*name, *value)));
        metrics::gauge!(gauge.name(), labels).set(value);
    }

    fn observe(&self, histogram: Histogram, value: f64) {
        metrics::histogram!(histogram.name(), self.labels()).record(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(Counter::Events(Op::Insert).label(), Some(("op", "insert")));
        assert_eq!(Counter::DeadLetters("failure").name(), "cdc_dead_letters_total");
        assert_eq!(Gauge::LagSeconds.name(), "cdc_lag_seconds");
    }

    /// The repository's list, which the manual is made of.
    #[test]
    fn list() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../observability/metrics.json");
        let list: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let is = |value: &serde_json::Value, text: &str| value.as_str() == Some(text);
        let mut listed: Vec<_> = list["metrics"].as_array().unwrap().iter().collect();
        listed.retain(|metric| metric["from"].as_array().unwrap().iter().any(|f| is(f, "rust")));
        let names = |kind: &str| {
            let of_kind = listed.iter().filter(|metric| is(&metric["type"], kind));
            let mut names: Vec<_> = of_kind.map(|m| m["name"].as_str().unwrap()).collect();
            names.sort_unstable();
            names
        };
        let mut counters = [
            Counter::Events(Op::Insert),
            Counter::Transactions,
            Counter::Bytes,
            Counter::Batches,
            Counter::Reconnects("busy"),
            Counter::Gaps,
            Counter::DeadLetters("failure"),
            Counter::StoreFailures,
            Counter::LoadRows,
            Counter::Redacted,
            Counter::UnknownFields,
            Counter::SchemaVersionMismatches,
        ]
        .map(Counter::name);
        counters.sort_unstable();
        assert_eq!(names("counter"), counters);
        let mut gauges = [
            Gauge::LagSeconds,
            Gauge::LagBytes,
            Gauge::RetainedWalBytes,
            Gauge::BufferedBytes,
            Gauge::LoadRowsExpected,
            Gauge::Connected,
            Gauge::HeartbeatAgeSeconds,
            Gauge::BuildInfo,
        ]
        .map(Gauge::name);
        gauges.sort_unstable();
        assert_eq!(names("gauge"), gauges);
        let mut histograms = [
            Histogram::ReceiveDelaySeconds,
            Histogram::AcknowledgeDelaySeconds,
            Histogram::ReadDelaySeconds,
        ]
        .map(Histogram::name);
        histograms.sort_unstable();
        assert_eq!(names("histogram"), histograms);
        let named = |name: &str| *listed.iter().find(|metric| is(&metric["name"], name)).unwrap();
        for histogram in histograms {
            let buckets = named(histogram)["buckets"].as_array().unwrap();
            assert!(buckets.iter().map(|b| b.as_f64().unwrap()).eq(Histogram::BUCKETS));
        }
        assert_eq!(
            named("cdc_reconnects_total")["labels"]["reason"],
            serde_json::json!(RECONNECTS)
        );
        let build = named("cdc_build_info")["labels"].as_object().unwrap();
        assert!(build.keys().eq(Gauge::BuildInfo.labels().iter().map(|(name, _)| name)));
        let ops = listed[0]["labels"]["op"].as_array().unwrap();
        for (op, text) in (1..).zip(["insert", "update", "delete", "truncate", "message", "read"]) {
            assert_eq!(Counter::Events(Op::from(op)).label(), Some(("op", text)));
            assert!(ops.iter().any(|op| is(op, text)), "{text}");
        }
    }
}
