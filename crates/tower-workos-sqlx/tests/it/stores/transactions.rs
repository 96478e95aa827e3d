//! Claims that are completed in the handler's transaction.

use std::{error::Error, time::Duration};

use axum::{Extension, Router, body::Body, routing::post};
use http::{Request, StatusCode};
use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};
use tokio::task::JoinSet;
use tower::{ServiceBuilder, ServiceExt};
use tower_workos::{
    DedupeLayer, DedupeStore, DirectoryEvent,
    dedupe::{Claim, Claimed, Completion},
    testing::sample,
};
use tower_workos_sqlx::{CompleteIn, PostgresStore, SqliteStore};

use super::{LONG, acquire, done, key};
use crate::{
    databases::{self, Schema},
    support::{delivery, layer},
};

#[tokio::test]
async fn sqlite_claims_join_a_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let store = databases::sqlite_store(&folder.path().join("dedupe.db")).await;
    for commit in [false, true] {
        let mut tx = store.begin().await.unwrap();
        let claim = SqliteStore::claim_in(&mut tx, &key("event_1"), LONG).await.unwrap();
        let Claim::Acquired(token) = claim else { panic!("{claim:?}") };
        let completion =
            SqliteStore::complete_in(&mut tx, &key("event_1"), &token, LONG).await.unwrap();
        assert_eq!(completion, Completion::Completed);
        if commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
    }
    assert_eq!(store.claim(&key("event_1"), LONG).await.unwrap(), Claim::Done);
}

/// Reads, then writes, then completes. This order needs `BEGIN IMMEDIATE`.
async fn on_event(
    Extension(claimed): Extension<Claimed<SqliteStore>>,
    event: DirectoryEvent,
) -> Result<(), StatusCode> {
    let unavailable = |_| StatusCode::SERVICE_UNAVAILABLE;
    let mut tx = claimed.store().begin().await.map_err(unavailable)?;
    sqlx::query("SELECT count(*) FROM effects").execute(&mut *tx).await.map_err(unavailable)?;
    tokio::task::yield_now().await;
    sqlx::query("INSERT INTO effects VALUES (?1)")
        .bind(event.id().as_str())
        .execute(&mut *tx)
        .await
        .map_err(unavailable)?;
    match claimed.complete_in(&mut tx).await {
        Ok(Completion::Completed) => tx.commit().await.map_err(unavailable),
        _ => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_events_are_all_handled_in_sqlite_transactions() {
    const EVENTS: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let store = databases::sqlite_store(&folder.path().join("dedupe.db")).await;
    sqlx::raw_sql("CREATE TABLE effects (id TEXT)").execute(store.pool()).await.unwrap();
    // A busy machine may need a long time for 40 transactions in a row.
    let dedupe = DedupeLayer::new("workos", store.clone()).store_timeout(LONG);
    let stack = ServiceBuilder::new().layer(layer()).layer(dedupe);
    let app = Router::new().route("/", post(on_event)).route_layer(stack);
    let mut deliveries = JoinSet::new();
    for index in 0..EVENTS {
        let mut request: Request<Body> =
            delivery(sample::USER_CREATED.with_id(&format!("event_{index}")));
        *request.uri_mut() = "/".parse().unwrap();
        let app = app.clone();
        deliveries.spawn(async move { app.oneshot(request).await.unwrap().status().as_u16() });
    }
    assert_eq!(deliveries.join_all().await, [200; EVENTS]);
    let effects: i64 = sqlx::query_scalar("SELECT count(DISTINCT id) FROM effects")
        .fetch_one(store.pool())
        .await
        .unwrap();
    assert_eq!(effects, 40);
}

#[tokio::test]
async fn a_deferred_sqlite_transaction_fails_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let store = databases::sqlite_store(&folder.path().join("dedupe.db")).await;
    let token = acquire(&store, &key("event_1"), LONG).await;
    let mut tx = store.pool().begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM tower_workos_dedupe").execute(&mut *tx).await.unwrap();
    done(&store, &key("event_2")).await;
    let error = SqliteStore::complete_in(&mut tx, &key("event_1"), &token, LONG).await.unwrap_err();
    let hint = error.source().unwrap().to_string();
    assert!(hint.contains("begin it with SqliteStore::begin"), "{hint}");
    tx.rollback().await.unwrap();
    // It changed nothing.
    let completion = store.complete(&key("event_1"), &token, LONG).await.unwrap();
    assert_eq!(completion, Completion::Completed);
}

/// If the connection doesn't wait for its turn, the store does.
#[tokio::test(flavor = "multi_thread")]
async fn sqlite_calls_wait_for_their_turn_without_a_busy_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dedupe.db");
    databases::sqlite_store(&file).await;
    let options = SqliteConnectOptions::new().filename(&file).busy_timeout(Duration::ZERO);
    let store = SqliteStore::new(SqlitePool::connect_with(options).await.unwrap());
    let mut events = JoinSet::new();
    for index in 0..20 {
        let store = store.clone();
        events.spawn(async move { done(&store, &key(&format!("event_{index}"))).await });
    }
    events.join_all().await;
}

#[tokio::test]
async fn a_conflict_in_a_serializable_transaction_is_explained() {
    let Some(schema) = Schema::create().await else { return };
    let (store, pool) = (schema.store().await, schema.pool().await);
    let token = acquire(&store, &key("event_1"), LONG).await;
    let mut tx = pool.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE").await.unwrap();
    // The snapshot of the transaction is older than the next change of its row.
    sqlx::query("SELECT 1").execute(&mut *tx).await.unwrap();
    sqlx::raw_sql("UPDATE tower_workos_dedupe SET until = until + interval '1 s'")
        .execute(&pool)
        .await
        .unwrap();
    let error =
        PostgresStore::complete_in(&mut tx, &key("event_1"), &token, LONG).await.unwrap_err();
    let hint = error.source().unwrap();
    assert!(hint.to_string().contains("roll it back, and run it again or answer 503"), "{hint}");
    let driver = hint.source().unwrap().downcast_ref::<sqlx::Error>().unwrap();
    assert_eq!(driver.as_database_error().unwrap().code().unwrap(), "40001");
    tx.rollback().await.unwrap();

    // Without a conflict, it succeeds.
    let mut tx = pool.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE").await.unwrap();
    let completion = PostgresStore::complete_in(&mut tx, &key("event_1"), &token, LONG).await;
    assert_eq!(completion.unwrap(), Completion::Completed);
    tx.commit().await.unwrap();
    assert_eq!(store.claim(&key("event_1"), LONG).await.unwrap(), Claim::Done);
    schema.drop().await;
}
