use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{Pool, Transaction};
use tokio::time::sleep;
use tower_workos::{
    DedupeStore,
    dedupe::{Claim, ClaimToken, Completion, DedupeKey, StoreError, StoreFuture},
};

use crate::{
    database::{Binds, Fault, SqlDatabase, fault, verdict},
    error,
    key::bounded,
    schedule::Schedule,
};

/// How long a statement that is its own transaction is retried if it conflicts with another transaction.
const PATIENCE: Duration = Duration::from_secs(1);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(20);
/// When to retry a key that is locked by an open transaction, whose end is unknown.
const LOCKED: Duration = Duration::from_secs(1);

/// Remembers events in a SQL database: `PostgresStore` or `SqliteStore`.
pub struct SqlStore<DB: SqlDatabase> {
    shared: Arc<Shared<DB>>,
}

struct Shared<DB: SqlDatabase> {
    pool: Pool<DB>,
    /// Whether statements must run in a transaction that is begun with [`BEGIN`](crate::database::Statements::BEGIN),
    /// because the default isolation level is a different one.
    begin: AtomicBool,
    schedule: Schedule,
}

impl<DB: SqlDatabase> SqlStore<DB> {
    /// Creates a store in the pool's database. [`migrate`](Self::migrate) creates its tables.
    #[must_use]
    pub fn new(pool: Pool<DB>) -> Self {
        let (begin, schedule) = (AtomicBool::new(false), Schedule::new());
        Self { shared: Arc::new(Shared { pool, begin, schedule }) }
    }

    /// The pool that the store uses.
    #[must_use]
    pub fn pool(&self) -> &Pool<DB> {
        &self.shared.pool
    }

    pub(crate) fn schedule(&self) -> &Schedule {
        &self.shared.schedule
    }

    /// Begins a transaction for [`complete_in`](crate::CompleteIn::complete_in). On PostgreSQL, it is `READ COMMITTED`,
    /// regardless of the default isolation level. On SQLite, it begins with `BEGIN IMMEDIATE`, so that it waits here for
    /// its turn to write, instead of failing later.
    ///
    /// # Errors
    ///
    /// If the database fails, or no connection is free in time.
    pub async fn begin(&self) -> Result<Transaction<'static, DB>, sqlx::Error> {
        self.pool().begin_with(DB::BEGIN).await
    }

    /// Claims a key as part of the caller's transaction: the claim exists once the transaction is committed. Until then,
    /// the key is in flight for other claims.
    ///
    /// [`complete_in`](crate::CompleteIn::complete_in) does this if necessary; few applications call it themselves.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn claim_in(
        transaction: &mut Transaction<'_, DB>,
        key: &DedupeKey,
        lease: Duration,
    ) -> Result<Claim<ClaimToken>, StoreError> {
        let token = ClaimToken::random()?;
        let binds = binds(key, &token, lease, false);
        let mut answer = None;
        for sql in claim_statements::<DB>() {
            let rows =
                DB::rows(&mut **transaction, sql, &binds).await.map_err(error::joined::<DB>)?;
            answer = claim_answer(&rows, token);
            if answer.is_some() {
                break;
            }
        }
        Ok(answer.unwrap_or(Claim::InFlight { retry_after: LOCKED }))
    }

    /// Completes a claim as part of the caller's transaction: the key is done once the transaction is committed.
    ///
    /// Handlers use [`complete_in`](crate::CompleteIn::complete_in), which knows the claim and tells the layer about it: after this
    /// function alone, the layer would complete the event after a 2xx, even if the transaction was rolled back.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn complete_in(
        transaction: &mut Transaction<'_, DB>,
        key: &DedupeKey,
        token: &ClaimToken,
        retention: Duration,
    ) -> Result<Completion, StoreError> {
        let binds = binds(key, token, retention, false);
        let rows = DB::rows(&mut **transaction, DB::COMPLETE, &binds)
            .await
            .map_err(error::joined::<DB>)?;
        Ok(completion(&rows))
    }

    async fn claim_alone(
        &self,
        key: &DedupeKey,
        lease: Duration,
    ) -> Result<Claim<ClaimToken>, StoreError> {
        let token = ClaimToken::random()?;
        let binds = binds(key, &token, lease, true);
        for sql in claim_statements::<DB>() {
            let rows = match self.alone(sql, &binds).await {
                Ok(rows) => rows,
                Err(error) if fault::<DB>(&error) == Fault::Locked => break,
                Err(error) => {
                    if is_lost(&error) {
                        // The claim may have been made, and only this call knows its token.
                        let _ = self.alone(DB::RELEASE, &binds).await.is_ok();
                    }
                    return Err(error::alone::<DB>(error));
                }
            };
            if let Some(answer) = claim_answer(&rows, token) {
                return Ok(answer);
            }
        }
        Ok(Claim::InFlight { retry_after: LOCKED })
    }

    /// Runs a statement as its own transaction.
    pub(crate) async fn alone(
        &self,
        sql: &'static str,
        binds: &Binds<'_>,
    ) -> Result<Vec<(String, i64)>, sqlx::Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.try_alone(sql, binds).await {
                Ok(rows) if is(&rows, verdict::ISOLATION) => {
                    if self.shared.begin.swap(true, Ordering::Relaxed) && Instant::now() >= deadline
                    {
                        let error = "the database does not run READ COMMITTED transactions";
                        return Err(sqlx::Error::Configuration(error.into()));
                    }
                }
                Err(error)
                    if fault::<DB>(&error) == Fault::Conflict && Instant::now() < deadline =>
                {
                    sleep(PAUSE).await;
                }
                result => return result,
            }
        }
    }

    async fn try_alone(
        &self,
        sql: &'static str,
        binds: &Binds<'_>,
    ) -> Result<Vec<(String, i64)>, sqlx::Error> {
        if self.shared.begin.load(Ordering::Relaxed) {
            let mut tx = self.begin().await?;
            let rows = DB::rows(&mut tx, sql, binds).await?;
            tx.commit().await?;
            Ok(rows)
        } else {
            let mut connection = self.pool().acquire().await?;
            DB::rows(&mut connection, sql, binds).await
        }
    }
}

/// Whether a statement may have been committed although it failed, because the connection failed and not the statement.
fn is_lost(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_))
}

/// The statements that a claim runs until it has a result. Each occurs twice, because a key can be claimed or become free
/// in between.
fn claim_statements<DB: SqlDatabase>() -> impl Iterator<Item = &'static str> {
    let statements = DB::LOOK.into_iter().chain([DB::CLAIM]);
    statements.clone().chain(statements)
}

fn binds<'a>(
    key: &'a DedupeKey,
    token: &'a ClaimToken,
    duration: Duration,
    alone: bool,
) -> Binds<'a> {
    Binds {
        namespace: bounded(key.namespace()),
        id: bounded(key.id().as_str()),
        token: token.as_bytes(),
        number: millis(duration),
        alone,
    }
}

/// A hundred years in milliseconds: longer than any lease or retention, and every database can add it to a time without
/// overflow.
const LONGEST: i64 = 100 * 365 * 24 * 60 * 60 * 1000;

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).map_or(LONGEST, |millis| millis.min(LONGEST))
}

fn is(rows: &[(String, i64)], verdict: &str) -> bool {
    rows.first().is_some_and(|(row, _)| row == verdict)
}

fn claim_answer(rows: &[(String, i64)], token: ClaimToken) -> Option<Claim<ClaimToken>> {
    let (verdict, millis) = rows.first()?;
    match verdict.as_str() {
        verdict::ACQUIRED => Some(Claim::Acquired(token)),
        verdict::DONE => Some(Claim::Done),
        verdict::HELD => {
            // At least a millisecond is left; otherwise, the row would have expired.
            let left = u64::try_from(*millis).unwrap_or(1).max(1);
            Some(Claim::InFlight { retry_after: Duration::from_millis(left) })
        }
        verdict::LOCKED => Some(Claim::InFlight { retry_after: LOCKED }),
        _ => None,
    }
}

fn completion(rows: &[(String, i64)]) -> Completion {
    if is(rows, verdict::COMPLETED) { Completion::Completed } else { Completion::Stale }
}

impl<DB: SqlDatabase> DedupeStore for SqlStore<DB> {
    type Token = ClaimToken;
    type ClaimFuture = StoreFuture<Claim<ClaimToken>>;
    type CompleteFuture = StoreFuture<Completion>;
    type ReleaseFuture = StoreFuture<()>;

    fn claim(&self, key: &DedupeKey, lease: Duration) -> Self::ClaimFuture {
        let (store, key) = (self.clone(), key.clone());
        Box::pin(async move { store.claim_alone(&key, lease).await })
    }

    fn complete(
        &self,
        key: &DedupeKey,
        token: &ClaimToken,
        retention: Duration,
    ) -> Self::CompleteFuture {
        let (store, key, token) = (self.clone(), key.clone(), *token);
        Box::pin(async move {
            let binds = binds(&key, &token, retention, true);
            let rows = store.alone(DB::COMPLETE, &binds).await.map_err(error::alone::<DB>)?;
            store.completed();
            Ok(completion(&rows))
        })
    }

    fn confirm(&self, key: &DedupeKey, token: &ClaimToken) -> Self::CompleteFuture {
        let (store, key, token) = (self.clone(), key.clone(), *token);
        Box::pin(async move {
            let binds = binds(&key, &token, Duration::ZERO, true);
            let rows = store.alone(DB::CONFIRM, &binds).await.map_err(error::alone::<DB>)?;
            store.completed();
            Ok(completion(&rows))
        })
    }

    fn release(&self, key: &DedupeKey, token: &ClaimToken) -> Self::ReleaseFuture {
        let (store, key, token) = (self.clone(), key.clone(), *token);
        Box::pin(async move {
            let binds = binds(&key, &token, Duration::ZERO, true);
            store.alone(DB::RELEASE, &binds).await.map_err(error::alone::<DB>)?;
            Ok(())
        })
    }
}

impl<DB: SqlDatabase> Clone for SqlStore<DB> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<DB: SqlDatabase> fmt::Debug for SqlStore<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore").field("database", &DB::NAME).finish_non_exhaustive()
    }
}
