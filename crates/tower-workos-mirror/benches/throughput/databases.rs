//! An empty database for each measurement.

use std::{env, path::Path, str::FromStr as _, time::Duration};

use sqlx::{
    AssertSqlSafe, PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tower_workos_mirror::{Mirror, MirrorPool};

pub(crate) fn postgres_url() -> String {
    env::var("TEST_POSTGRES_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".into())
}

/// A new schema.
pub(crate) async fn postgres(connections: u32) -> PgPool {
    postgres_at(&postgres_url(), connections).await
}

pub(crate) async fn postgres_at(url: &str, connections: u32) -> PgPool {
    let admin = PgPool::connect(&postgres_url()).await.unwrap();
    sqlx::raw_sql("DROP SCHEMA IF EXISTS mirror_bench CASCADE; CREATE SCHEMA mirror_bench")
        .execute(&admin)
        .await
        .unwrap();
    postgres_again(url, connections).await
}

/// The same schema again.
pub(crate) async fn postgres_again(url: &str, connections: u32) -> PgPool {
    let options =
        PgConnectOptions::from_str(url).unwrap().options([("search_path", "mirror_bench")]);
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(30))
        .connect_with(options)
        .await
        .unwrap()
}

/// A file in this folder.
pub(crate) async fn sqlite(folder: &Path, name: &str, connections: u32) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(folder.join(name))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(30));
    SqlitePoolOptions::new().max_connections(connections).connect_with(options).await.unwrap()
}

pub(crate) async fn mirror(pool: impl Into<MirrorPool>) -> Mirror {
    let mirror = Mirror::builder(pool).timeout(Duration::from_secs(60)).build().unwrap();
    mirror.migrate().await.unwrap();
    mirror
}

pub(crate) async fn run_postgres(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
}

pub(crate) async fn run_sqlite(pool: &SqlitePool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
}
