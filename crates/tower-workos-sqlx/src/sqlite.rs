use sqlx::{Sqlite, SqliteConnection, error::DatabaseError};

use crate::{
    database::{Binds, Fault, Statements},
    store::SqlStore,
};

/// Remembers events in a SQLite database, for one machine and across crashes and restarts.
///
/// ```
/// # use std::{error::Error, time::Duration};
/// use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
/// use tower_workos::DedupeLayer;
/// use tower_workos_sqlx::SqliteStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("app.db");
/// let options = SqliteConnectOptions::new()
///     .filename(&file)
///     .create_if_missing(true)
///     .journal_mode(SqliteJournalMode::Wal)
///     .busy_timeout(Duration::from_secs(2));
/// let pool = SqlitePoolOptions::new()
///     // SQLite has one writer at a time: see below.
///     .max_connections(1)
///     // Less than the sender waits for a response.
///     .acquire_timeout(Duration::from_secs(2))
///     .connect_with(options)
///     .await?;
/// let store = SqliteStore::new(pool);
/// store.migrate().await?;
/// let dedupe = DedupeLayer::new("workos", store);
/// # let _ = dedupe;
/// # Ok(())
/// # }
/// ```
///
/// # What it promises
///
/// - Each change is one statement in its own transaction. Committed changes survive a crash of the process and,
///   with SQLite's default `synchronous = FULL`, of the machine.
/// - A claim of a key that is done or in flight only reads. With `journal_mode = WAL`, it doesn't wait for a writer.
/// - SQLite has one writer at a time. A claim of a new event, a completion and a release wait for any transaction
///   that has begun to write. They give up after the connection's `busy_timeout`, but not before a second has passed. Keep
///   write transactions short, and don't call other services inside one.
///
/// # One connection for writing
///
/// Give the store, the handlers' transactions and everything else that writes to this database one pool of **one
/// connection**, and what only reads another pool. A pool gives its connection to the callers in turn. With several connections, writers wait for
/// SQLite's lock instead, which polls and has no order: of 160 deliveries, eight at a time, with a transaction each, the
/// slowest took 430 to 750 ms with eight connections and 16 to 44 ms with one, which also handled more of them in a second
/// (three runs of the bench `stores`, on a busy machine with two cores).
///
/// While a handler has an open transaction, it must not acquire a second connection from that pool: it would wait for
/// itself until the `acquire_timeout`.
///
/// # One transaction with the handler's changes
///
/// A handler whose tables are in the same database can complete its claim in the transaction that changes them. Then
/// either both are committed or neither is, even after a crash: no change is lost, and none happens twice.
///
/// **Begin it with [`begin`](Self::begin)**, which is `BEGIN IMMEDIATE`. A transaction that is begun with plain `BEGIN`
/// (sqlx's `pool.begin()`) and reads first fails at its first write, without waiting, if another connection has written in
/// the meantime (`SQLITE_BUSY_SNAPSHOT`). If many events arrived at the same time, the response to most of them would be 503.
///
/// ```
/// use axum::{Extension, http::StatusCode};
/// use tower_workos::{
///     DirectoryEvent,
///     dedupe::{Claimed, Completion},
/// };
/// use tower_workos_sqlx::{CompleteIn, SqliteStore};
///
/// # type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// async fn handle(
///     claimed: &Claimed<SqliteStore>,
///     event: &DirectoryEvent,
/// ) -> Result<Completion, BoxError> {
///     let mut tx = claimed.store().begin().await?;
///     sqlx::query("INSERT INTO seen (event_id) VALUES (?1)")
///         .bind(event.id().as_str())
///         .execute(&mut *tx)
///         .await?;
///     let completion = claimed.complete_in(&mut tx).await?;
///     if completion == Completion::Completed {
///         tx.commit().await?;
///     }
///     Ok(completion)
/// }
///
/// async fn on_event(
///     Extension(claimed): Extension<Claimed<SqliteStore>>,
///     event: DirectoryEvent,
/// ) -> StatusCode {
///     match handle(&claimed, &event).await {
///         Ok(Completion::Completed) => StatusCode::OK,
///         Ok(Completion::Stale) | Err(_) => StatusCode::SERVICE_UNAVAILABLE,
///     }
/// }
/// # fn main() { let _ = on_event; }
/// ```
///
/// The statement is:
///
/// ```sql
/// UPDATE tower_workos_dedupe
/// SET done = 1, until = $now + $retention
/// WHERE namespace = $namespace AND event_id = $id AND token = $token
///   AND (done OR until > $now); -- one row: Completed; none: Stale
/// ```
///
/// # Time-outs
///
/// A sender that gets no response within seconds disconnects, and delivers the event again. Set the pool's
/// `acquire_timeout` (30 s by default) and the `busy_timeout` (5 s) to less than that, so that a delivery fails while the
/// sender is still waiting for the response. [`DedupeLayer::store_timeout`](tower_workos::DedupeLayer::store_timeout)
/// limits how long the *layer* waits, but not your handler's own `begin()`.
pub type SqliteStore = SqlStore<Sqlite>;

/// Unix time in milliseconds. SQLite computes it once for each statement, after it has acquired the lock.
macro_rules! now {
    () => {
        "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
    };
}

impl Statements for Sqlite {
    const BEGIN: &'static str = "BEGIN IMMEDIATE";

    const MIGRATIONS: &'static [&'static str] = &["\
CREATE TABLE IF NOT EXISTS tower_workos_dedupe (
    namespace TEXT NOT NULL,
    event_id TEXT NOT NULL,
    token BLOB NOT NULL,
    done INTEGER NOT NULL,
    until INTEGER NOT NULL, -- Unix time in ms: the end of the lease or, once done, of the retention
    PRIMARY KEY (namespace, event_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tower_workos_dedupe_until ON tower_workos_dedupe (until);
CREATE TABLE IF NOT EXISTS tower_workos_dedupe_migrations (
    version INTEGER PRIMARY KEY,
    applied_at INTEGER NOT NULL DEFAULT (unixepoch())
);
INSERT INTO tower_workos_dedupe_migrations (version) VALUES (1) ON CONFLICT DO NOTHING;
"];

    const LOOK: Option<&'static str> = Some(concat!(
        "SELECT iif(done, 'done', 'held'), until - ",
        now!(),
        " FROM tower_workos_dedupe WHERE namespace = ?1 AND event_id = ?2 AND until > ",
        now!()
    ));

    const CLAIM: &'static str = concat!(
        "INSERT INTO tower_workos_dedupe (namespace, event_id, token, done, until) VALUES (?1, ?2, ?3, 0, ",
        now!(),
        " + ?4) ON CONFLICT (namespace, event_id) DO UPDATE \
         SET token = excluded.token, done = 0, until = excluded.until WHERE until <= ",
        now!(),
        " RETURNING 'acquired', 0"
    );

    const COMPLETE: &'static str = concat!(
        "UPDATE tower_workos_dedupe SET done = 1, until = ",
        now!(),
        " + ?4 WHERE namespace = ?1 AND event_id = ?2 AND token = ?3 AND (done OR until > ",
        now!(),
        ") RETURNING 'completed', 0"
    );

    const CONFIRM: &'static str = "\
        SELECT 'completed', 0 FROM tower_workos_dedupe \
        WHERE namespace = ?1 AND event_id = ?2 AND token = ?3 AND done";

    const RELEASE: &'static str = "\
        DELETE FROM tower_workos_dedupe \
        WHERE namespace = ?1 AND event_id = ?2 AND token = ?3 AND NOT done \
        RETURNING 'released', 0";

    const PURGE: &'static str = concat!(
        "DELETE FROM tower_workos_dedupe WHERE (namespace, event_id) IN \
         (SELECT namespace, event_id FROM tower_workos_dedupe WHERE until <= ",
        now!(),
        " LIMIT ?4) RETURNING 'purged', 1"
    );

    const CONFLICT: &'static str = "another connection is writing, or has written since this transaction began to read; \
        begin it with SqliteStore::begin, which is BEGIN IMMEDIATE and waits for its turn";

    async fn rows(
        connection: &mut SqliteConnection,
        sql: &'static str,
        binds: &Binds<'_>,
    ) -> Result<Vec<(String, i64)>, sqlx::Error> {
        sqlx::query_as(sql)
            .bind(&*binds.namespace)
            .bind(&*binds.id)
            .bind(binds.token)
            .bind(binds.number)
            .bind(binds.alone)
            .fetch_all(connection)
            .await
    }

    async fn version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
        let tables: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM sqlite_master WHERE type = 'table' \
             AND name IN ('tower_workos_dedupe', 'tower_workos_dedupe_migrations')",
        )
        .fetch_one(&mut *connection)
        .await?;
        if tables < 2 {
            return Ok(0);
        }
        sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM tower_workos_dedupe_migrations")
            .fetch_one(connection)
            .await
    }

    // `BEGIN IMMEDIATE` has already locked the database.
    async fn lock_migrations(_: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
        Ok(true)
    }

    async fn run(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(sql).execute(connection).await.map(drop)
    }

    fn fault(error: &dyn DatabaseError) -> Fault {
        let message = error.message();
        // This is the extended result code; its lowest byte is the primary one.
        match error.code().and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff) {
            // SQLITE_BUSY, SQLITE_LOCKED
            Some(5 | 6) => Fault::Conflict,
            // SQLITE_ERROR
            Some(1)
                if message.starts_with("no such table")
                    || message.starts_with("no such column")
                    || message.contains("has no column named") =>
            {
                Fault::NotMigrated
            }
            _ => Fault::Other,
        }
    }
}
