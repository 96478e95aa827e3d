//! How the task ends.

use std::time::Duration;

use http::StatusCode;
use tokio::runtime::{Builder, Handle};
use tower_workos_mirror::MirrorPool;

use crate::{
    database::{Database, Lock},
    requests::{created, request, send, send_all, status, webhook},
};

async fn soon(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..100 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not after two seconds: {what}");
}

#[tokio::test]
async fn the_task_ends_with_the_last_mirror() {
    for database in Database::all().await {
        let mirror = database.mirror().await;
        let pool = mirror.pool().clone();
        let tasks = || Handle::current().metrics().num_alive_tasks();
        assert_eq!(mirror.dead_letters(None, 1).await.unwrap().len(), 0);
        // The pool has tasks, too.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = tasks();
        let webhook = webhook(&mirror);
        assert_eq!(status(&webhook, created("user_0")).await, StatusCode::OK);
        drop(mirror);
        assert_eq!(status(&webhook, created("user_1")).await, StatusCode::OK);
        assert!(tasks() > before);
        drop(webhook);
        soon("the task has ended", async || tasks() <= before).await;
        drop(pool);
        database.drop().await;
    }
}

/// What is queued is applied even if nobody waits for it any more.
#[tokio::test]
async fn the_queue_is_drained() {
    for database in Database::all().await {
        let mirror = database.mirror().await;
        let webhook = webhook(&mirror);
        let lock = Lock::acquire(&database).await;
        let waiting: Vec<_> = (0..3)
            .map(|user| {
                let webhook = webhook.clone();
                tokio::spawn(async move { send(&webhook, created(&format!("user_{user}"))).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop((mirror, webhook));
        for waiting in waiting {
            waiting.abort();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        lock.release().await;
        soon("all are applied", async || database.users().await == 3).await;
        database.drop().await;
    }
}

/// If the database is unavailable, the task doesn't try to store each request.
#[tokio::test]
async fn the_task_ends_while_the_database_is_away() {
    let database = Database::sqlite();
    let mirror = database.mirror_with(|it| it.timeout(Duration::from_millis(200))).await;
    let MirrorPool::Sqlite(pool) = mirror.pool() else { unreachable!() };
    pool.close().await;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let bodies = (0..200).map(|user| created(&format!("user_{user}"))).collect();
    for response in send_all(&webhook(&mirror), bodies).await {
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    drop(mirror);
    soon("the task has ended", async || tasks() <= before).await;
}

/// Requests keep the mirror alive.
#[tokio::test]
async fn a_mirror_that_is_dropped_while_requests_wait() {
    for database in Database::all().await {
        let mirror = database.mirror().await;
        let response = tower::ServiceExt::oneshot(webhook(&mirror), request(created("user_0")));
        drop(mirror);
        assert_eq!(response.await.unwrap().status(), StatusCode::OK);
        database.drop().await;
    }
}

/// The task ends with the runtime in which the first request arrived.
#[test]
fn a_mirror_outlives_a_runtime() {
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    let database = Database::sqlite();
    let first = runtime();
    let mirror = first.block_on(database.mirror());
    let webhook = webhook(&mirror);
    assert_eq!(first.block_on(status(&webhook, created("user_0"))), StatusCode::OK);
    drop(first);
    let second = runtime();
    assert_eq!(second.block_on(status(&webhook, created("user_1"))), StatusCode::OK);
    assert_eq!(second.block_on(database.users()), 2);
}
