//! The lines at the end of a simulation.

use indicatif::HumanCount;

use super::{outcome::Outcome, settings::Settings};
use crate::output::say;

pub(crate) fn say_all(settings: &Settings, outcome: &Outcome) {
    let Outcome { stats, elapsed, .. } = outcome;
    let what = if outcome.interrupted { "interrupted after" } else { "done in" };
    say(format!(
        "{what} {:.2} s: {} deliveries, {} a second (seed {})",
        elapsed.as_secs_f64(),
        HumanCount(stats.attempts),
        stats.rate(*elapsed),
        settings.seed
    ));
    say(format!("acknowledged  {} events", HumanCount(outcome.acknowledged)));
    if outcome.dropped > 0 {
        say(format!(
            "dropped       {} events were never sent (--drop)",
            HumanCount(outcome.dropped)
        ));
    }
    say(format!("retried       {} deliveries", HumanCount(stats.retries)));
    say(format!("given up      {} events", HumanCount(outcome.given_up)));
    if outcome.uncertain > 0 {
        say(format!(
            "uncertain     {} of them: no response arrived, so the application may have handled them; the expected \
             state does not include them",
            HumanCount(outcome.uncertain)
        ));
    }
    if outcome.open > 0 {
        say(format!(
            "open          {} events were waiting for a retry or a response at the end; the expected state does not \
             include them",
            HumanCount(outcome.open)
        ));
    }
    say(format!("responses     {}", stats.answers()));
    if let Some(failure) = stats.last_failure() {
        say(format!("last failure  {failure}"));
    }
    let latencies = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("max", 100.0)];
    let latencies =
        latencies.map(|(name, percentile)| format!("{name} {:.1?}", stats.latency(percentile)));
    say(format!("latency       {}", latencies.join("  ")));
}
