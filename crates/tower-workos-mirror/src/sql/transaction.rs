//! Transactions that hold the mirror's lock.

use std::time::Duration;

use crate::{
    error::{MirrorError, MirrorErrorKind},
    pool::MirrorPool,
    sql::{conn::Conn, names::Names, value::Kind},
};

/// How long the pool may take to take a connection back.
#[cfg(feature = "postgres")]
const RETURN: Duration = Duration::from_secs(5);

/// How long PostgreSQL waits for the next statement. A machine that loses its power or its network can't close its
/// connections, and would keep the lock until TCP gives up: by default, after two hours.
#[cfg(feature = "postgres")]
const ABANDONED: Duration = Duration::from_secs(5);

/// A transaction that has acquired the mirror's lock: it is the only one that writes, until it ends.
///
/// The lock is acquired *first*. So the transactions commit in the order of the numbers that they give to changes, and a
/// reader of the feed never skips one. Each reads what the one before wrote.
pub(crate) enum Transaction {
    #[cfg(feature = "postgres")]
    Postgres(PostgresTransaction),
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
}

impl Transaction {
    /// Begins a transaction. Waits at most this long for each lock.
    pub(crate) async fn begin(
        pool: &MirrorPool,
        names: &Names,
        patience: Duration,
    ) -> Result<Self, sqlx::Error> {
        match pool {
            #[cfg(feature = "postgres")]
            MirrorPool::Postgres(pool) => {
                // Under SERIALIZABLE, the statement that waits for the lock would already have taken the snapshot. And
                // plans that were made while the tables were empty are slow. One round trip.
                let begin = format!(
                    "BEGIN ISOLATION LEVEL READ COMMITTED; \
                     SET LOCAL lock_timeout = {}; \
                     SET LOCAL idle_in_transaction_session_timeout = {}; \
                     SET LOCAL plan_cache_mode = force_custom_plan; \
                     SELECT pg_advisory_xact_lock({})",
                    patience.as_millis().clamp(1, 2_000_000_000),
                    ABANDONED.as_millis(),
                    lock_key(names)
                );
                PostgresTransaction::begin(pool, begin).await.map(Self::Postgres)
            }
            #[cfg(feature = "sqlite")]
            MirrorPool::Sqlite(pool) => {
                let _ = (names, patience);
                // What is deleted or replaced is about people, so SQLite overwrites it in the file.
                let begin = "PRAGMA secure_delete = ON; BEGIN IMMEDIATE";
                Ok(Self::Sqlite(pool.begin_with(begin).await?))
            }
        }
    }

    /// Begins a transaction that only reads, and sees one state of the tables. It acquires no lock.
    pub(crate) async fn snapshot(pool: &MirrorPool) -> Result<Self, sqlx::Error> {
        match pool {
            #[cfg(feature = "postgres")]
            MirrorPool::Postgres(pool) => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned();
                PostgresTransaction::begin(pool, begin).await.map(Self::Postgres)
            }
            #[cfg(feature = "sqlite")]
            MirrorPool::Sqlite(pool) => Ok(Self::Sqlite(pool.begin().await?)),
        }
    }

    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(transaction) => Conn::Postgres(&mut transaction.connection),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(transaction) => Conn::Sqlite(transaction),
        }
    }

    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(transaction) => transaction.end("COMMIT").await,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(transaction) => transaction.commit().await,
        }
    }

    /// Rolls back and keeps the connection. A transaction that is dropped rolls back, too, but closes its connection.
    pub(crate) async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(transaction) => transaction.end("ROLLBACK").await,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(transaction) => transaction.rollback().await,
        }
    }
}

/// sqlx's own transaction does not roll back if its `BEGIN` fails or is cancelled, because it has not counted it yet. The
/// connection would return to the pool inside an open transaction, perhaps with the lock. This one closes the connection
/// unless it has ended, which also frees its place in the pool if the server is silent.
#[cfg(feature = "postgres")]
pub(crate) struct PostgresTransaction {
    connection: sqlx::pool::PoolConnection<sqlx::Postgres>,
    ended: bool,
}

#[cfg(feature = "postgres")]
impl PostgresTransaction {
    async fn begin(pool: &sqlx::PgPool, sql: String) -> Result<Self, sqlx::Error> {
        let mut transaction = Self { connection: pool.acquire().await?, ended: false };
        transaction.run(sql).await?;
        Ok(transaction)
    }

    async fn run(&mut self, sql: String) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *self.connection).await.map(drop)
    }

    async fn end(mut self, sql: &str) -> Result<(), sqlx::Error> {
        self.run(sql.to_owned()).await?;
        self.ended = true;
        Ok(())
    }
}

#[cfg(feature = "postgres")]
impl Drop for PostgresTransaction {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
            return;
        }
        // The pool waits for a reply before it takes a connection back, without a limit. A connection that goes silent in this
        // moment would occupy its place until the operating system gives up, after a quarter of an hour.
        let returning = self.connection.return_to_pool();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(RETURN, returning));
        }
    }
}

/// Acquires the mirror's lock in a transaction of the application.
pub(crate) async fn lock(conn: &mut Conn<'_>, names: &Names) -> Result<(), MirrorError> {
    if conn.is_postgres() {
        let isolation = conn
            .rows("SELECT current_setting('transaction_isolation')".to_owned(), &[], &[Kind::Text])
            .await?;
        let isolation = isolation.first().and_then(|row| row.first()?.as_text());
        if isolation != Some("read committed") {
            let hint = "apply_in needs a READ COMMITTED transaction: under another isolation level it would read rows from \
                        before it waited for the mirror's lock. Begin it with \
                        pool.begin_with(\"BEGIN ISOLATION LEVEL READ COMMITTED\")";
            return Err(MirrorError::new(MirrorErrorKind::Transaction, hint));
        }
        let sql = format!("SELECT pg_advisory_xact_lock({})", lock_key(names));
        conn.execute(sql, &[]).await?;
        return Ok(());
    }
    conn.script("PRAGMA secure_delete = ON".to_owned()).await?;
    // Takes SQLite's write lock. If this transaction has read and another one has written since, SQLite can't give it.
    let sql = names.sql("UPDATE {p}mirror_cursor SET after = after WHERE stream = 'none'");
    conn.execute(sql, &[]).await.map(drop).map_err(|error| match &error {
        sqlx::Error::Database(it) if it.message().contains("locked") => {
            let hint = "apply_in can't write: another connection is writing, or has written since this transaction began to \
                        read. Begin it with pool.begin_with(\"BEGIN IMMEDIATE\"), which waits for its turn";
            MirrorError::new(MirrorErrorKind::Transaction, hint).caused(error)
        }
        _ => error.into(),
    })
}

/// The channel on which PostgreSQL notifies the readers of the feed: one for each schema and prefix.
#[cfg(feature = "postgres")]
pub(crate) fn channel(names: &Names) -> String {
    format!("tower_workos_mirror_{:016x}", lock_key(names))
}

/// A lock for each schema and prefix.
fn lock_key(names: &Names) -> i64 {
    use sha2::{Digest as _, Sha256};

    let hash: [u8; 32] =
        Sha256::digest(format!("tower_workos_mirror {}", names.qualified())).into();
    hash.iter().take(8).fold(0_i64, |key, byte| (key << 8) | i64::from(*byte))
}
