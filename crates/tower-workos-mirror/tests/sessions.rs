//! The example `sessions`, as a user runs it: it receives deliveries in disorder, and is stopped and started in between.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

mod app;
mod databases;
mod folded;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use app::{SECRET, Sender, check, driver::Example, life, setting, url};
use bytes::Bytes;
use databases::{Database, on_sqlite};
use tokio::{task::JoinSet, time::sleep};
use tower_workos::{Timestamp, testing::sample};
use tower_workos_mirror::{ChangeKind, Mirror};

/// The statement in the example's head comment.
const LOG_IN: &str = "INSERT INTO sessions SELECT user_id, organization_id, email_key FROM workos_access WHERE user_id = ";

fn start(database: &Database) -> Example {
    let settings = [("DATABASE_URL", &*url(database))];
    tokio::task::block_in_place(|| Example::start_with("sessions", Some(SECRET), &settings))
}

fn stop(example: Example) {
    let (code, out, err) = tokio::task::block_in_place(|| example.interrupt());
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""));
}

/// Delivers all of it, many at a time. While no process runs, the deliveries are sent again.
fn deliver(sender: &Arc<Sender>, address: &Arc<Mutex<String>>, bodies: &[Bytes]) -> JoinSet<()> {
    let mut deliveries = JoinSet::new();
    for bodies in bodies.chunks(bodies.len().div_ceil(16)) {
        let (sender, address, bodies) = (Arc::clone(sender), Arc::clone(address), bodies.to_vec());
        deliveries.spawn(async move {
            for body in bodies {
                sender.deliver(|| address.lock().unwrap().clone(), body).await;
            }
        });
    }
    deliveries
}

async fn access(database: &Database) -> Vec<String> {
    database.column("user_id", "workos_access").await
}

async fn log_in(database: &Database, user: &str) {
    database.run(&format!("{LOG_IN}'{user}'")).await;
}

async fn sessions(database: &Database) -> Vec<String> {
    database.column("user_id", "sessions").await
}

/// Waits until every job is done.
async fn settle(database: &Database) {
    let begin = Instant::now();
    while database.count("workos_inbox_job WHERE state = 0").await > 0 {
        assert!(begin.elapsed() < Duration::from_secs(60), "the jobs are not handled");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(database.count("workos_inbox_job WHERE state = 1").await, 0, "dead letters");
}

/// Returns how many sessions were ended.
async fn live(database: &Database, seed: usize) -> usize {
    let (bodies, expected) = life(seed.try_into().unwrap(), 600);
    let (before, after) = bodies.split_at(bodies.len() / 2);
    let mut example = start(database);
    let sender = Arc::new(Sender::new());
    let address = Arc::new(Mutex::new(example.address.clone()));
    deliver(&sender, &address, before).join_all().await;
    let mut users = access(database).await;
    for user in &users {
        log_in(database, user).await;
    }
    let mirror = Mirror::new(database.pool());
    let middle = mirror.feed_range().await.unwrap().end;

    let deliveries = deliver(&sender, &address, after);
    for _ in 0..2 {
        sleep(Duration::from_millis(100)).await;
        stop(example);
        example = start(database);
        (*address.lock().unwrap()).clone_from(&example.address);
        // Some lose access just now, or have lost it.
        for user in &users {
            log_in(database, user).await;
        }
    }
    deliveries.join_all().await;
    settle(database).await;
    stop(example);
    check(&url(database), &expected).await;

    let has_access: BTreeSet<_> = access(database).await.into_iter().collect();
    let kept: BTreeSet<_> = sessions(database).await.into_iter().collect();
    assert_eq!(kept.difference(&has_access).collect::<Vec<_>>(), Vec::<&String>::new());
    // A person who had access all the time was not logged out.
    let mut lost = BTreeSet::new();
    for change in mirror.changes_page(middle, 1000).await.unwrap() {
        let directory = change.directory_id.map(|it| it.to_string()).unwrap_or_default();
        match (change.kind, change.user_id) {
            (ChangeKind::UserRevoked, Some(user)) => drop(lost.insert(user.to_string())),
            (ChangeKind::DirectoryRevoked, _) => {
                let those = format!("workos_known_users WHERE directory_id = '{directory}'");
                lost.extend(database.column("id", &those).await);
            }
            _ => {}
        }
    }
    users.retain(|user| !lost.contains(user));
    let missing: Vec<_> = users.iter().filter(|user| !kept.contains(*user)).collect();
    assert_eq!(missing, Vec::<&String>::new(), "seed {seed}");
    lost.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_outlives_access() {
    let mut lost = 0;
    for seed in 1..=setting("SESSIONS_SEEDS", 5) {
        lost += live(&Database::sqlite().await, seed).await;
    }
    assert!(lost > 20, "{lost}");
}

/// Somebody moves to another directory of the same organization, and leaves it later.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_moves_keeps_the_session() {
    on_sqlite(async |database| {
        let example = start(database);
        let sender = Sender::new();
        let deliver = async |event: sample::Sample, id: &str, user: &str, second: i64| {
            let at = Timestamp::from_unix_millis_saturating(1_767_225_600_000 + second * 1000);
            let builder = event.builder().id(id).user(user).organization("org").at(at);
            let builder = builder.directory(format!("directory_of_{user}"));
            let body = builder.data("email", "Ada@example.com").body();
            sender.deliver(|| example.address.clone(), body).await;
        };
        deliver(sample::USER_CREATED, "event_1", "okta", 1).await;
        log_in(database, "okta").await;
        log_in(database, "nobody").await;
        assert_eq!(sessions(database).await, ["okta"]);
        deliver(sample::USER_CREATED, "event_2", "entra", 2).await;
        deliver(sample::USER_DELETED, "event_3", "okta", 3).await;
        settle(database).await;
        assert_eq!(sessions(database).await, ["entra"]);
        deliver(sample::USER_DELETED, "event_4", "entra", 4).await;
        settle(database).await;
        assert_eq!(sessions(database).await, Vec::<String>::new());
        stop(example);
    })
    .await;
}
