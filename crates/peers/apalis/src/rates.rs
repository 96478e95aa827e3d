//! The rates of apalis-sqlite through its own API: the reference for every other engine on SQLite.
//!
//! Payloads pass through unchanged, so that another engine can be given the same bytes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use apalis_core::{
    backend::{TaskSink, ext::BackendExt},
    error::BoxDynError,
    worker::{builder::WorkerBuilder, context::WorkerContext},
};
use apalis_sqlite::{Config, Error, SqliteStorage};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tower::limit::ConcurrencyLimitLayer;

use crate::raw::Raw;

const QUEUE: &str = "rates";

/// Opens a file with apalis' tables, in WAL mode, whose commits survive a loss of power.
///
/// `SqliteStorage::setup` is not used, because it sets `synchronous` to off on one connection.
///
/// # Errors
///
/// If the file can't be opened or migrated.
pub async fn open(options: SqliteConnectOptions) -> Result<SqlitePool, Error> {
    let options = options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
    SqliteStorage::migrations().run(&pool).await.map_err(sqlx::Error::from)?;
    Ok(pool)
}

/// Pushes the payloads with `push_bulk`, `batch` of them in a transaction, and returns how long that took.
///
/// # Errors
///
/// If a push fails.
///
/// # Panics
///
/// If `batch` is 0.
pub async fn bulk_enqueue(
    pool: &SqlitePool,
    payloads: &[Vec<u8>],
    batch: usize,
) -> Result<Duration, BoxDynError> {
    let config = Config::default().queue(QUEUE);
    let mut storage = SqliteStorage::<Vec<u8>>::new(pool).with_config(config).with_codec(Raw);
    let batches: Vec<_> = payloads.chunks(batch).map(<[_]>::to_vec).collect();
    let start = Instant::now();
    for batch in batches {
        storage.push_bulk(batch).await?;
    }
    Ok(start.elapsed())
}

/// Runs a worker with a handler that does nothing until no job is left, and returns how long that took.
///
/// `batch` is the number of jobs that the worker fetches at a time, 10 by default in apalis.
///
/// # Errors
///
/// If the worker fails, or ends before every job is done.
pub async fn work_off(
    pool: &SqlitePool,
    concurrency: usize,
    batch: usize,
) -> Result<Duration, BoxDynError> {
    let left = "SELECT count(*) FROM Jobs WHERE status <> 'Done'";
    let count: i64 = sqlx::query_scalar(left).fetch_one(pool).await?;
    let remaining = Arc::new(AtomicU64::new(count.try_into()?));
    let config = Config::default().queue(QUEUE).batch_size(batch);
    let context = WorkerContext::new(&format!("rates-{:016x}", fastrand::u64(..)));
    let stop = context.clone();
    let worker = WorkerBuilder::new(&context)
        .backend(SqliteStorage::<Vec<u8>>::new(pool).with_config(config).with_codec(Raw))
        .layer(ConcurrencyLimitLayer::new(concurrency))
        .build(move |_: Vec<u8>| {
            if remaining.fetch_sub(1, Ordering::Relaxed) == 1 {
                // Finishes what is running.
                let _ = stop.stop();
            }
            std::future::ready(Ok::<_, BoxDynError>(()))
        });
    let start = Instant::now();
    worker.run().await?;
    let elapsed = start.elapsed();
    let left: i64 = sqlx::query_scalar(left).fetch_one(pool).await?;
    if left == 0 { Ok(elapsed) } else { Err(format!("{left} jobs are left").into()) }
}
