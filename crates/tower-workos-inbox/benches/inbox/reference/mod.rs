//! What the engines' own calls can do, with the same payloads and without the work of the inbox.

mod nats;
mod postgres;

use std::time::Duration;

use bytes::Bytes;
use nats::JetStream;
use postgres::Graphile;
use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use crate::support::{Kind, Place};

/// An engine without the inbox.
pub(crate) enum Reference {
    Nats(Box<JetStream>),
    Postgres(Graphile),
    /// apalis-sqlite, with a durable setting for each connection. The folder is removed with it.
    Sqlite(SqlitePool, TempDir),
}

/// How the reference stores payloads, and how it works them off.
pub(crate) fn calls(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Nats => ("JetStream's `publish`", "a bare JetStream consumer"),
        Kind::Postgres => ("graphile_worker's `add_raw_jobs`", "graphile_worker"),
        Kind::Sqlite => ("apalis-sqlite's `push_bulk`", "apalis-sqlite"),
    }
}

impl Reference {
    pub(crate) async fn new(place: &Place) -> Self {
        match place.kind {
            Kind::Nats => {
                let client = async_nats::connect(&place.url).await.unwrap();
                let context = async_nats::jetstream::new(client);
                let name = format!("{}reference", place.prefix);
                Self::Nats(Box::new(JetStream::new(context, name).await))
            }
            Kind::Postgres => {
                let schema = format!("{}reference_graphile_worker", place.prefix);
                Self::Postgres(Graphile::new(place.postgres().await, schema).await)
            }
            Kind::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let options = SqliteConnectOptions::new().filename(folder.path().join("jobs.db"));
                Self::Sqlite(peers_apalis::rates::open(options).await.unwrap(), folder)
            }
        }
    }

    /// Stores the payloads, this many at a time.
    pub(crate) async fn store(&self, payloads: &[Bytes], batch: usize) -> Duration {
        match self {
            Self::Nats(engine) => engine.store(payloads, batch).await,
            Self::Postgres(engine) => engine.store(payloads, batch).await,
            Self::Sqlite(pool, _) => {
                let payloads: Vec<_> = payloads.iter().map(|it| it.to_vec()).collect();
                peers_apalis::rates::bulk_enqueue(pool, &payloads, batch).await.unwrap()
            }
        }
    }

    /// Stores this payload `count` times, then works all off. Returns how long the latter took.
    pub(crate) async fn work(&self, payload: &Bytes, count: usize, concurrency: usize) -> Duration {
        self.store(&vec![payload.clone(); count], 1_000).await;
        match self {
            Self::Nats(engine) => engine.work(count, concurrency).await,
            Self::Postgres(engine) => engine.work(concurrency).await,
            Self::Sqlite(pool, _) => {
                peers_apalis::rates::work_off(pool, concurrency, concurrency).await.unwrap()
            }
        }
    }

    pub(crate) async fn remove(self) {
        match self {
            Self::Nats(engine) => engine.remove().await,
            Self::Postgres(engine) => engine.remove().await,
            Self::Sqlite(pool, _folder) => pool.close().await,
        }
    }
}
