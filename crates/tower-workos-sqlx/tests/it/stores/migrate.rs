//! `migrate()` while other processes use the database.

use std::time::Duration;

use sqlx::{PgPool, SqlitePool};
use tokio::task::JoinSet;
use tower_workos::{
    DedupeStore,
    dedupe::{Claim, Completion},
};
use tower_workos_sqlx::{PostgresStore, SqliteStore};

use super::{LONG, acquire, done, key, promptly};
use crate::databases::{self, Schema};

/// The SQL that created the table before there were versions.
const POSTGRES_0_1: &str = "\
CREATE TABLE IF NOT EXISTS tower_workos_dedupe (
    namespace TEXT NOT NULL,
    event_id TEXT NOT NULL,
    token BYTEA NOT NULL,
    done BOOLEAN NOT NULL,
    until TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (namespace, event_id)
);
CREATE INDEX IF NOT EXISTS tower_workos_dedupe_until ON tower_workos_dedupe (until);
INSERT INTO tower_workos_dedupe VALUES ('', 'event_of_0_1', '', true, now() + interval '1 hour');
";
const SQLITE_0_1: &str = "\
CREATE TABLE IF NOT EXISTS tower_workos_dedupe (
    namespace TEXT NOT NULL,
    event_id TEXT NOT NULL,
    token BLOB NOT NULL,
    done INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (namespace, event_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tower_workos_dedupe_until ON tower_workos_dedupe (until);
INSERT INTO tower_workos_dedupe VALUES ('', 'event_of_0_1', x'', 1, unixepoch() * 1000 + 3600000);
";

async fn postgres_versions(pool: &PgPool) -> Vec<i64> {
    sqlx::query_scalar("SELECT version FROM tower_workos_dedupe_migrations ORDER BY version")
        .fetch_all(pool)
        .await
        .unwrap()
}

async fn sqlite_versions(pool: &SqlitePool) -> Vec<i64> {
    sqlx::query_scalar("SELECT version FROM tower_workos_dedupe_migrations ORDER BY version")
        .fetch_all(pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_and_schemas_migrate_postgres_at_once() {
    for _ in 0..5 {
        let (Some(first), Some(second)) = (Schema::create().await, Schema::create().await) else {
            return;
        };
        let mut replicas = JoinSet::new();
        for schema in [&first, &second] {
            for _ in 0..6 {
                let store = PostgresStore::new(schema.pool_with(1, ("lock_timeout", "0")).await);
                replicas.spawn(async move { store.migrate().await });
            }
        }
        for migrated in replicas.join_all().await {
            migrated.unwrap();
        }
        for schema in [first, second] {
            assert_eq!(postgres_versions(&schema.pool().await).await, [1]);
            done(&schema.store().await, &key("event_1")).await;
            schema.drop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_migrate_sqlite_at_once() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dedupe.db");
        let mut replicas = JoinSet::new();
        for _ in 0..6 {
            let store = SqliteStore::new(databases::sqlite_pool(&file).await);
            replicas.spawn(async move { store.migrate().await });
        }
        for migrated in replicas.join_all().await {
            migrated.unwrap();
        }
        assert_eq!(sqlite_versions(&databases::sqlite_pool(&file).await).await, [1]);
    }
}

#[tokio::test]
async fn a_current_postgres_schema_is_only_read_during_an_open_transaction() {
    let Some(schema) = Schema::create().await else { return };
    let store = schema.store().await;
    let token = acquire(&store, &key("event_1"), LONG).await;
    let mut tx = store.begin().await.unwrap();
    let completion = PostgresStore::complete_in(&mut tx, &key("event_1"), &token, LONG).await;
    assert_eq!(completion.unwrap(), Completion::Completed);
    let reader = schema.pool_with(1, ("default_transaction_read_only", "on")).await;
    promptly(PostgresStore::new(reader).migrate()).await.unwrap();
    tx.commit().await.unwrap();
    schema.drop().await;
}

#[tokio::test]
async fn a_current_sqlite_schema_is_only_read_during_an_open_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dedupe.db");
    let store = databases::sqlite_store(&file).await;
    let writer = store.begin().await.unwrap();
    SqliteStore::new(databases::sqlite_pool(&file).await).migrate().await.unwrap();
    writer.commit().await.unwrap();
}

#[tokio::test]
async fn a_table_without_a_version_is_kept_while_a_transaction_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    let pool = databases::sqlite_pool(&folder.path().join("dedupe.db")).await;
    sqlx::raw_sql(SQLITE_0_1).execute(&pool).await.unwrap();
    let store = SqliteStore::new(pool.clone());
    store.migrate().await.unwrap();
    assert_eq!(sqlite_versions(&pool).await, [1]);
    assert_eq!(store.claim(&key("event_of_0_1"), LONG).await.unwrap(), Claim::Done);

    let Some(schema) = Schema::create().await else { return };
    let pool = schema.pool().await;
    sqlx::raw_sql(POSTGRES_0_1).execute(&pool).await.unwrap();
    let store = PostgresStore::new(pool.clone());
    let token = acquire(&store, &key("event_1"), LONG).await;
    let mut tx = store.begin().await.unwrap();
    let completion = PostgresStore::complete_in(&mut tx, &key("event_1"), &token, LONG).await;
    assert_eq!(completion.unwrap(), Completion::Completed);
    promptly(store.migrate()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(postgres_versions(&pool).await, [1]);
    assert_eq!(store.claim(&key("event_of_0_1"), LONG).await.unwrap(), Claim::Done);
    schema.drop().await;
}

#[tokio::test]
async fn the_migrations_can_be_run_by_another_tool() {
    let folder = tempfile::tempdir().unwrap();
    let pool = databases::sqlite_pool(&folder.path().join("dedupe.db")).await;
    for sql in SqliteStore::MIGRATIONS.iter().chain(SqliteStore::MIGRATIONS) {
        sqlx::raw_sql(*sql).execute(&pool).await.unwrap();
    }
    assert_eq!(sqlite_versions(&pool).await, [1]);
    done(&SqliteStore::new(pool), &key("event_1")).await;

    let Some(schema) = Schema::create().await else { return };
    let pool = schema.pool().await;
    for sql in PostgresStore::MIGRATIONS.iter().chain(PostgresStore::MIGRATIONS) {
        sqlx::raw_sql(*sql).execute(&pool).await.unwrap();
    }
    assert_eq!(postgres_versions(&pool).await, [1]);
    done(&PostgresStore::new(pool), &key("event_1")).await;
    schema.drop().await;
}

/// A table in use that still needs an index is the worst case for a migration.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_migration_lets_claims_run_and_explains_the_wait() {
    let Some(schema) = Schema::create().await else { return };
    let pool = schema.pool().await;
    sqlx::raw_sql(POSTGRES_0_1).execute(&pool).await.unwrap();
    sqlx::raw_sql("DROP INDEX tower_workos_dedupe_until").execute(&pool).await.unwrap();
    let store = PostgresStore::new(pool.clone());
    let token = acquire(&store, &key("event_1"), LONG).await;
    let mut tx = store.begin().await.unwrap();
    let completion = PostgresStore::complete_in(&mut tx, &key("event_1"), &token, LONG).await;
    assert_eq!(completion.unwrap(), Completion::Completed);

    let migration = tokio::spawn({
        let store = store.clone();
        async move { store.migrate().await }
    });
    let mut claimed = 0;
    while !migration.is_finished() {
        claimed += 1;
        promptly(done(&store, &key(&format!("event_meanwhile_{claimed}")))).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(claimed > 5, "{claimed}");
    let error = migration.await.unwrap().unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(
        source.to_string(),
        "the migration waits for transactions that use the store's tables; end them, or migrate while there are none"
    );
    assert!(source.source().unwrap().to_string().contains("lock timeout"));

    tx.commit().await.unwrap();
    store.migrate().await.unwrap();
    assert_eq!(postgres_versions(&pool).await, [1]);
    schema.drop().await;
}
