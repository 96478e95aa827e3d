//! What the engines' own calls can do, with the same payloads and without the work of the inbox.

use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use crate::support::{Kind, Place};

/// An engine without the inbox.
pub(crate) enum Reference {
    /// apalis-sqlite, with a durable setting for each connection.
    Sqlite(sqlx::SqlitePool, #[expect(dead_code, reason = "removed on drop")] TempDir),
}

impl Reference {
    /// How each kind stores payloads, by the order of `Kind`.
    pub(crate) const STORE: [&str; 3] = [
        "JetStream's `publish`",
        "graphile_worker's `add_raw_jobs`",
        "apalis-sqlite's `push_bulk`",
    ];
    pub(crate) const WORK: [&str; 3] =
        ["a bare JetStream consumer", "graphile_worker", "apalis-sqlite"];

    pub(crate) async fn new(place: &Place) -> Self {
        match place.kind {
            Kind::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let options = sqlx::sqlite::SqliteConnectOptions::new()
                    .filename(folder.path().join("reference.db"));
                let pool = peers_apalis::rates::open(options).await.unwrap();
                Self::Sqlite(pool, folder)
            }
            _ => todo!(),
        }
    }

    /// Stores the payloads, this many at a time.
    pub(crate) async fn store(&self, payloads: &[Bytes], batch: usize) -> Duration {
        match self {
            Self::Sqlite(pool, _) => {
                let payloads: Vec<_> = payloads.iter().map(|it| it.to_vec()).collect();
                peers_apalis::rates::bulk_enqueue(pool, &payloads, batch).await.unwrap()
            }
        }
    }

    /// Stores this payload `count` times, then works off everything. Returns how long the latter took, and the number of jobs.
    pub(crate) async fn work(
        &self,
        payload: &Bytes,
        count: usize,
        concurrency: usize,
    ) -> (Duration, usize) {
        self.store(&vec![payload.clone(); count], 1_000).await;
        match self {
            Self::Sqlite(pool, _) => {
                let time = peers_apalis::rates::work_off(pool, concurrency, concurrency).await;
                (time.unwrap(), count)
            }
        }
    }

    pub(crate) async fn remove(self) {
        match self {
            Self::Sqlite(pool, _) => pool.close().await,
        }
    }
}
