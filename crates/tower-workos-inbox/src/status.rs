//! The state of a queue.

use std::time::Duration;

use serde::Serialize;

/// The state of a queue, for a health check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QueueStatus {
    /// How many items are not handled yet, including those that wait for another attempt and those that are being handled. Dead
    /// letters don't count.
    pub depth: u64,
    /// How long ago the oldest of them was stored.
    pub oldest_age: Option<Duration>,
    /// How many dead letters there are.
    pub dead: u64,
}
