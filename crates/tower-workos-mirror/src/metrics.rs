//! The names of the metrics, and their descriptions.
//!
//! They are recorded through the [`metrics`](https://docs.rs/metrics) facade, if the application installs a recorder.
//!
//! | name | type | labels |
//! |---|---|---|
//! | [`APPLY_TOTAL`] | counter | `event`: a `dsync.*` name that this version knows, or `other`; `outcome`: see [`APPLY_TOTAL`] |
//! | [`EVENT_LAG`] | histogram | |
//! | [`APPLY_DURATION`] | histogram | |
//! | [`QUEUE_DEPTH`] | gauge | |
//!
//! With the feature `reconcile`:
//!
//! | name | type | labels |
//! |---|---|---|
//! | `workos_reconcile_runs_total` | counter | `outcome`: `complete`, `incomplete` or `failed` |
//! | `workos_reconcile_drift_total` | counter | `kind`: the change that repairs the difference, such as `user_revoked`; `action`: `applied`, `reported` or `withheld` |
//! | `workos_reconcile_last_success_timestamp_seconds` | gauge | |
//! | `workos_reconcile_throttled_total` | counter | |
//! | `workos_events_poller_lag_seconds` | gauge | |
//!
//! No label contains an id or any other text from an event.
//!
//! The feature also enables [`tower_workos::metrics`], because [`Mirror::webhook`](crate::Mirror::webhook) verifies the
//! deliveries. Those metrics have their own [`describe`](tower_workos::metrics::describe).

use std::time::{Duration, SystemTime};

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use tower_workos::DirectoryEvent;

use crate::change::Change;

/// Events, by name and outcome. `changed`: the event caused a change; `unchanged`: it was late, stale or repeated, or is of
/// a kind that changes nothing; `dead_letter`: it was kept as a dead letter; `failed`: it was not stored.
pub const APPLY_TOTAL: &str = "workos_mirror_apply_total";
/// Seconds from an event's `created_at` until it was applied.
pub const EVENT_LAG: &str = "workos_mirror_event_lag_seconds";
/// Seconds from the attempt to begin a transaction until its commit, including the wait for the lock. One transaction applies
/// up to [`batch`](crate::MirrorBuilder::batch) events.
pub const APPLY_DURATION: &str = "workos_mirror_apply_duration_seconds";
/// The number of events that wait for a transaction. If it approaches [`queue`](crate::MirrorBuilder::queue), the database is
/// too slow or unavailable.
pub const QUEUE_DEPTH: &str = "workos_mirror_queue_depth";

/// Responses of the WorkOS API with the status 429 (too many requests).
#[cfg(feature = "reconcile")]
#[cfg_attr(docsrs, doc(cfg(feature = "reconcile")))]
pub const THROTTLED_TOTAL: &str = "workos_reconcile_throttled_total";

/// Runs of the [`Reconciler`](crate::Reconciler). `complete`: everything was compared and repaired; `incomplete`: some directory
/// was not, or its removals were withheld; `failed`: the run failed. Dry runs are not counted.
#[cfg(feature = "reconcile")]
#[cfg_attr(docsrs, doc(cfg(feature = "reconcile")))]
pub const RUNS_TOTAL: &str = "workos_reconcile_runs_total";
/// Differences between the mirror and the API, by the [change](crate::ChangeKind) that repairs them and by
/// [action](crate::DriftAction).
#[cfg(feature = "reconcile")]
#[cfg_attr(docsrs, doc(cfg(feature = "reconcile")))]
pub const DRIFT_TOTAL: &str = "workos_reconcile_drift_total";
/// When the last complete run ended, in seconds since the Unix epoch.
#[cfg(feature = "reconcile")]
#[cfg_attr(docsrs, doc(cfg(feature = "reconcile")))]
pub const LAST_SUCCESS: &str = "workos_reconcile_last_success_timestamp_seconds";

/// How many seconds the position in the Events API is behind the present, as [`Drain::lag`](crate::Drain::lag). It grows while
/// polling fails.
#[cfg(feature = "reconcile")]
#[cfg_attr(docsrs, doc(cfg(feature = "reconcile")))]
pub const POLLER_LAG: &str = "workos_events_poller_lag_seconds";

pub(crate) const DEAD_LETTER: &str = "dead_letter";
pub(crate) const FAILED: &str = "failed";

/// The names that can be the value of a label. Other names are arbitrary text from the sender.
const KNOWN: [&str; 12] = [
    "dsync.activated",
    "dsync.deleted",
    "dsync.group.created",
    "dsync.group.deleted",
    "dsync.group.updated",
    "dsync.group.user_added",
    "dsync.group.user_removed",
    "dsync.token.created",
    "dsync.token.revoked",
    "dsync.user.created",
    "dsync.user.deleted",
    "dsync.user.updated",
];
const OTHER: &str = "other";

/// Registers the descriptions of the metrics. Call it once, after the recorder is installed.
pub fn describe() {
    describe_counter!(APPLY_TOTAL, Unit::Count, "Events, by name and outcome");
    describe_histogram!(EVENT_LAG, Unit::Seconds, "Time from an event until it was applied");
    describe_histogram!(
        APPLY_DURATION,
        Unit::Seconds,
        "Duration of a transaction that applies events"
    );
    describe_gauge!(QUEUE_DEPTH, Unit::Count, "Events that wait for a transaction");
    #[cfg(feature = "reconcile")]
    {
        describe_counter!(RUNS_TOTAL, Unit::Count, "Runs of the reconciler, by outcome");
        describe_counter!(
            DRIFT_TOTAL,
            Unit::Count,
            "Differences from the WorkOS API, by kind and action"
        );
        describe_gauge!(LAST_SUCCESS, Unit::Seconds, "When the last complete run ended");
        describe_counter!(THROTTLED_TOTAL, Unit::Count, "Responses of the WorkOS API with 429");
        describe_gauge!(
            POLLER_LAG,
            Unit::Seconds,
            "How far the position in the Events API is behind"
        );
    }
}

pub(crate) fn event(event: &DirectoryEvent, changes: &[Change]) {
    applied(Some(event.name()), if changes.is_empty() { "unchanged" } else { "changed" });
    if let Some(created_at) = event.created_at() {
        let lag = SystemTime::now().duration_since(created_at.into()).unwrap_or_default();
        histogram!(EVENT_LAG).record(lag);
    }
}

pub(crate) fn applied(name: Option<&str>, outcome: &'static str) {
    let known = KNOWN.iter().copied().find(|known| name == Some(*known)).unwrap_or(OTHER);
    counter!(APPLY_TOTAL, "event" => known, "outcome" => outcome).increment(1);
}

pub(crate) fn batch(duration: Duration) {
    histogram!(APPLY_DURATION).record(duration);
}

/// A difference that a run found.
#[cfg(feature = "reconcile")]
pub(crate) fn drift(kind: &'static str, action: &'static str) {
    counter!(DRIFT_TOTAL, "kind" => kind, "action" => action).increment(1);
}

/// The end of a run: whether it was complete, or `None` if it failed.
#[cfg(feature = "reconcile")]
pub(crate) fn run(is_complete: Option<bool>) {
    let outcome = match is_complete {
        Some(true) => "complete",
        Some(false) => "incomplete",
        None => "failed",
    };
    counter!(RUNS_TOTAL, "outcome" => outcome).increment(1);
    if is_complete == Some(true) {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        gauge!(LAST_SUCCESS).set(now.as_secs_f64());
    }
}

pub(crate) fn queue_depth(waiting: usize) {
    gauge!(QUEUE_DEPTH).set(f64::from(u32::try_from(waiting).unwrap_or(u32::MAX)));
}

#[cfg(feature = "reconcile")]
pub(crate) fn throttled() {
    counter!(THROTTLED_TOTAL).increment(1);
}

#[cfg(feature = "reconcile")]
pub(crate) fn poller_lag(lag: Duration) {
    gauge!(POLLER_LAG).set(lag.as_secs_f64());
}
