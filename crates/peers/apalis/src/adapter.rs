//! An inbox over apalis-sqlite.
//!
//! apalis fetches jobs, runs them at a bounded concurrency and frees those of dead workers. Everything that decides
//! whether an event is lost is here: the transaction that stores, the acknowledgement, the delay of a retry, the
//! heartbeat of a busy worker, and the restart of one that failed.

use std::{panic::AssertUnwindSafe, pin::pin, time::Duration};

use apalis_core::{
    backend::ext::BackendExt,
    task::{Task, builder::TaskBuilder},
    worker::{builder::WorkerBuilder, context::WorkerContext},
};
use apalis_sqlite::{
    Config, Error, SqliteStorage,
    queries::{keep_alive, push_tasks},
};
use futures_util::{FutureExt, Stream, StreamExt, stream};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use tower::{limit::ConcurrencyLimitLayer, service_fn};

use crate::raw::Raw;

/// One row for each event. It outlives the job, so a repeated event is recognised.
const EVENTS: &str = "CREATE TABLE IF NOT EXISTS inbox_events (
    queue TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (queue, id)
) WITHOUT ROWID";
/// apalis keeps its migrations in the application's table `_sqlx_migrations`.
const MIGRATIONS: &str = "inbox_apalis_migrations";
/// The columns of an index of apalis, so that this costs microseconds whatever waits.
const DUE: &str = "SELECT EXISTS (SELECT 1 FROM Jobs WHERE job_type = ? AND priority = 0
    AND status = 'Pending' AND lock_by IS NULL AND run_at <= unixepoch())";
/// A job whose worker was declared dead belongs to another worker, hence `lock_by`.
const DONE: &str = "DELETE FROM Jobs WHERE id = ? AND lock_by = ?";
const FAILED: &str = "UPDATE Jobs SET lock_by = NULL, lock_at = NULL, attempts = attempts + 1,
    last_result = ?3, run_at = unixepoch() + ?4, status = CASE WHEN ?5 OR unixepoch() - ?6 >= (
        SELECT at FROM inbox_events WHERE queue = job_type AND id = idempotency_key
    ) THEN 'Killed' ELSE 'Pending' END WHERE id = ?1 AND lock_by = ?2";
const RELEASE: &str = "UPDATE Jobs SET status = 'Pending', lock_by = NULL, lock_at = NULL
    WHERE lock_by = ?";
const DEAD: &str = "SELECT idempotency_key, last_result, attempts FROM Jobs
    WHERE job_type = ? AND status = 'Killed' ORDER BY id LIMIT ?";
/// The age starts again, or the first failure would be the last.
const REJUVENATE: &str = "UPDATE inbox_events SET at = unixepoch() WHERE queue = ?1 AND id IN (
    SELECT idempotency_key FROM Jobs WHERE job_type = ?1 AND status = 'Killed'
        AND idempotency_key = coalesce(?2, idempotency_key))";
const REDRIVE: &str = "UPDATE Jobs SET status = 'Pending', run_at = unixepoch(), attempts = 0
    WHERE job_type = ?1 AND status = 'Killed' AND idempotency_key = coalesce(?2, idempotency_key)";
const PURGE: &str = "DELETE FROM inbox_events WHERE queue = ?1 AND at < unixepoch() - ?2
    AND NOT EXISTS (SELECT 1 FROM Jobs WHERE job_type = ?1 AND idempotency_key = inbox_events.id)";

/// How jobs are run and retried.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The name of the queue.
    pub queue: String,
    /// The number of jobs that one worker runs at a time.
    pub concurrency: usize,
    /// The delay before the first retry. It doubles each time.
    pub first_delay: Duration,
    /// The longest delay before a retry.
    pub longest_delay: Duration,
    /// An event that fails when it is older than this becomes a dead letter.
    pub maximum_age: Duration,
    /// The time between heartbeats. Three missed ones free the jobs of a worker.
    pub heartbeat: Duration,
    /// How often an idle worker looks for jobs.
    pub poll: Duration,
    /// How long the id of a handled event is kept.
    pub keep_ids: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            queue: "inbox".into(),
            concurrency: 16,
            first_delay: Duration::from_secs(1),
            longest_delay: Duration::from_secs(600),
            maximum_age: 3 * DAY,
            heartbeat: Duration::from_secs(10),
            poll: Duration::from_millis(20),
            keep_ids: 7 * DAY,
        }
    }
}

/// An event to handle.
#[derive(Clone)]
#[non_exhaustive]
pub struct Job {
    /// The event's id.
    pub id: String,
    /// The bytes that were stored.
    pub payload: Vec<u8>,
    /// The number of earlier attempts.
    pub attempts: usize,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("id", &self.id).field("attempts", &self.attempts).finish()
    }
}

/// Why a handler failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// No retry can help.
    Permanent(String),
    /// A later attempt may succeed.
    Transient(String),
}

/// An event that is not retried.
#[derive(Clone, Debug, sqlx::FromRow)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The event's id.
    #[sqlx(rename = "idempotency_key")]
    pub id: String,
    /// The error of the last attempt.
    #[sqlx(rename = "last_result")]
    pub error: String,
    /// The number of attempts.
    pub attempts: i64,
}

/// A durable queue of events in a SQLite file.
#[derive(Clone, Debug)]
pub struct Inbox {
    pool: SqlitePool,
    settings: Settings,
}

impl Inbox {
    /// Opens the file, with settings that survive a loss of power.
    ///
    /// # Errors
    ///
    /// If the file can't be opened or migrated.
    pub async fn open(options: SqliteConnectOptions, settings: Settings) -> Result<Self, Error> {
        let options = options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        let mut migrations = SqliteStorage::migrations();
        migrations.dangerous_set_table_name(MIGRATIONS);
        // sqlx takes no lock on SQLite, so one of two processes that start together fails and has to look again.
        let mut tries = 0;
        while let Err(error) = migrations.run(&pool).await {
            tries += 1;
            if tries == 10 {
                return Err(sqlx::Error::from(error).into());
            }
            sleep(Duration::from_millis(100)).await;
        }
        sqlx::query(EVENTS).execute(&pool).await?;
        Ok(Self { pool, settings })
    }

    /// The connections, for the application's own rows in the same file.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Stores what is new of the events, given as id and payload, in one transaction, and returns how many are new.
    ///
    /// # Errors
    ///
    /// If the transaction fails. Then nothing was stored.
    pub async fn store(&self, events: &[(&str, &[u8])]) -> Result<usize, Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let mut tasks = Vec::new();
        for (id, payload) in events {
            let row = "INSERT INTO inbox_events VALUES (?, ?, unixepoch()) ON CONFLICT DO NOTHING";
            let row = sqlx::query(row).bind(&self.settings.queue).bind(id);
            if row.execute(&mut *transaction).await?.rows_affected() == 1 {
                tasks.push(TaskBuilder::new(payload.to_vec()).idempotency_key(id).build());
            }
        }
        push_tasks(&mut *transaction, &self.settings.queue, &tasks).await?;
        transaction.commit().await?;
        Ok(tasks.len())
    }

    /// Handles jobs until `shutdown` completes, then finishes those that are running.
    ///
    /// A worker that fails is replaced.
    pub async fn run_until<H, F>(&self, handler: H, shutdown: impl Future<Output = ()>)
    where
        H: Fn(Job) -> F + Clone + Send + 'static,
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let mut shutdown = pin!(shutdown);
        let mut ending = false;
        while !ending {
            // apalis rejects the name of a worker that ended moments ago.
            let name = format!("{}-{:032x}", self.settings.queue, fastrand::u128(..));
            ending = self.work(&WorkerContext::new(&name), handler.clone(), &mut shutdown).await;
            for query in [RELEASE, "DELETE FROM Workers WHERE id = ?"] {
                if let Err(error) = sqlx::query(query).bind(&name).execute(&self.pool).await {
                    tracing::warn!(%error, "jobs of a worker wait for others to declare it dead");
                }
            }
            if !ending {
                sleep(Duration::from_millis(200)).await;
            }
        }
    }

    /// Lists dead letters, the oldest first.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn dead(&self, limit: u32) -> Result<Vec<DeadLetter>, Error> {
        let query = sqlx::query_as(DEAD).bind(&self.settings.queue).bind(limit);
        Ok(query.fetch_all(&self.pool).await?)
    }

    /// Handles a dead letter again, or all of them, and returns how many.
    ///
    /// # Errors
    ///
    /// If the transaction fails.
    pub async fn redrive(&self, id: Option<&str>) -> Result<u64, Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let mut rows = 0;
        for query in [REJUVENATE, REDRIVE] {
            let query = sqlx::query(query).bind(&self.settings.queue).bind(id);
            rows = query.execute(&mut *transaction).await?.rows_affected();
        }
        transaction.commit().await?;
        Ok(rows)
    }

    /// Forgets the ids of events that were handled long ago, and returns how many.
    ///
    /// # Errors
    ///
    /// If the statement fails.
    pub async fn purge(&self) -> Result<u64, Error> {
        let query = sqlx::query(PURGE).bind(&self.settings.queue);
        let query = query.bind(seconds(self.settings.keep_ids));
        Ok(query.execute(&self.pool).await?.rows_affected())
    }

    /// Runs one worker until it fails or `shutdown` completes, and returns whether it was the latter.
    async fn work<H, F>(
        &self,
        context: &WorkerContext,
        handler: H,
        shutdown: &mut (impl Future<Output = ()> + Unpin),
    ) -> bool
    where
        H: Fn(Job) -> F + Clone + Send + 'static,
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        // apalis would lock a job after it was acknowledged, and acknowledge a second time.
        let config = Config::default()
            .queue(&self.settings.queue)
            .batch_size(self.settings.concurrency)
            .heartbeat_interval(self.settings.heartbeat)
            .missed_heartbeats(3)
            .lock_tasks(false)
            .persist_results(false);
        let storage = SqliteStorage::<Vec<u8>>::new(&self.pool).with_config(config.clone());
        let tasks = TaskTracker::new();
        let (inbox, worker, spawner) = (self.clone(), context.clone(), tasks.clone());
        let worker = WorkerBuilder::new(context)
            .backend(storage.with_codec(Raw).poll_with_stream(Box::pin(self.clone().due())))
            .layer(ConcurrencyLimitLayer::new(self.settings.concurrency))
            // A worker that fails cancels its futures, and one that stops keeps the transaction of a fetch open until
            // they end, while they wait for its lock. So a job runs in a task, and the worker only waits for it.
            .build(service_fn(move |task| {
                let (inbox, worker, handler) = (inbox.clone(), worker.clone(), handler.clone());
                spawner.spawn(async move { inbox.handle(&worker, task, handler).await })
            }));
        let run = async {
            let mut events = Box::pin(worker.stream());
            let ending = loop {
                tokio::select! {
                    () = &mut *shutdown => break true,
                    event = events.next() => match event {
                        Some(Ok(_)) => {}
                        Some(Err(error)) => {
                            tracing::warn!(%error, "a worker failed and is replaced");
                            break false;
                        }
                        None => break false,
                    },
                }
            };
            drop(events);
            tasks.close();
            tasks.wait().await;
            ending
        };
        // apalis sends none while more jobs are fetched than can run. It is a future of its own, because a worker that
        // is not polled may hold the lock that a heartbeat waits for.
        let heartbeats = async {
            loop {
                sleep(self.settings.heartbeat).await;
                if let Err(error) = keep_alive(&self.pool, &config, context).await {
                    tracing::warn!(%error, "a heartbeat failed");
                }
            }
        };
        tokio::select! {
            ending = run => ending,
            () = heartbeats => false,
        }
    }

    async fn handle<H, F>(&self, worker: &WorkerContext, task: Task<Vec<u8>>, handler: H)
    where
        H: Fn(Job) -> F,
        F: Future<Output = Result<(), Failure>>,
    {
        let (Some(row), Some(id)) = (task.task_id(), task.idempotency_key()) else { return };
        let (row, id, attempts) =
            (row.to_string(), id.to_owned(), task.attempt().saturating_sub(1));
        let job = Job { id, payload: task.args, attempts };
        let outcome = AssertUnwindSafe(async move { handler(job).await }).catch_unwind().await;
        let (error, permanent) = match outcome {
            Ok(Ok(())) => (None, false),
            Ok(Err(Failure::Permanent(error))) => (Some(error), true),
            Ok(Err(Failure::Transient(error))) => (Some(error), false),
            Err(_) => (Some("the handler panicked".to_owned()), false),
        };
        for _ in 0..5 {
            let query = if let Some(error) = &error {
                let query = sqlx::query(FAILED).bind(&row).bind(worker.name()).bind(error);
                let delay = seconds(self.delay(attempts));
                query.bind(delay).bind(permanent).bind(seconds(self.settings.maximum_age))
            } else {
                sqlx::query(DONE).bind(&row).bind(worker.name())
            };
            match query.execute(&self.pool).await {
                Ok(_) => return,
                Err(error) => tracing::warn!(%error, "a result could not be written"),
            }
            sleep(Duration::from_millis(100)).await;
        }
        // Only the end of the worker frees the job.
        let _ = worker.stop();
    }

    /// Yields when there is a job to run, whichever process stored it.
    fn due(self) -> impl Stream<Item = ()> + Send {
        stream::unfold(self, |inbox| async move {
            loop {
                sleep(inbox.settings.poll).await;
                let query = sqlx::query_scalar(DUE).bind(&inbox.settings.queue);
                // The worker meets the same error, and reports it.
                if query.fetch_one(&inbox.pool).await.unwrap_or(true) {
                    return Some(((), inbox));
                }
            }
        })
    }

    /// Between half of the exponential delay and all of it.
    fn delay(&self, attempts: usize) -> Duration {
        let factor = 1 << attempts.min(20);
        let delay = self.settings.first_delay.saturating_mul(factor);
        delay.min(self.settings.longest_delay).mul_f64(fastrand::f64() / 2.0 + 0.5)
    }
}

/// Whole seconds, rounded up: the unit of apalis' tables.
fn seconds(duration: Duration) -> i64 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
