//! The names of the metrics, and their descriptions.
//!
//! They are recorded through the [`metrics`](https://docs.rs/metrics) facade, if the application installs a recorder.
//!
//! | name | type | labels |
//! |---|---|---|
//! | [`ENQUEUED_TOTAL`] | counter | `queue`; `result`: `new`, `duplicate`, `dead` or `failed` |
//! | [`JOBS_TOTAL`] | counter | `queue`; `outcome`: `done`, `retry`, `stopped` or `dead` |
//! | [`DEPTH`] | gauge | `queue` |
//! | [`OLDEST_AGE`] | gauge | `queue` |
//! | [`DEAD_LETTERS`] | gauge | `queue` |
//!
//! A running worker sets the gauges every 10 seconds. No label contains an id or any other text from an item.
//!
//! The feature also enables [`tower_workos::metrics`], because [`Inbox::webhook`](crate::Queue::webhook) verifies the
//! deliveries. Those metrics have their own [`describe`](tower_workos::metrics::describe).

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::{error::InboxError, queue::Stored, status::QueueStatus};

/// Items, by result. `new`: it was stored; `duplicate`: an item with this key was stored before; `dead`: a body that can't be
/// read was stored as a dead letter; `failed`: it was not stored. Items that are stored in a transaction of the application are
/// not counted.
pub const ENQUEUED_TOTAL: &str = "workos_inbox_enqueued_total";
/// Attempts to handle an item, by outcome. `done`: it was handled; `retry`: the handler failed, and the item will be delivered
/// again; `stopped`: the worker stopped before the handler returned, and the item will be delivered again; `dead`: the item is now a
/// dead letter.
pub const JOBS_TOTAL: &str = "workos_inbox_jobs_total";
/// The number of items that are not handled yet. Dead letters don't count.
pub const DEPTH: &str = "workos_inbox_depth";
/// How many seconds ago the oldest of these items was stored, or 0.
pub const OLDEST_AGE: &str = "workos_inbox_oldest_age_seconds";
/// The number of dead letters.
pub const DEAD_LETTERS: &str = "workos_inbox_dead";

pub(crate) const DEAD: &str = "dead";
pub(crate) const FAILED: &str = "failed";

/// Registers the descriptions of the metrics. Call it once, after the recorder is installed.
pub fn describe() {
    describe_counter!(ENQUEUED_TOTAL, Unit::Count, "Items that were stored, by result");
    describe_counter!(JOBS_TOTAL, Unit::Count, "Attempts to handle an item, by outcome");
    describe_gauge!(DEPTH, Unit::Count, "Items that are not handled yet");
    describe_gauge!(OLDEST_AGE, Unit::Seconds, "Age of the oldest item that is not handled yet");
    describe_gauge!(DEAD_LETTERS, Unit::Count, "Dead letters");
}

pub(crate) fn stored(stored: &Result<Stored, InboxError>) -> &'static str {
    match stored {
        Ok(Stored::New) => "new",
        Ok(Stored::Duplicate) => "duplicate",
        Err(_) => FAILED,
    }
}

pub(crate) fn enqueued(queue: &str, result: &'static str) {
    counter!(ENQUEUED_TOTAL, "queue" => queue.to_owned(), "result" => result).increment(1);
}

pub(crate) fn job(queue: &str, outcome: &'static str) {
    counter!(JOBS_TOTAL, "queue" => queue.to_owned(), "outcome" => outcome).increment(1);
}

pub(crate) fn status(queue: &str, status: &QueueStatus) {
    let figure = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    gauge!(DEPTH, "queue" => queue.to_owned()).set(figure(status.depth));
    let age = status.oldest_age.unwrap_or_default();
    gauge!(OLDEST_AGE, "queue" => queue.to_owned()).set(age.as_secs_f64());
    gauge!(DEAD_LETTERS, "queue" => queue.to_owned()).set(figure(status.dead));
}
