use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::{PgConnection, PgPool, Row, postgres::PgRow};

use crate::dedupe::{
    Claim, Claimed, Completion, DedupeKey, DedupeStore, StoreError,
    token::{ClaimToken, StoreFuture, detach, millis, remaining},
};

/// A look for old rows every so many completions.
const PURGE_EVERY: u64 = 256;
/// Rows that one look removes at most.
const PURGE_ROWS: i64 = 512;

/// Remembers events in a PostgreSQL database: for any number of replicas, across crashes.
///
/// A claim is one statement, and the time is the database's, so the replicas' clocks don't matter. What is committed
/// survives a crash, as far as the database's own settings promise (`synchronous_commit`, replication).
///
/// A handler that keeps its own tables in the same database can complete its claim in its own transaction:
/// [`Claimed::<PostgresStore>::complete_in`]. A duplicate that arrives while such a transaction is open waits for
/// its end.
#[derive(Clone)]
pub struct PostgresStore {
    pool: PgPool,
    completions: Arc<AtomicU64>,
}

impl PostgresStore {
    /// The table, for an application's own migrations. [`create_table`](Self::create_table) runs it.
    pub const SCHEMA: &str = "\
CREATE TABLE IF NOT EXISTS tower_workos_dedupe (
    namespace TEXT NOT NULL,
    event_id TEXT NOT NULL,
    token BYTEA NOT NULL,
    done BOOLEAN NOT NULL,
    until TIMESTAMPTZ NOT NULL, -- the end of the lease, or once done, of the retention
    PRIMARY KEY (namespace, event_id)
);
CREATE INDEX IF NOT EXISTS tower_workos_dedupe_until ON tower_workos_dedupe (until);
";

    /// A store in this database. The table must be there.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool, completions: Arc::default() }
    }

    /// Creates the table where it is not there: [`SCHEMA`](Self::SCHEMA).
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub async fn create_table(&self) -> Result<(), StoreError> {
        sqlx::raw_sql(Self::SCHEMA).execute(&self.pool).await.map_err(StoreError::unavailable)?;
        Ok(())
    }

    /// Claims a key as part of the caller's transaction: the claim is there once that commits.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub async fn claim_in(
        connection: &mut PgConnection,
        key: &DedupeKey,
        lease: Duration,
    ) -> Result<Claim<ClaimToken>, StoreError> {
        let token = ClaimToken::new()?;
        sqlx::query(
            "INSERT INTO tower_workos_dedupe AS held (namespace, event_id, token, done, until) \
             VALUES ($1, $2, $3, false, statement_timestamp() + $4 * interval '1 millisecond') \
             ON CONFLICT (namespace, event_id) DO UPDATE SET \
             token = CASE WHEN held.until <= statement_timestamp() THEN excluded.token ELSE held.token END, \
             done = held.done AND held.until > statement_timestamp(), \
             until = CASE WHEN held.until <= statement_timestamp() THEN excluded.until ELSE held.until END \
             RETURNING token = $3, done, \
             (extract(epoch FROM until - statement_timestamp()) * 1000)::bigint",
        )
        .bind(key.namespace())
        .bind(key.id().as_str())
        .bind(token.as_bytes())
        .bind(millis(lease))
        .try_map(|row: PgRow| {
            Ok(if row.try_get(0)? {
                Claim::Acquired(token)
            } else if row.try_get(1)? {
                Claim::Done
            } else {
                Claim::InFlight { retry_after: remaining(row.try_get(2)?) }
            })
        })
        .fetch_one(connection)
        .await
        .map_err(StoreError::unavailable)
    }

    /// Completes a claim as part of the caller's transaction: the key is done once that commits.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub async fn complete_in(
        connection: &mut PgConnection,
        key: &DedupeKey,
        token: &ClaimToken,
        retention: Duration,
    ) -> Result<Completion, StoreError> {
        let done = sqlx::query(
            "UPDATE tower_workos_dedupe \
             SET done = true, until = statement_timestamp() + $4 * interval '1 millisecond' \
             WHERE namespace = $1 AND event_id = $2 AND token = $3 \
             AND (done OR until > statement_timestamp())",
        )
        .bind(key.namespace())
        .bind(key.id().as_str())
        .bind(token.as_bytes())
        .bind(millis(retention))
        .execute(connection)
        .await
        .map_err(StoreError::unavailable)?;
        Ok(if done.rows_affected() == 1 { Completion::Completed } else { Completion::Stale })
    }

    /// Removes up to 512 rows whose time is over. The store does so by itself now and then.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub async fn purge(&self) -> Result<u64, StoreError> {
        let purged = sqlx::query(
            "DELETE FROM tower_workos_dedupe WHERE ctid = ANY (ARRAY \
             (SELECT ctid FROM tower_workos_dedupe WHERE until <= statement_timestamp() \
             LIMIT $1 FOR UPDATE SKIP LOCKED))",
        )
        .bind(PURGE_ROWS)
        .execute(&self.pool)
        .await
        .map_err(StoreError::unavailable)?;
        Ok(purged.rows_affected())
    }
}

impl DedupeStore for PostgresStore {
    type Token = ClaimToken;
    type ClaimFuture = StoreFuture<Claim<ClaimToken>>;
    type CompleteFuture = StoreFuture<Completion>;
    type ReleaseFuture = StoreFuture<()>;

    fn claim(&self, key: &DedupeKey, lease: Duration) -> Self::ClaimFuture {
        let (pool, key) = (self.pool.clone(), key.clone());
        Box::pin(async move {
            let mut connection = pool.acquire().await.map_err(StoreError::unavailable)?;
            Self::claim_in(&mut connection, &key, lease).await
        })
    }

    fn complete(
        &self,
        key: &DedupeKey,
        token: &ClaimToken,
        retention: Duration,
    ) -> Self::CompleteFuture {
        let (store, key, token) = (self.clone(), key.clone(), *token);
        Box::pin(async move {
            let mut connection = store.pool.acquire().await.map_err(StoreError::unavailable)?;
            let completion = Self::complete_in(&mut connection, &key, &token, retention).await?;
            if store.completions.fetch_add(1, Ordering::Relaxed) % PURGE_EVERY == PURGE_EVERY - 1 {
                detach(Box::pin(async move { store.purge().await }));
            }
            Ok(completion)
        })
    }

    fn confirm(&self, key: &DedupeKey, token: &ClaimToken) -> Self::CompleteFuture {
        let (pool, key, token) = (self.pool.clone(), key.clone(), *token);
        Box::pin(async move {
            let done: Option<bool> = sqlx::query_scalar(
                "SELECT done FROM tower_workos_dedupe WHERE namespace = $1 AND event_id = $2 AND token = $3",
            )
            .bind(key.namespace())
            .bind(key.id().as_str())
            .bind(token.as_bytes())
            .fetch_optional(&pool)
            .await
            .map_err(StoreError::unavailable)?;
            Ok(if done == Some(true) { Completion::Completed } else { Completion::Stale })
        })
    }

    fn release(&self, key: &DedupeKey, token: &ClaimToken) -> Self::ReleaseFuture {
        let (pool, key, token) = (self.pool.clone(), key.clone(), *token);
        Box::pin(async move {
            sqlx::query(
                "DELETE FROM tower_workos_dedupe \
                 WHERE namespace = $1 AND event_id = $2 AND token = $3 AND NOT done",
            )
            .bind(key.namespace())
            .bind(key.id().as_str())
            .bind(token.as_bytes())
            .execute(&pool)
            .await
            .map_err(StoreError::unavailable)?;
            Ok(())
        })
    }
}

impl Claimed<PostgresStore> {
    /// Completes the claim in the handler's own transaction: its effect and the memory of it are one.
    ///
    /// Commit only where the answer is [`Completion::Completed`]. Where it is [`Completion::Stale`], the lease has
    /// ended and another call may be at the event: roll back and answer 503.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub async fn complete_in(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Completion, StoreError> {
        self.complete_by_handler();
        if self.token().is_none() {
            match PostgresStore::claim_in(connection, self.key(), self.lease()).await? {
                Claim::Acquired(token) => self.adopt(token),
                Claim::Done | Claim::InFlight { .. } => return Ok(Completion::Stale),
            }
        }
        let Some(token) = self.token() else { return Ok(Completion::Stale) };
        PostgresStore::complete_in(connection, self.key(), token, self.retention()).await
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}
