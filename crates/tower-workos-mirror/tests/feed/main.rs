//! The change feed and the upkeep, on both databases.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

mod absences;
mod consumer;
mod database;
mod fold;
#[path = "../folded/mod.rs"]
mod folded;
mod order;
mod purge;
mod sweep;
mod wake;

use std::time::Duration;

use tokio::time::timeout;
use tower_workos::{DirectoryEvent, Timestamp, testing::sample};
use tower_workos_mirror::{Change, Changes};

/// Far below the 30 s after which a reader looks for changes in any case.
const SOON: Duration = Duration::from_secs(10);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.expect("it took too long")
}

/// The next changes of a stream.
async fn take(changes: &mut Changes, count: usize) -> Vec<Change> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.push(soon(changes.next()).await.unwrap().unwrap());
    }
    taken
}

fn numbers(changes: &[Change]) -> Vec<i64> {
    changes.iter().map(|change| change.seq).collect()
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_unix_millis_saturating(1_770_000_000_000 + second * 1000)
}

/// Two changes: a user is created and has access.
fn joined(user: &str) -> DirectoryEvent {
    sample::USER_CREATED.builder().user(user).at(second(0)).event()
}

/// One change: a group is created.
fn group(group: &str) -> DirectoryEvent {
    sample::GROUP_CREATED.builder().group(group).at(second(0)).event()
}
