//! What there is to say at the end.

use super::{
    engine::{Outcome, Settings},
    stats::grouped,
};
use crate::output::say;

pub(super) fn say_all(settings: &Settings, outcome: &Outcome) {
    let Outcome { stats, elapsed, .. } = outcome;
    let millis = elapsed.as_millis().max(1);
    let rate = u64::try_from(u128::from(stats.attempts) * 1000 / millis).unwrap_or(u64::MAX);
    let what = if outcome.interrupted { "interrupted after" } else { "done in" };
    say(format!(
        "{what} {:.2} s: {} deliveries, {} a second (seed {})",
        elapsed.as_secs_f64(),
        grouped(stats.attempts),
        grouped(rate),
        settings.seed
    ));
    say(format!("acknowledged  {} events", grouped(outcome.acknowledged)));
    if outcome.dropped > 0 {
        say(format!("dropped       {} events were never sent (--drop)", grouped(outcome.dropped)));
    }
    say(format!("retried       {} deliveries", grouped(stats.retries)));
    say(format!("given up      {} events", grouped(outcome.given_up)));
    if outcome.uncertain > 0 {
        say(format!(
            "uncertain     {} of them: no answer came, so they may have been handled; the announced state is without them",
            grouped(outcome.uncertain)
        ));
    }
    if outcome.open > 0 {
        say(format!(
            "open          {} events had failed or were under way when it ended; the announced state is without them",
            grouped(outcome.open)
        ));
    }
    say(format!("answers       {}", stats.answers()));
    if let Some(failure) = stats.last_failure() {
        say(format!("last failure  {failure}"));
    }
    let latencies = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("max", 100.0)];
    let latencies =
        latencies.map(|(name, percentile)| format!("{name} {}", stats.latency(percentile)));
    say(format!("latency       {}", latencies.join("  ")));
}
