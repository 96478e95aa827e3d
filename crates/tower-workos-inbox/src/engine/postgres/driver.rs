//! The database as graphile_worker's worker sees it.
//!
//! The worker ends if a statement fails, and it deletes a job that has ended whether or not it still holds its lock. So
//! statements are repeated until they succeed, and instead of the deletion, [`Postgres::end`] changes the row and
//! deletes the job in one statement.

use std::{
    any::Any,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::stream;
use graphile_worker::{
    BoxFuture, DatabaseDriver, DbError, DbExecutor, DbParams, DbRow, DbTransaction, DbValue,
    Notification, NotificationStream, sqlx::SqlxDatabase,
};
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{
    Postgres,
    jobs::{Claimed, End, Jobs, Ticket},
};
use crate::engine::Run;

/// The pause after a failure of the database, which doubles up to the second one.
pub(super) const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How long a worker that stops tries to store that jobs have ended. Then they are delivered again.
pub(super) const LAST: Duration = Duration::from_secs(5);
/// How long a statement may take. A connection that has silently died must not hold a job for ever.
pub(super) const STATEMENT: Duration = Duration::from_secs(10);
/// How often the worker looks for jobs that it was not notified of.
pub(super) const POLL: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct Driver {
    inner: SqlxDatabase,
    engine: Postgres,
    pub(super) jobs: Arc<Jobs>,
    run: Run,
    health: Arc<Health>,
}

/// Whether statements fail, so that only the first failure is logged.
#[derive(Default)]
struct Health {
    is_failing: AtomicBool,
    /// When the last outage ended.
    recovered: Mutex<Option<Instant>>,
}

impl Driver {
    pub(super) fn new(engine: Postgres, run: Run) -> Self {
        let inner = SqlxDatabase::new(engine.pool.clone());
        Self { inner, engine, run, jobs: Arc::default(), health: Arc::default() }
    }

    /// Repeats a statement until it succeeds, unless that is useless or the worker is stopping.
    async fn retry<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, DbError>
    where
        F: Future<Output = Result<T, DbError>>,
    {
        let mut pause = PAUSE.0;
        let mut last: Option<Instant> = None;
        loop {
            let late = || Err(DbError::new("the database did not respond in time"));
            let error = match timeout(STATEMENT, attempt()).await.unwrap_or_else(|_| late()) {
                Ok(value) => {
                    self.succeeded();
                    return Ok(value);
                }
                Err(error) => error,
            };
            if !is_transient(&error) {
                return Err(error);
            }
            self.failed(error.code().unwrap_or("no connection"));
            if *self.run.stop.borrow() {
                let last = *last.get_or_insert(Instant::now() + LAST);
                if last <= Instant::now() {
                    return Err(error);
                }
            }
            // The sender is dropped with the worker.
            if self.run.stop.has_changed().is_err() {
                return Err(error);
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    fn succeeded(&self) {
        if self.health.is_failing.swap(false, Ordering::Relaxed) {
            *self.recovered() = Some(Instant::now());
            tracing::info!(target: "tower_workos_inbox::worker", "the worker works again");
        }
    }

    /// Logs the first failure, with this text, which must not be a message of the database: it can quote a row.
    pub(super) fn failed(&self, error: &str) {
        if !self.health.is_failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: "tower_workos_inbox::worker", error, "the worker can't reach its tables: trying again"
            );
        }
    }

    fn recovered(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.health.recovered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends these jobs instead of only deleting them.
    async fn complete(&self, jobs: &[i64]) -> Result<u64, DbError> {
        let ends = self.jobs.ends(jobs);
        if ends.is_empty() {
            return Ok(0);
        }
        if let Err(error) = self.end(&ends).await {
            for end in &ends {
                // One of them is the cause. The others must not wait for it.
                let alone = if is_transient(&error) {
                    Err(error.clone())
                } else {
                    self.end_alone(end).await
                };
                if alone.is_err() {
                    // It is delivered again after its lease.
                    self.jobs.forget(end.ticket.job);
                }
            }
            if is_transient(&error) {
                return Err(error);
            }
        }
        let mut count = 0;
        for end in &ends {
            count += 1;
            self.jobs.forget(end.ticket.job);
            let after = Duration::from_micros(u64::try_from(end.micros).unwrap_or(0));
            // Anything later is found by the poll.
            if end.state == 0 && after <= POLL {
                let wake = Arc::clone(&self.run.wake);
                tokio::spawn(async move {
                    sleep(after).await;
                    wake.notify_one();
                });
            }
        }
        Ok(count)
    }
}

/// What is stored instead of an error that the database can't store, for example because of its encoding.
const UNSTORABLE: &str = "the handler failed with an error that the database can't store";

impl Driver {
    async fn end(&self, ends: &[End]) -> Result<(), DbError> {
        self.retry(|| async move { Ok(self.engine.end(ends).await?) }).await
    }

    async fn end_alone(&self, end: &End) -> Result<(), DbError> {
        if self.end(std::slice::from_ref(end)).await.is_ok() {
            return Ok(());
        }
        let error = end.error.as_ref().map(|_| UNSTORABLE.to_owned());
        let end = [End { error, ..end.clone() }];
        let result = self.end(&end).await;
        if let Err(error) = &result {
            self.failed(error.code().unwrap_or("unknown"));
        }
        result
    }
}

/// Errors of a statement itself are not.
fn is_transient(error: &DbError) -> bool {
    let classes = ["0A", "22", "23", "3F", "42", "GW"];
    !error.code().is_some_and(|code| classes.iter().any(|class| code.starts_with(class)))
}

/// If these rows are jobs that were claimed, returns them.
fn claimed(rows: &[DbRow]) -> Vec<Claimed> {
    let claimed = rows.iter().map(|row| {
        let payload: Value = row.try_get("payload")?;
        let worker: String = row.try_get("locked_by")?;
        let number = |name: &str| payload.get(name).and_then(Value::as_i64).unwrap_or(-1);
        Ok(Claimed {
            ticket: Ticket {
                job: row.try_get("id")?,
                worker: worker.into(),
                claim: row.try_get("attempts")?,
                row: None,
            },
            seq: number("seq"),
            token: number("token"),
        })
    });
    claimed.collect::<Result<_, DbError>>().unwrap_or_default()
}

impl DbExecutor for Driver {
    fn execute<'a>(
        &'a self,
        sql: &'a str,
        params: DbParams,
    ) -> BoxFuture<'a, Result<u64, DbError>> {
        Box::pin(async move {
            // The worker deletes nothing but jobs that have ended.
            let is_completion =
                sql.trim_start().get(..6).is_some_and(|verb| verb.eq_ignore_ascii_case("delete"));
            if is_completion {
                return match params.values().first() {
                    Some(DbValue::I64(job)) => self.complete(&[*job]).await,
                    Some(DbValue::I64Array(jobs)) => self.complete(jobs).await,
                    _ => Ok(0),
                };
            }
            self.retry(|| self.inner.execute(sql, params.clone())).await
        })
    }

    fn fetch_all<'a>(
        &'a self,
        sql: &'a str,
        params: DbParams,
    ) -> BoxFuture<'a, Result<Vec<DbRow>, DbError>> {
        Box::pin(async move {
            let rows = self.retry(|| self.inner.fetch_all(sql, params.clone())).await?;
            let claimed = claimed(&rows);
            if !claimed.is_empty() {
                self.jobs.claimed(claimed.iter().map(|claimed| claimed.ticket.job));
                let jobs = &claimed;
                let load = || async move { Ok(self.engine.load(&self.jobs, jobs).await?) };
                if let Err(error) = self.retry(load).await {
                    for claimed in jobs {
                        self.jobs.forget(claimed.ticket.job);
                    }
                    return Err(error);
                }
            }
            Ok(rows)
        })
    }
}

impl DatabaseDriver for Driver {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn begin<'a>(&'a self) -> BoxFuture<'a, Result<DbTransaction, DbError>> {
        Box::pin(async move {
            // The first transaction after an outage must not take over the jobs of workers that could not renew their
            // leases either.
            let recovered = *self.recovered();
            if let Some(recovered) = recovered {
                sleep_until(recovered + self.run.lease / 2).await;
            }
            self.retry(|| self.inner.begin()).await
        })
    }

    /// Returns a stream that also yields when a job of this worker is due. [`super::listen`] is the other source of it.
    fn listen<'a>(
        &'a self,
        channel: &'a str,
    ) -> BoxFuture<'a, Result<Option<NotificationStream>, DbError>> {
        let state = (Arc::clone(&self.run.wake), channel.to_owned());
        let stream = stream::unfold(state, |(wake, channel)| async {
            wake.notified().await;
            let notification = Notification { channel: channel.clone(), payload: String::new() };
            Some((Ok(notification), (wake, channel)))
        });
        let stream: NotificationStream = Box::pin(stream);
        Box::pin(async { Ok(Some(stream)) })
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}
