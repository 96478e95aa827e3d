//! Expired rows are deleted.

use std::time::Duration;

use tokio::task::JoinSet;
use tower_workos::{DedupeStore, dedupe::Completion};
use tower_workos_sqlx::{PostgresStore, SqliteStore};

use super::{LONG, acquire, done, key};
use crate::databases::{self, Schema};

const POSTGRES_EXPIRED: &str = "INSERT INTO tower_workos_dedupe \
    SELECT '', 'old_' || i, '', true, now() FROM generate_series(1, 2000) i";
const SQLITE_EXPIRED: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) \
    INSERT INTO tower_workos_dedupe SELECT '', 'old_' || i, x'00', 1, 1 FROM n";
const REST: &str = "SELECT count(*) FROM tower_workos_dedupe WHERE event_id LIKE 'old_%'";
const ALL: &str = "SELECT count(*) FROM tower_workos_dedupe";

/// Completes 400 events over several stores, as several processes would.
async fn work<St: DedupeStore>(stores: Vec<St>) {
    let mut processes = JoinSet::new();
    for (process, store) in stores.into_iter().enumerate() {
        processes.spawn(async move {
            for index in 0..50 {
                done(&store, &key(&format!("event_{process}_{index}"))).await;
            }
        });
    }
    processes.join_all().await;
}

/// Waits until the count is 0.
async fn until_none(what: &str, count: impl AsyncFn() -> i64) {
    for _ in 0..400 {
        if count().await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{what}: {} expired rows are left", count().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_processes_purge_postgres() {
    let Some(schema) = Schema::create().await else { return };
    let pool = schema.pool().await;
    schema.store().await;
    sqlx::raw_sql(POSTGRES_EXPIRED).execute(&pool).await.unwrap();
    work((0..8).map(|_| PostgresStore::new(pool.clone())).collect()).await;
    let rest = async || sqlx::query_scalar(REST).fetch_one(&pool).await.unwrap();
    until_none("Postgres", rest).await;
    let all: i64 = sqlx::query_scalar(ALL).fetch_one(&pool).await.unwrap();
    assert_eq!(all, 400, "what has not expired stays");
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_processes_purge_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dedupe.db");
    let store = databases::sqlite_store(&file).await;
    let pool = store.pool();
    sqlx::raw_sql(SQLITE_EXPIRED).execute(pool).await.unwrap();
    work((0..8).map(|_| SqliteStore::new(pool.clone())).collect()).await;
    let rest = async || sqlx::query_scalar(REST).fetch_one(pool).await.unwrap();
    until_none("SQLite", rest).await;
    let all: i64 = sqlx::query_scalar(ALL).fetch_one(pool).await.unwrap();
    assert_eq!(all, 400, "what has not expired stays");
}

/// If the handler completes the claim, the layer only confirms it.
#[tokio::test(flavor = "multi_thread")]
async fn completions_in_transactions_count_too() {
    let Some(schema) = Schema::create().await else { return };
    let store = schema.store().await;
    sqlx::raw_sql(POSTGRES_EXPIRED).execute(store.pool()).await.unwrap();
    for index in 0..32 {
        let key = key(&format!("event_{index}"));
        let token = acquire(&store, &key, LONG).await;
        let mut tx = store.begin().await.unwrap();
        let completion = PostgresStore::complete_in(&mut tx, &key, &token, LONG).await.unwrap();
        assert_eq!(completion, Completion::Completed);
        tx.commit().await.unwrap();
        assert_eq!(store.confirm(&key, &token).await.unwrap(), Completion::Completed);
    }
    let rest = async || sqlx::query_scalar(REST).fetch_one(store.pool()).await.unwrap();
    until_none("Postgres", rest).await;
    schema.drop().await;
}

#[tokio::test]
async fn one_purge_deletes_no_more_than_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    let store = databases::sqlite_store(&folder.path().join("dedupe.db")).await;
    sqlx::raw_sql(SQLITE_EXPIRED).execute(store.pool()).await.unwrap();
    let Some(schema) = Schema::create().await else { return };
    let postgres = schema.store().await;
    sqlx::raw_sql(POSTGRES_EXPIRED).execute(postgres.pool()).await.unwrap();
    for expected in [512, 512, 512, 464, 0] {
        assert_eq!(store.purge().await.unwrap(), expected);
        assert_eq!(postgres.purge().await.unwrap(), expected);
    }
    schema.drop().await;
}
