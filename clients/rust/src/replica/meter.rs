//! How far a load is: rows, of about how many, how fast, and the time that is left.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::stream::metrics::{Counter, Gauge, Metrics};

/// Of this process: what was read by an earlier one does not count.
#[derive(Clone, Default)]
pub(super) struct Meter {
    metrics: Option<Arc<dyn Metrics>>,
    pub(super) rows: u64,
    /// As far as the server knows; 0 if it does not.
    pub(super) expected: u64,
    began: Option<Instant>,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("rows", &self.rows).field("expected", &self.expected).finish()
    }
}

/// Loads are the same wherever they are.
impl PartialEq for Meter {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Meter {
    pub(super) fn new(metrics: Arc<dyn Metrics>) -> Self {
        Meter { metrics: Some(metrics), ..Meter::default() }
    }

    /// Before rows are read.
    pub(super) fn begin(&mut self) {
        self.began.get_or_insert_with(Instant::now);
    }

    pub(super) fn expect(&mut self, rows: u64) {
        self.expected = rows;
        if let Some(metrics) = &self.metrics {
            metrics.set(Gauge::LoadRowsExpected, rows as f64);
        }
    }

    pub(super) fn read(&mut self, rows: u64) {
        self.rows += rows;
        if let Some(metrics) = &self.metrics {
            metrics.add(Counter::LoadRows, rows);
        }
    }

    /// Says how far it is; `parts`: of how many, and how many are read.
    pub(super) fn tell(&self, relation: &str, (all, done): (usize, usize)) {
        let taken = self.began.map_or(Duration::ZERO, |began| began.elapsed()).as_secs_f64();
        let rate = if taken > 0.0 { self.rows as f64 / taken } else { 0.0 };
        let left = match self.expected.saturating_sub(self.rows) {
            _ if rate == 0.0 || self.expected == 0 || all == done => None,
            rows => Some((rows as f64 / rate).round()),
        };
        tracing::info!(
            relation,
            rows = self.rows,
            expected = self.expected,
            rows_per_second = rate.round(),
            seconds_left = left,
            parts_read = done,
            parts = all,
            "initial load"
        );
    }
}
