//! Senders that disconnect from an application with a slow SQLite or Postgres store, and a Postgres that does not respond.

use sqlx::postgres::PgPoolOptions;
use tower_workos_sqlx::PostgresStore;

use crate::{
    databases::{self, Schema},
    senders::{LATENCY, away, check},
    services::proxy::Proxy,
};

#[tokio::test(flavor = "multi_thread")]
async fn with_a_sqlite_store() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dedupe.db");
    let store = databases::sqlite_store(&file).await;
    let writer = databases::sqlite_pool(&file).await;
    // This holds the database's only write lock.
    check(store, true, async || writer.begin_with("BEGIN IMMEDIATE").await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_postgres_store() {
    let Some(schema) = Schema::create().await else { return };
    schema.store().await;
    let proxy = Proxy::start(databases::postgres_address()).await;
    let options =
        databases::postgres_options(&schema.name).host("127.0.0.1").port(proxy.address.port());
    let pool = PgPoolOptions::new().max_connections(20).connect_with(options).await.unwrap();
    let store = PostgresStore::new(pool.clone());
    proxy.delay(LATENCY);
    check(store, true, async || ()).await;
    pool.close().await;
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_postgres_causes_only_short_delays() {
    let Some(schema) = Schema::create().await else { return };
    schema.store().await;
    let proxy = Proxy::start(databases::postgres_address()).await;
    let options =
        databases::postgres_options(&schema.name).host("127.0.0.1").port(proxy.address.port());
    let pool = PgPoolOptions::new().max_connections(4).connect_lazy_with(options);
    proxy.freeze(true);
    away(PostgresStore::new(pool.clone()), || proxy.freeze(false)).await;
    pool.close().await;
    schema.drop().await;
}
