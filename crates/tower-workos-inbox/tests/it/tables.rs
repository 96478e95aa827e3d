//! Tables that disappear, and tables that look the same.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sqlx::Connection as _;
use tower::service_fn;
use tower_workos::DirectoryEvent;
use tower_workos_inbox::{Completion, InboxErrorKind, Job};

use crate::{
    postgres::execute,
    support::{Handled, Kind, Place, events, on_engines, run, until},
};

on_engines!(
    postgres Postgres:
    a_schema_that_is_dropped_ends_the_worker,
    a_table_that_is_dropped_ends_the_worker,
    tables_that_are_dropped_end_the_worker
);

async fn a_schema_that_is_dropped_ends_the_worker(place: &Place) {
    let drop = format!("DROP SCHEMA \"{}$inbox_graphile_worker\" CASCADE", place.prefix);
    end(place, drop).await;
}

async fn a_table_that_is_dropped_ends_the_worker(place: &Place) {
    end(place, format!("DROP TABLE {}inbox_job", place.prefix)).await;
}

async fn tables_that_are_dropped_end_the_worker(place: &Place) {
    let prefix = &place.prefix;
    end(place, format!("DROP TABLE {prefix}inbox_job, {prefix}inbox_migration")).await;
}

/// Drops tables while an idle worker runs.
async fn end(place: &Place, drop: String) {
    let inbox = place.inbox().await;
    let handled = Handled::default();
    let running = run(inbox.worker(handled.service()).lease(Duration::from_secs(1)));
    inbox.store(&events(1)[0]).await.unwrap();
    until("it is handled", async || handled.len() == 1).await;
    until("its end is stored", async || inbox.status().await.unwrap().depth == 0).await;
    execute(&place.postgres().await, drop).await;
    assert_eq!(running.failed().await.kind(), InboxErrorKind::NotMigrated);
}

#[tokio::test(flavor = "multi_thread")]
async fn complete_in_ends_no_job_of_another_file() {
    let place = Place::new(Kind::Sqlite).await.unwrap();
    let mut other_place = Place::new(Kind::Sqlite).await.unwrap();
    other_place.prefix = place.prefix.clone();
    let (inbox, other) = (place.inbox().await, other_place.inbox().await);
    let events = events(2);
    inbox.store(&events[0]).await.unwrap();
    other.store(&events[1]).await.unwrap();

    // The job of the other file is claimed for the first time, as that of this file will be.
    let begun = Arc::new(AtomicU32::new(0));
    let service = {
        let begun = begun.clone();
        service_fn(move |_: DirectoryEvent| {
            begun.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<io::Result<()>>()
        })
    };
    let running = run(other.worker(service).lease(Duration::from_secs(1)));
    until("it is claimed", async || begun.load(Ordering::Relaxed) == 1).await;
    running.kill().await;
    let pool = other_place.sqlite().await;
    let claim = format!("SELECT seq, token FROM {}inbox_job", place.prefix);
    let claim = sqlx::query_as::<_, (i64, i64)>(sqlx::AssertSqlSafe(claim));
    let claim = claim.fetch_one(&pool).await.unwrap();

    let completions = Arc::new(Mutex::new(Vec::new()));
    let service = {
        let completions = completions.clone();
        service_fn(move |job: Job<DirectoryEvent>| {
            let (completions, pool) = (completions.clone(), pool.clone());
            async move {
                let mut conn = pool.acquire().await.unwrap();
                let mut transaction = conn.begin_with("BEGIN IMMEDIATE").await.unwrap();
                let completion = job.complete_in(&mut transaction).await.unwrap();
                transaction.commit().await.unwrap();
                completions.lock().unwrap().push(completion);
                Ok::<_, io::Error>(())
            }
        })
    };
    let running = run(inbox.job_worker(service));
    until("it is attempted", async || !completions.lock().unwrap().is_empty()).await;
    assert_eq!(*completions.lock().unwrap(), [Completion::Stale]);
    until("the job ends", async || inbox.status().await.unwrap().depth == 0).await;
    running.stop().await;
    let row = format!("SELECT seq, token FROM {}inbox_job", place.prefix);
    let row = sqlx::query_as::<_, (i64, i64)>(sqlx::AssertSqlSafe(row));
    assert_eq!(row.fetch_one(&place.sqlite().await).await.unwrap(), claim);
    assert_eq!(other.status().await.unwrap().depth, 1);

    let handled = Handled::default();
    let running = run(other.worker(handled.service()));
    until("the other job ends", async || other.status().await.unwrap().depth == 0).await;
    running.stop().await;
    assert_eq!(handled.sorted(), ["event_00001"]);
}
