//! What is special about SQLite.

use std::time::Duration;

use sqlx::{Connection as _, Row as _, SqlitePool};
use tokio::time::sleep;
use tower::service_fn;
use tower_workos::DirectoryEvent;
use tower_workos_inbox::{Completion, Inbox, InboxErrorKind, Job, Stored};

use crate::support::{Handled, Kind, Place, events, run, until};

async fn place() -> Place {
    Place::new(Kind::Sqlite).await.unwrap()
}

async fn rows(pool: &SqlitePool, sql: &str) -> Vec<String> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(pool).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_locked_delays_events() {
    let place = place().await;
    let inbox = place.inbox_with(|it| it.timeout(Duration::from_millis(1500))).await;
    let handled = Handled::default();
    let running = run(inbox.worker(handled.service()));
    let events = events(20);
    inbox.store(&events[0]).await.unwrap();
    until("one is handled", async || handled.len() == 1).await;

    let pool = place.sqlite().await;
    let mut conn = pool.acquire().await.unwrap();
    // Longer than the busy time-out of one second: SQLITE_BUSY.
    let lock = conn.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let error = inbox.store(&events[1]).await.unwrap_err();
    assert_eq!(error.kind(), InboxErrorKind::Storage);
    sleep(Duration::from_millis(1500)).await;
    lock.rollback().await.unwrap();

    // WorkOS sends it again, and the worker has not ended.
    for event in &events[1..] {
        inbox.store(event).await.unwrap();
    }
    until("all are handled", async || handled.len() == 20).await;
    until("nothing is left", async || inbox.status().await.unwrap().depth == 0).await;
    running.stop().await;
    assert_eq!(handled.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_one_connection_works() {
    let inbox = Inbox::connect("sqlite::memory:").await.unwrap();
    inbox.migrate().await.unwrap();
    let handled = Handled::default();
    let running = run(inbox.worker(handled.service()));
    let stores = events(200).into_iter().map(|event| {
        let inbox = inbox.clone();
        tokio::spawn(async move { inbox.store(&event).await.unwrap() })
    });
    for store in stores.collect::<Vec<_>>() {
        assert_eq!(store.await.unwrap(), Stored::New);
    }
    until("all are handled", async || handled.len() == 200).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_and_migrations_of_the_application_are_untouched() {
    let place = place().await;
    let options: sqlx::sqlite::SqliteConnectOptions = place.url.parse().unwrap();
    let options = options
        .create_if_missing(true)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Extra);
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(5);
    let pool = pool.connect_with(options).await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY); INSERT INTO _sqlx_migrations VALUES (7)",
    )
    .execute(&pool)
    .await
    .unwrap();

    let inbox = Inbox::new(pool.clone());
    inbox.migrate().await.unwrap();
    inbox.migrate().await.unwrap();
    let handled = Handled::default();
    let running = run(inbox.worker(handled.service()));
    for event in events(10) {
        inbox.store(&event).await.unwrap();
    }
    until("all are handled", async || handled.len() == 10).await;
    running.stop().await;

    let mut connections = Vec::new();
    for _ in 0..5 {
        let mut connection = pool.acquire().await.unwrap();
        let synchronous: i64 =
            sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *connection).await.unwrap();
        assert_eq!(synchronous, 3);
        connections.push(connection);
    }
    drop(connections);
    let version: i64 =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations").fetch_one(&pool).await.unwrap();
    assert_eq!(version, 7);
    assert_eq!(
        rows(&pool, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name").await,
        ["_sqlx_migrations", "workos_inbox_job", "workos_inbox_migration"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_erased_and_keys_are_kept_for_the_retention() {
    let place = place().await;
    let inbox = place.inbox().await;
    let handled = Handled::default();
    let running = run(inbox.worker(handled.service()));
    for event in events(3) {
        inbox.store(&event).await.unwrap();
    }
    until("nothing is left", async || inbox.status().await.unwrap().depth == 0).await;
    running.stop().await;
    let pool = place.sqlite().await;
    let table = format!("{}inbox_job", place.prefix);
    let bodies = format!("SELECT count(body) || ' of ' || count(*) FROM {table}");
    assert_eq!(rows(&pool, &bodies).await, ["0 of 3"]);
    // Fresh keys are not purged, and neither is anything that is not handled.
    inbox.store(&events(4)[3]).await.unwrap();
    assert_eq!(inbox.purge().await.unwrap(), 0);
    let forgetful = place.inbox_with(|it| it.retention(Duration::ZERO)).await;
    assert_eq!(forgetful.purge().await.unwrap(), 3);
    assert_eq!(rows(&pool, &bodies).await, ["1 of 1"]);
    assert_eq!(inbox.status().await.unwrap().depth, 1);
    // More than one transaction forgets at once.
    let insert = format!(
        "INSERT INTO {table} (queue, key, name, stored_at, run_at, state) \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1234) \
         SELECT 'inbox', 'old' || i, 'x', 0, 0, 2 FROM n"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(insert)).execute(&pool).await.unwrap();
    assert_eq!(inbox.purge().await.unwrap(), 1234);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_stored_in_the_transaction_of_the_application() {
    let place = place().await;
    let inbox = place.inbox().await;
    let pool = place.sqlite().await;
    let events = events(3);
    let mut transaction = pool.begin().await.unwrap();
    let stored = inbox.store_in(&mut transaction, &events).await.unwrap();
    assert_eq!(stored, [Stored::New; 3]);
    transaction.rollback().await.unwrap();
    assert_eq!(inbox.status().await.unwrap().depth, 0);

    let mut transaction = pool.begin().await.unwrap();
    let twice = [events[0].clone(), events[0].clone(), events[1].clone()];
    let stored = inbox.store_in(&mut transaction, &twice).await.unwrap();
    assert_eq!(stored, [Stored::New, Stored::Duplicate, Stored::New]);
    transaction.commit().await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    let stored = inbox.store_in(&mut transaction, &events).await.unwrap();
    assert_eq!(stored, [Stored::Duplicate, Stored::Duplicate, Stored::New]);
    transaction.commit().await.unwrap();
    let handled = Handled::default();
    let running = run(inbox.worker(handled.service()));
    until("all are handled", async || handled.len() == 3).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_completed_in_the_transaction_of_the_handler() {
    let place = place().await;
    let inbox = place.inbox().await;
    let pool = place.sqlite().await;
    sqlx::raw_sql("CREATE TABLE effect (key TEXT)").execute(&pool).await.unwrap();
    let service = {
        let pool = pool.clone();
        service_fn(move |job: Job<DirectoryEvent>| {
            let pool = pool.clone();
            async move {
                let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
                sqlx::query("INSERT INTO effect VALUES (?)")
                    .bind(job.key())
                    .execute(&mut *transaction)
                    .await?;
                let completion = job.complete_in(&mut transaction).await?;
                assert_eq!(completion, Completion::Completed);
                if job.attempts() == 1 {
                    transaction.rollback().await?;
                    return Err(sqlx::Error::WorkerCrashed.into());
                }
                transaction.commit().await?;
                // After the commit, a second completion finds nothing to do.
                let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
                assert_eq!(job.complete_in(&mut transaction).await?, Completion::Stale);
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            }
        })
    };
    let retry = tower_workos_inbox::Retry::default()
        .wait(Duration::from_millis(10), Duration::from_millis(10));
    let running = run(inbox.job_worker(service).retry(retry));
    for event in events(5) {
        inbox.store(&event).await.unwrap();
    }
    until("nothing is left", async || inbox.status().await.unwrap().depth == 0).await;
    running.stop().await;
    let mut keys = rows(&pool, "SELECT key FROM effect").await;
    keys.sort();
    assert_eq!(keys, ["event_00000", "event_00001", "event_00002", "event_00003", "event_00004"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_missing_or_too_new_are_explained() {
    let place = place().await;
    let pool = place.sqlite().await;
    let inbox = Inbox::new(pool.clone());
    let error = inbox.store(&events(1)[0]).await.unwrap_err();
    assert_eq!(error.kind(), InboxErrorKind::NotMigrated);
    let error = inbox.worker(Handled::default().service()).run_until(std::future::pending()).await;
    assert_eq!(error.unwrap_err().kind(), InboxErrorKind::NotMigrated);

    inbox.migrate().await.unwrap();
    sqlx::raw_sql("INSERT INTO workos_inbox_migration VALUES (99, 0)")
        .execute(&pool)
        .await
        .unwrap();
    let error = inbox.migrate().await.unwrap_err();
    assert_eq!(error.kind(), InboxErrorKind::Config);
}

/// A service that is not `Sync`, behind layers of tower.
#[tokio::test(flavor = "multi_thread")]
async fn layers_of_tower_apply() {
    let place = place().await;
    let inbox = place.inbox().await;
    let handled = Handled::default();
    let service = {
        let handled = handled.clone();
        service_fn(move |event: DirectoryEvent| {
            let handled = handled.clone();
            async move {
                if handled.len() == 0 {
                    handled.add(&event);
                    // Longer than the time-out.
                    sleep(Duration::from_secs(60)).await;
                }
                handled.add(&event);
                Ok::<_, std::io::Error>(())
            }
        })
    };
    let service = tower::ServiceBuilder::new()
        .layer(tower::util::BoxCloneService::layer())
        .concurrency_limit(1)
        .timeout(Duration::from_millis(200))
        .service(service);
    let retry = tower_workos_inbox::Retry::default()
        .wait(Duration::from_millis(10), Duration::from_millis(10));
    let running = run(inbox.worker(service).retry(retry));
    for event in events(3) {
        inbox.store(&event).await.unwrap();
    }
    until("nothing is left", async || inbox.status().await.unwrap().depth == 0).await;
    running.stop().await;
    // One was attempted twice.
    assert_eq!(handled.len(), 4);
}

/// A handler that forgets to commit.
#[tokio::test(flavor = "multi_thread")]
async fn a_completion_that_is_not_committed_does_not_count() {
    let place = place().await;
    let inbox = place.inbox().await;
    let pool = place.sqlite().await;
    let service = {
        let pool = pool.clone();
        service_fn(move |job: Job<DirectoryEvent>| {
            let pool = pool.clone();
            async move {
                let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
                assert_eq!(job.complete_in(&mut transaction).await?, Completion::Completed);
                transaction.rollback().await?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            }
        })
    };
    inbox.store(&events(1)[0]).await.unwrap();
    let running = run(inbox.job_worker(service));
    let sql = format!("SELECT coalesce(error, '') FROM {}inbox_job", place.prefix);
    until("the reason is kept", async || rows(&pool, &sql).await[0].contains("not committed"))
        .await;
    running.stop().await;
    assert_eq!(inbox.status().await.unwrap().depth, 1);
}
