//! Counters and latencies of the deliveries.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use http::StatusCode;
use indicatif::HumanCount;

use crate::client::{Answer, SendError};

/// The upper limit of the histogram, in microseconds: ten minutes.
const MAX_LATENCY: u64 = 600_000_000;

/// Counts every attempt separately.
pub(crate) struct Stats {
    statuses: BTreeMap<StatusCode, u64>,
    timeouts: u64,
    /// Connections that could not be opened or that broke.
    failures: u64,
    last_failure: Option<String>,
    pub(super) attempts: u64,
    pub(super) retries: u64,
    latencies: Option<Histogram<u64>>,
}

impl Stats {
    pub(super) fn new() -> Self {
        Self {
            statuses: BTreeMap::new(),
            timeouts: 0,
            failures: 0,
            last_failure: None,
            attempts: 0,
            retries: 0,
            // Always `Some`, because these bounds are valid.
            latencies: Histogram::new_with_bounds(1, MAX_LATENCY, 3).ok(),
        }
    }

    pub(super) fn record(&mut self, result: &Result<Answer, SendError>) {
        self.attempts += 1;
        match result {
            Ok(answer) => {
                *self.statuses.entry(answer.status).or_default() += 1;
                if let Some(latencies) = &mut self.latencies {
                    let micros = u64::try_from(answer.elapsed.as_micros()).unwrap_or(u64::MAX);
                    latencies.saturating_record(micros);
                }
            }
            Err(error) if error.timeout => self.timeouts += 1,
            Err(error) => {
                self.failures += 1;
                self.last_failure = Some(error.to_string());
            }
        }
    }

    pub(super) fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    /// Attempts per second.
    pub(super) fn rate(&self, elapsed: Duration) -> HumanCount {
        let millis = elapsed.as_millis().max(1);
        HumanCount(u64::try_from(u128::from(self.attempts) * 1000 / millis).unwrap_or(u64::MAX))
    }

    /// The number of responses by status, and of failures.
    pub(super) fn answers(&self) -> String {
        let statuses =
            self.statuses.iter().map(|(status, count)| format!("{}: {count}", status.as_u16()));
        let rest = [("timed out", self.timeouts), ("failed", self.failures)];
        let rest = rest.iter().filter(|(_, count)| *count > 0);
        let all: Vec<_> =
            statuses.chain(rest.map(|(what, count)| format!("{what}: {count}"))).collect();
        if all.is_empty() { "none".to_owned() } else { all.join("  ") }
    }

    pub(super) fn latency(&self, percentile: f64) -> Duration {
        let micros = self.latencies.as_ref().map_or(0, |it| it.value_at_percentile(percentile));
        Duration::from_micros(micros)
    }
}
