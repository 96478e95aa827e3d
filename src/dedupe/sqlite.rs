use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use crate::dedupe::{
    Claim, Claimed, Completion, DedupeKey, DedupeStore, StoreError,
    token::{ClaimToken, StoreFuture, detach, millis, remaining},
};

/// A look for old rows every so many completions.
const PURGE_EVERY: u64 = 256;
/// Rows that one look removes at most.
const PURGE_ROWS: i64 = 512;

/// Remembers events in a SQLite database: for one machine, across crashes and restarts.
///
/// A claim is one statement; the time is SQLite's, which is the machine's. What is committed survives a crash of
/// the process; with SQLite's default `synchronous = FULL`, of the machine too.
///
/// A handler that keeps its own tables in the same database can complete its claim in its own transaction:
/// [`Claimed::<SqliteStore>::complete_in`].
///
/// SQLite has one writer at a time: use `journal_mode = WAL` and a busy time-out, as sqlx's `SqliteConnectOptions`
/// set them.
#[derive(Clone)]
pub struct SqliteStore {
    pool: SqlitePool,
    completions: Arc<AtomicU64>,
}

impl SqliteStore {
    /// The table, for an application's own migrations. [`create_table`](Self::create_table) runs it.
    pub const SCHEMA: &str = "\
CREATE TABLE IF NOT EXISTS tower_workos_dedupe (
    namespace TEXT NOT NULL,
    event_id TEXT NOT NULL,
    token BLOB NOT NULL,
    done INTEGER NOT NULL,
    until INTEGER NOT NULL, -- Unix time in ms: the end of the lease, or once done, of the retention
    PRIMARY KEY (namespace, event_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tower_workos_dedupe_until ON tower_workos_dedupe (until);
";

    /// A store in this database. The table must be there.
    #[must_use]
    pub fn new(pool: SqlitePool) -> Self {
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
        connection: &mut SqliteConnection,
        key: &DedupeKey,
        lease: Duration,
    ) -> Result<Claim<ClaimToken>, StoreError> {
        let token = ClaimToken::new()?;
        sqlx::query(
            "INSERT INTO tower_workos_dedupe (namespace, event_id, token, done, until) \
             VALUES (?1, ?2, ?3, 0, CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?4) \
             ON CONFLICT (namespace, event_id) DO UPDATE SET \
             token = iif(until <= CAST(unixepoch('subsec') * 1000 AS INTEGER), excluded.token, token), \
             done = iif(until <= CAST(unixepoch('subsec') * 1000 AS INTEGER), 0, done), \
             until = iif(until <= CAST(unixepoch('subsec') * 1000 AS INTEGER), excluded.until, until) \
             RETURNING token = ?3, done, until - CAST(unixepoch('subsec') * 1000 AS INTEGER)",
        )
        .bind(key.namespace())
        .bind(key.id().as_str())
        .bind(token.as_bytes())
        .bind(millis(lease))
        .try_map(|row: SqliteRow| {
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
        connection: &mut SqliteConnection,
        key: &DedupeKey,
        token: &ClaimToken,
        retention: Duration,
    ) -> Result<Completion, StoreError> {
        let done = sqlx::query(
            "UPDATE tower_workos_dedupe \
             SET done = 1, until = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?4 \
             WHERE namespace = ?1 AND event_id = ?2 AND token = ?3 \
             AND (done OR until > CAST(unixepoch('subsec') * 1000 AS INTEGER))",
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
            "DELETE FROM tower_workos_dedupe WHERE (namespace, event_id) IN \
             (SELECT namespace, event_id FROM tower_workos_dedupe \
             WHERE until <= CAST(unixepoch('subsec') * 1000 AS INTEGER) LIMIT ?1)",
        )
        .bind(PURGE_ROWS)
        .execute(&self.pool)
        .await
        .map_err(StoreError::unavailable)?;
        Ok(purged.rows_affected())
    }
}

impl DedupeStore for SqliteStore {
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
                 WHERE namespace = ?1 AND event_id = ?2 AND token = ?3 AND NOT done",
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

impl Claimed<SqliteStore> {
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
        connection: &mut SqliteConnection,
    ) -> Result<Completion, StoreError> {
        self.complete_by_handler();
        if self.token().is_none() {
            match SqliteStore::claim_in(connection, self.key(), self.lease()).await? {
                Claim::Acquired(token) => self.adopt(token),
                Claim::Done | Claim::InFlight { .. } => return Ok(Completion::Stale),
            }
        }
        let Some(token) = self.token() else { return Ok(Completion::Stale) };
        SqliteStore::complete_in(connection, self.key(), token, self.retention()).await
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}
