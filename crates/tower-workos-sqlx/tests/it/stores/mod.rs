//! The stores with real databases.

mod claims;
mod errors;
mod history;
mod migrate;
mod purge;
mod transactions;

use std::time::Duration;

use tower_workos::{
    BoxStore, DedupeStore,
    dedupe::{Claim, Completion, DedupeKey},
    testing::conformance,
};
use tower_workos_sqlx::PostgresStore;

use crate::{
    databases::{self, Schema},
    replicas::{counts, replica, storm},
    services,
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

/// The result of a future that must not wait for a transaction that the test has open. Fails instead of waiting forever.
async fn promptly<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("the future waits for a transaction")
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_store_fulfills_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    conformance::check(databases::sqlite_store(&folder.path().join("dedupe.db")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boxed_sqlite_store_fulfills_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let store = databases::sqlite_store(&folder.path().join("dedupe.db")).await;
    conformance::check(BoxStore::new(store)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_store_fulfills_the_contract() {
    let Some(schema) = Schema::create().await else { return };
    conformance::check(schema.store().await).await;
    schema.drop().await;
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
