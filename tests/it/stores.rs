//! The stores over real databases.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::State, routing::post};
use http::Request;
use sqlx::{Connection, Row};
use tokio::task::JoinSet;
use tower::{ServiceBuilder, ServiceExt};
use tower_workos::{
    DedupeLayer, DedupeStore, DirectoryEvent,
    dedupe::{Claim, Completion, DedupeKey, PostgresStore, RedisStore, SqliteStore},
    testing::{conformance, sample},
};

use crate::{
    services::{self, Schema},
    support::{delivery, layer},
};

const LONG: Duration = Duration::from_secs(600);

fn key(id: &str) -> DedupeKey {
    DedupeKey::new("", id.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_store_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    conformance::check(services::sqlite_store(&folder.path().join("dedupe.db")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_store_keeps_the_contract() {
    let Some(schema) = Schema::create().await else { return };
    conformance::check(schema.store().await).await;
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_store_keeps_the_contract() {
    let Some(store) = services::redis_store().await else { return };
    conformance::check(store).await;
}

#[tokio::test]
async fn tables_are_created_once_and_shown() {
    assert!(SqliteStore::SCHEMA.contains("CREATE TABLE IF NOT EXISTS tower_workos_dedupe"));
    assert!(PostgresStore::SCHEMA.contains("CREATE TABLE IF NOT EXISTS tower_workos_dedupe"));
    let folder = tempfile::tempdir().unwrap();
    let store = services::sqlite_store(&folder.path().join("dedupe.db")).await;
    store.create_table().await.unwrap();
    if let Some(schema) = Schema::create().await {
        schema.store().await.create_table().await.unwrap();
        schema.drop().await;
    }
}

#[tokio::test]
async fn without_its_table_a_store_fails_closed() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::new(services::sqlite_pool(&folder.path().join("empty.db")).await);
    let error = store.claim(&key("event_1"), LONG).await.unwrap_err();
    assert!(error.to_string().contains("does not answer") && !error.is_full());
}

#[tokio::test]
async fn redis_that_is_not_there_is_an_error() {
    assert!(RedisStore::connect("redis://127.0.0.1:1/").await.is_err());
    assert!(RedisStore::connect("not an address").await.is_err());
}

#[tokio::test]
async fn sqlite_claims_join_a_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dedupe.db");
    let store = services::sqlite_store(&file).await;
    let pool = services::sqlite_pool(&file).await;
    let mut connection = pool.acquire().await.unwrap();
    for commit in [false, true] {
        let mut tx = connection.begin().await.unwrap();
        let Claim::Acquired(token) =
            SqliteStore::claim_in(&mut tx, &key("event_1"), LONG).await.unwrap()
        else {
            panic!("not acquired");
        };
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

#[tokio::test]
async fn postgres_claims_join_a_transaction() {
    let Some(schema) = Schema::create().await else { return };
    let store = schema.store().await;
    let pool = schema.pool().await;
    for commit in [false, true] {
        let mut tx = pool.begin().await.unwrap();
        let Claim::Acquired(token) =
            PostgresStore::claim_in(&mut tx, &key("event_1"), LONG).await.unwrap()
        else {
            panic!("not acquired");
        };
        let completion =
            PostgresStore::complete_in(&mut tx, &key("event_1"), &token, LONG).await.unwrap();
        assert_eq!(completion, Completion::Completed);
        // A duplicate waits for the transaction's end, and is answered by it.
        let duplicate = tokio::spawn(store.claim(&key("event_1"), LONG));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!duplicate.is_finished());
        if commit {
            tx.commit().await.unwrap();
            assert_eq!(duplicate.await.unwrap().unwrap(), Claim::Done);
        } else {
            tx.rollback().await.unwrap();
            let Claim::Acquired(token) = duplicate.await.unwrap().unwrap() else {
                panic!("not acquired")
            };
            store.release(&key("event_1"), &token).await.unwrap();
        }
    }
    schema.drop().await;
}

#[tokio::test]
async fn old_rows_are_removed_in_small_bites() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dedupe.db");
    let store = services::sqlite_store(&file).await;
    let pool = services::sqlite_pool(&file).await;
    sqlx::raw_sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
         INSERT INTO tower_workos_dedupe SELECT '', 'old_' || i, x'00', 1, 1 FROM n",
    )
    .execute(&pool)
    .await
    .unwrap();
    assert_eq!(store.purge().await.unwrap(), 512);
    // The rest by itself, while the store works.
    for index in 0..256 {
        let key = key(&format!("event_{index}"));
        let Claim::Acquired(token) = store.claim(&key, LONG).await.unwrap() else { panic!() };
        assert_eq!(store.complete(&key, &token, LONG).await.unwrap(), Completion::Completed);
    }
    let mut left = 0;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let row =
            sqlx::query("SELECT count(*) FROM tower_workos_dedupe").fetch_one(&pool).await.unwrap();
        left = row.get::<i64, _>(0);
        if left == 256 {
            break;
        }
    }
    assert_eq!(left, 256, "the done ones, whose time is not over");

    let Some(schema) = Schema::create().await else { return };
    let store = schema.store().await;
    sqlx::raw_sql(
        "INSERT INTO tower_workos_dedupe SELECT '', 'old_' || i, '', true, now() FROM generate_series(1, 1000) i",
    )
    .execute(&schema.pool().await)
    .await
    .unwrap();
    assert_eq!(store.purge().await.unwrap(), 512);
    assert_eq!(store.purge().await.unwrap(), 488);
    assert_eq!(store.purge().await.unwrap(), 0);
    schema.drop().await;
}

/// How often each event was handled, by any replica.
type Counts = Arc<Vec<AtomicU32>>;

const EVENTS: usize = 200;

fn replica<St>(store: St, namespace: &str, counts: &Counts) -> Router
where
    St: DedupeStore,
{
    async fn handler(State(counts): State<Counts>, event: DirectoryEvent) {
        let index: usize = event.id().as_str().rsplit('_').next().unwrap().parse().unwrap();
        counts[index].fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // A namespace of this run's: a shared database keeps what an earlier one left.
    let dedupe = DedupeLayer::new(namespace, store);
    let stack = ServiceBuilder::new().layer(layer()).layer(dedupe);
    Router::new().route("/", post(handler)).route_layer(stack).with_state(Arc::clone(counts))
}

/// Every event at once three times to each of two replicas, until each delivery was acknowledged.
async fn storm(replicas: [Router; 2], counts: Counts, name: &str) {
    let mut deliveries = JoinSet::new();
    for index in 0..EVENTS {
        for copy in 0..6 {
            let replica = replicas[copy % 2].clone();
            deliveries.spawn(async move {
                loop {
                    let body = sample::USER_CREATED.with_id(&format!("event_{index}"));
                    let mut request: Request<Body> = delivery(body);
                    *request.uri_mut() = "/".parse().unwrap();
                    match replica.clone().oneshot(request).await.unwrap().status().as_u16() {
                        200 => return,
                        503 => tokio::time::sleep(Duration::from_millis(5)).await,
                        other => panic!("{other}"),
                    }
                }
            });
        }
    }
    while let Some(delivered) = deliveries.join_next().await {
        delivered.unwrap();
    }
    let not_once: Vec<_> = counts
        .iter()
        .map(|count| count.load(Ordering::SeqCst))
        .filter(|count| *count != 1)
        .collect();
    assert_eq!(not_once, [0_u32; 0], "{name}: events not handled exactly once");
    services::report(format!(
        "two replicas over {name}: {EVENTS} events, {} deliveries, each handled once",
        EVENTS * 6
    ));
}

fn counts() -> Counts {
    Arc::new((0..EVENTS).map(|_| AtomicU32::new(0)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_over_postgres_handle_each_event_once() {
    let Some(schema) = Schema::create().await else { return };
    let counts = counts();
    let first = schema.store().await;
    let second = PostgresStore::new(schema.pool().await);
    let namespace = services::unique();
    let replicas = [replica(first, &namespace, &counts), replica(second, &namespace, &counts)];
    storm(replicas, counts, "Postgres").await;
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_over_redis_handle_each_event_once() {
    let (Some(first), Some(second)) =
        (services::redis_store().await, services::redis_store().await)
    else {
        return;
    };
    let counts = counts();
    let namespace = services::unique();
    let replicas = [replica(first, &namespace, &counts), replica(second, &namespace, &counts)];
    storm(replicas, counts, "Redis").await;
}
