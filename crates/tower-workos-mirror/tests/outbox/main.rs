//! Each change as a job, on both databases.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

#[path = "../databases/mod.rs"]
mod databases;

mod emulated;
mod failures;
mod jobs;
mod queues;
mod writers;

use databases::Database;
use tower_workos::{DirectoryEvent, Timestamp, testing::sample};
use tower_workos_mirror::{Change, Mirror};

const T0: i64 = 1_767_225_600_000;

fn second(second: i64) -> Timestamp {
    Timestamp::from_unix_millis_saturating(T0 + second * 1000)
}

/// Two changes: a user is created and has access.
fn joined(user: &str) -> DirectoryEvent {
    sample::USER_CREATED.builder().id(format!("event_{user}")).user(user).at(second(0)).event()
}

/// Two changes: the user's access is revoked, and the user is deleted.
fn left(user: &str) -> DirectoryEvent {
    sample::USER_DELETED.builder().id(format!("event_{user}_left")).user(user).at(second(9)).event()
}

/// The jobs of a queue as they are stored, by number of the change.
async fn jobs(database: &Database, queue: &str) -> Vec<Change> {
    let body = if database.is_postgres() { "convert_from(body, 'UTF8')" } else { "body" };
    let rows = format!("workos_inbox_job WHERE queue = '{queue}'");
    let bodies = database.column(body, &rows).await;
    let mut jobs: Vec<Change> =
        bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    jobs.sort_by_key(|change| change.seq);
    jobs
}

/// The whole feed.
async fn feed(mirror: &Mirror) -> Vec<Change> {
    mirror.changes_page(0, 1000).await.unwrap()
}

/// The jobs are the changes of the feed after this number, of which there is at least one.
async fn assert_enqueued(database: &Database, mirror: &Mirror, after: usize) {
    let feed = feed(mirror).await;
    assert!(feed.len() > after, "there is no change");
    assert_eq!(jobs(database, "sessions").await, feed[after..]);
}
