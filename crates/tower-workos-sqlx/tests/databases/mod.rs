//! The databases that tests use. Each test has its own: a file in SQLite, a schema in Postgres.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses a part")]

#[path = "../../../../tests/services/mod.rs"]
pub mod services;

use std::{env, str::FromStr, time::Duration};

use sqlx::{
    PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tower_workos_sqlx::{PostgresStore, SqliteStore};

pub fn postgres_url() -> String {
    env::var("TEST_POSTGRES_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".into())
}

/// The host and port of Postgres.
pub fn postgres_address() -> String {
    let options = PgConnectOptions::from_str(&postgres_url()).unwrap();
    format!("{}:{}", options.get_host(), options.get_port())
}

/// A test's own schema in Postgres. Call [`drop`](Self::drop) at the end.
pub struct Schema {
    pub name: String,
}

impl Schema {
    pub async fn create() -> Option<Self> {
        let options = PgConnectOptions::from_str(&postgres_url()).unwrap();
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(3))
            .connect_with(options)
            .await;
        let pool = match pool {
            Ok(pool) => pool,
            Err(error) => return services::left_out("Postgres", error),
        };
        let name = services::unique();
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE SCHEMA {name}")))
            .execute(&pool)
            .await
            .unwrap();
        Some(Self { name })
    }

    pub async fn pool(&self) -> PgPool {
        postgres_pool(&self.name).await
    }

    /// A pool of this size with an additional setting.
    pub async fn pool_with(&self, connections: u32, setting: (&str, &str)) -> PgPool {
        let options = PgConnectOptions::from_str(&postgres_url()).unwrap();
        let options = options.options([("search_path", self.name.as_str()), setting]);
        let pool = PgPoolOptions::new().max_connections(connections);
        pool.connect_with(options).await.unwrap()
    }

    pub async fn store(&self) -> PostgresStore {
        let store = PostgresStore::new(self.pool().await);
        store.migrate().await.unwrap();
        store
    }

    pub async fn drop(self) {
        let pool = self.pool().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP SCHEMA {} CASCADE", self.name)))
            .execute(&pool)
            .await
            .unwrap();
    }
}

/// The options to connect so that tables are in this schema.
pub fn postgres_options(schema: &str) -> PgConnectOptions {
    PgConnectOptions::from_str(&postgres_url()).unwrap().options([("search_path", schema)])
}

/// A pool whose tables are in this schema.
pub async fn postgres_pool(schema: &str) -> PgPool {
    let options = postgres_options(schema);
    PgPoolOptions::new().max_connections(8).connect_with(options).await.unwrap()
}

pub async fn sqlite_pool(file: &std::path::Path) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(10));
    SqlitePoolOptions::new().max_connections(4).connect_with(options).await.unwrap()
}

pub async fn sqlite_store(file: &std::path::Path) -> SqliteStore {
    let store = SqliteStore::new(sqlite_pool(file).await);
    store.migrate().await.unwrap();
    store
}
