//! What is counted.

use std::{collections::BTreeMap, fmt, time::Duration};

use hdrhistogram::Histogram;
use http::StatusCode;

use crate::client::{Answer, SendError};

/// The longest latency told apart, in microseconds: ten minutes.
const MAX_LATENCY: u64 = 600_000_000;

/// Of deliveries, each attempt on its own.
pub(super) struct Stats {
    statuses: BTreeMap<StatusCode, u64>,
    timeouts: u64,
    /// Connections that could not be made or broke off.
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
            // The bounds are good ones, so there is a histogram.
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

    /// Answers by status, and what came instead.
    pub(super) fn answers(&self) -> String {
        let statuses =
            self.statuses.iter().map(|(status, count)| format!("{}: {count}", status.as_u16()));
        let rest = [("timed out", self.timeouts), ("failed", self.failures)];
        let rest = rest.iter().filter(|(_, count)| *count > 0);
        let all: Vec<_> =
            statuses.chain(rest.map(|(what, count)| format!("{what}: {count}"))).collect();
        if all.is_empty() { "none".to_owned() } else { all.join("  ") }
    }

    pub(super) fn latency(&self, percentile: f64) -> Latency {
        let micros = self.latencies.as_ref().map_or(0, |it| it.value_at_percentile(percentile));
        Latency(Duration::from_micros(micros))
    }
}

/// A latency in milliseconds, with as many decimals as mean something.
pub(super) struct Latency(Duration);

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_secs_f64() * 1e3;
        let decimals = if millis < 10.0 { 2 } else { usize::from(millis < 100.0) };
        write!(f, "{millis:.decimals$} ms")
    }
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
