//! The stores over real databases.

mod claims;
mod errors;
mod history;
mod migrate;
mod purge;
mod transactions;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::State, routing::post};
use http::Request;
use tokio::task::JoinSet;
use tower::{ServiceBuilder, ServiceExt};
use tower_workos::{
    DedupeLayer, DedupeStore, DirectoryEvent,
    dedupe::{Claim, Completion, DedupeKey, PostgresStore, RedisStore},
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

async fn acquire<St: DedupeStore>(store: &St, key: &DedupeKey, lease: Duration) -> St::Token {
    match store.claim(key, lease).await.unwrap() {
        Claim::Acquired(token) => token,
        _ => panic!("{key:?} was not acquired"),
    }
}

async fn done<St: DedupeStore>(store: &St, key: &DedupeKey) {
    let token = acquire(store, key, LONG).await;
    let completion = store.complete(key, &token, LONG).await.unwrap();
    assert_eq!(completion, Completion::Completed);
}

/// The answer to something that must not wait for a transaction that this test has open: it would wait forever.
async fn promptly<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it waits")
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
async fn redis_that_is_not_there_is_an_error() {
    assert!(RedisStore::connect("redis://127.0.0.1:1/").await.is_err());
    assert!(RedisStore::connect("not an address").await.is_err());
}

/// How often each event was handled, by any replica.
type Counts = Arc<Vec<AtomicU32>>;

const EVENTS: usize = 60;

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
                        503 => tokio::time::sleep(Duration::from_millis(25)).await,
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
