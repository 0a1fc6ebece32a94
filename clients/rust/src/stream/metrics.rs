//! Counters and gauges, and what they are called.

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
    /// `cdc_reconnects_total`: attempts to connect after the first connection.
    Reconnects,
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
            Counter::Reconnects => "cdc_reconnects_total",
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
            Counter::DeadLetters(reason) => Some(("reason", reason)),
            _ => None,
        }
    }
}

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
        metrics::gauge!(gauge.name(), self.labels()).set(value);
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
}
