//! The errors of the stores.

use std::{error::Error, time::Duration};

use sqlx::{
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::SqliteConnectOptions,
};
use tower_workos::{DedupeStore, dedupe::StoreError};
use tower_workos_sqlx::{PostgresStore, SqliteStore};

use super::{LONG, acquire, key};
use crate::databases::{self, Schema};

/// `Display` and `Debug` of the error and its sources.
fn all_of(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    format!("{text} ({error:?})")
}

async fn assert_not_migrated<St: DedupeStore>(store: &St, source: &str) {
    let error = store.claim(&key("event_1"), LONG).await.err().unwrap();
    assert!(error.is_not_migrated(), "{error:?}");
    assert!(error.to_string().contains("call its migrate() at start-up"), "{error}");
    assert!(error.source().unwrap().to_string().contains(source), "{error:?}");
}

#[tokio::test]
async fn missing_tables_and_columns_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let pool = databases::sqlite_pool(&folder.path().join("empty.db")).await;
    let store = SqliteStore::new(pool.clone());
    assert_not_migrated(&store, "no such table: tower_workos_dedupe").await;
    sqlx::raw_sql("CREATE TABLE tower_workos_dedupe (namespace TEXT, event_id TEXT)")
        .execute(&pool)
        .await
        .unwrap();
    assert_not_migrated(&store, "no such column: ").await;

    let Some(schema) = Schema::create().await else { return };
    let pool = schema.pool().await;
    let store = PostgresStore::new(pool.clone());
    assert_not_migrated(&store, r#"relation "tower_workos_dedupe" does not exist"#).await;
    store.migrate().await.unwrap();
    sqlx::raw_sql("ALTER TABLE tower_workos_dedupe RENAME done TO finished")
        .execute(&pool)
        .await
        .unwrap();
    assert_not_migrated(&store, r#"column "done" does not exist"#).await;
    schema.drop().await;
}

#[tokio::test]
async fn a_table_dropped_after_its_migration_is_created_again() {
    let Some(schema) = Schema::create().await else { return };
    let store = schema.store().await;
    sqlx::raw_sql("DROP TABLE tower_workos_dedupe").execute(store.pool()).await.unwrap();
    store.migrate().await.unwrap();
    acquire(&store, &key("event_1"), LONG).await;
    schema.drop().await;
}

#[tokio::test]
async fn errors_contain_no_password() {
    let options = PgConnectOptions::new()
        .host("127.0.0.1")
        .port(1)
        .username("app")
        .password("whsec_canary_of_the_database");
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(5));
    let store = PostgresStore::new(pool.connect_lazy_with(options));
    let error = store.claim(&key("event_1"), LONG).await.unwrap_err();
    assert!(!error.is_not_migrated() && error.source().is_some(), "{error:?}");
    let text = all_of(&error);
    assert!(!text.contains("canary"), "{text}");
    assert!(!format!("{store:?}").contains("canary"));

    let options = SqliteConnectOptions::new()
        .filename("/nonexistent/dedupe.db")
        .pragma("key", "whsec_canary_of_the_database");
    let store = SqliteStore::new(sqlx::SqlitePool::connect_lazy_with(options));
    let text = all_of(&store.claim(&key("event_1"), LONG).await.unwrap_err());
    assert!(!text.contains("canary"), "{text}");
}
