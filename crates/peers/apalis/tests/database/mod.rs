//! A database file and waiting for what appears in it.
#![allow(dead_code, reason = "each test file uses a part")]

use std::time::{Duration, Instant};

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tempfile::TempDir;

/// Much longer than anything here takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A database file that is deleted on drop.
pub(crate) struct Database(TempDir);

impl Database {
    pub(crate) fn create() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(self.0.path().join("jobs.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
    }

    /// Another pool on the same file, as another process has.
    pub(crate) async fn pool(&self) -> SqlitePool {
        self.pool_with(self.options()).await
    }

    pub(crate) async fn pool_with(&self, options: SqliteConnectOptions) -> SqlitePool {
        SqlitePoolOptions::new().max_connections(4).connect_with(options).await.unwrap()
    }
}

/// Waits until `condition` is true. Panics after [`LIMIT`].
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < LIMIT, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
