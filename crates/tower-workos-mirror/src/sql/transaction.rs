//! Transactions that hold the mirror's lock.

use std::time::Duration;

use crate::{
    error::{MirrorError, MirrorErrorKind},
    pool::MirrorPool,
    sql::{conn::Conn, names::Names, value::Kind},
};

/// How long returning a connection to the pool may take.
#[cfg(feature = "postgres")]
const RETURN: Duration = Duration::from_secs(5);

/// How long PostgreSQL waits for the next statement. A machine that loses its power or its network can't close its
/// connections, and would keep the lock until TCP gives up: by default, after two hours.
#[cfg(feature = "postgres")]
const ABANDONED: Duration = Duration::from_secs(5);

/// A transaction that has acquired the mirror's lock: until it ends, no other one writes.
///
/// The lock is acquired *first*. So the transactions commit in the order of the numbers that they give to changes, and a
/// reader of the feed never skips one. Each reads what the previous one wrote.
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
        Self::begin_again(pool, None, names, patience).await
    }

    /// Begins a transaction, if possible with the connection of an earlier one. That saves the round trips in which the
    /// pool checks a connection.
    pub(crate) async fn begin_again(
        pool: &MirrorPool,
        reuse: Option<Ended>,
        names: &Names,
        patience: Duration,
    ) -> Result<Self, sqlx::Error> {
        match pool {
            #[cfg(feature = "postgres")]
            MirrorPool::Postgres(pool) => {
                // Under SERIALIZABLE, the statement that waits for the lock would already have taken the snapshot.
                //
                // Planning would take half the time of a small batch, so plans are made once. They may only use indexes: a
                // plan that was made while the tables were empty would otherwise scan them forever.
                //
                // All of this is one round trip.
                let begin = format!(
                    "BEGIN ISOLATION LEVEL READ COMMITTED; \
                     SET LOCAL lock_timeout = {}; \
                     SET LOCAL idle_in_transaction_session_timeout = {}; \
                     SET LOCAL plan_cache_mode = force_generic_plan; \
                     SET LOCAL enable_seqscan = off; \
                     SET LOCAL enable_hashjoin = off; \
                     SET LOCAL enable_mergejoin = off; \
                     SET LOCAL jit = off; \
                     SELECT {}",
                    patience.as_millis().clamp(1, 2_000_000_000),
                    ABANDONED.as_millis(),
                    acquire_lock(names)
                );
                if let Some(Self::Postgres(mut transaction)) = reuse.and_then(|it| it.0) {
                    transaction.ended = false;
                    transaction.run(begin).await?;
                    return Ok(Self::Postgres(transaction));
                }
                PostgresTransaction::begin(pool, begin).await.map(Self::Postgres)
            }
            #[cfg(feature = "sqlite")]
            MirrorPool::Sqlite(pool) => {
                let _ = (reuse, names, patience);
                // Deleted and replaced data is about people, so SQLite overwrites it in the file.
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

    pub(crate) async fn commit(self) -> Result<Ended, sqlx::Error> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(transaction) => {
                transaction.end("COMMIT").await.map(|it| Ended(Some(Self::Postgres(it))))
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(transaction) => transaction.commit().await.map(|()| Ended::default()),
        }
    }

    /// Rolls back and keeps the connection. A transaction that is dropped rolls back, too, but closes its connection.
    pub(crate) async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(transaction) => transaction.end("ROLLBACK").await.map(drop),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(transaction) => transaction.rollback().await,
        }
    }
}

/// The connection of a transaction that was committed. If it is dropped, the pool gets it back.
#[derive(Default)]
pub(crate) struct Ended(#[cfg(feature = "postgres")] Option<Transaction>);

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

    async fn end(mut self, sql: &str) -> Result<Self, sqlx::Error> {
        self.run(sql.to_owned()).await?;
        self.ended = true;
        Ok(self)
    }
}

#[cfg(feature = "postgres")]
impl Drop for PostgresTransaction {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
            return;
        }
        // The pool waits for a reply before it takes a connection back, without a limit. A connection that becomes
        // silent at this moment would occupy its place until the operating system gives up, after a quarter of an hour.
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
        conn.execute(format!("SELECT {}", acquire_lock(names)), &[]).await?;
        return Ok(());
    }
    conn.script("PRAGMA secure_delete = ON".to_owned()).await?;
    // Acquires SQLite's write lock. It fails if this transaction has read and another one has written since.
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

/// The call that acquires the lock. The lock's key contains the table's id, because a schema can be found by its name or
/// through `search_path`, and both must give the same lock. Before the first migration, there is one lock for all.
fn acquire_lock(names: &Names) -> String {
    // "towe" in the upper half keeps the keys apart from those of the application.
    let namespace = i64::from(0x746f_7765_i32) << 32;
    let table = names.sql("{p}mirror_change");
    format!("pg_advisory_xact_lock({namespace} + coalesce(to_regclass('{table}')::oid::bigint, 0))")
}

/// The channel on which PostgreSQL notifies the readers of the feed: one for each schema and prefix.
#[cfg(feature = "postgres")]
pub(crate) fn channel(names: &Names) -> String {
    use sha2::{Digest as _, Sha256};

    let hash = Sha256::digest(names.qualified().as_bytes());
    let hash = hash.iter().take(8).fold(0_u64, |key, byte| (key << 8) | u64::from(*byte));
    format!("tower_workos_mirror_{hash:016x}")
}
