//! Opens a pool or a connection.

use crate::{backend::Backend, error::InboxError, payload::Payload, queue::Queue};

/// How long a query waits for a connection of the pool. Less than the time-out of a delivery, so that it gets a response.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
const ACQUIRE: std::time::Duration = std::time::Duration::from_secs(3);
/// How long SQLite waits for another writer. Also less than the time-out of a delivery.
#[cfg(feature = "sqlite")]
const BUSY: std::time::Duration = std::time::Duration::from_secs(3);

impl<T: Payload> Queue<T> {
    /// Opens the database or the broker with this URL, as [`Backend::connect`] describes, and returns a queue with the defaults of
    /// [`QueueBuilder`](crate::QueueBuilder). [`migrate`](Self::migrate) creates its tables or streams.
    ///
    /// # Errors
    ///
    /// As [`Backend::connect`].
    pub async fn connect(url: &str) -> Result<Self, InboxError> {
        Ok(Self::new(Backend::connect(url).await?))
    }
}

impl Backend {
    /// Opens the database or the broker with this URL. For a queue with other settings than the defaults, pass the result to
    /// [`Queue::builder`].
    ///
    /// | URL | opens |
    /// |---|---|
    /// | `sqlite:app.db`, `sqlite:///var/lib/app.db` | SQLite in this file, which is created if it is missing; needs the feature `sqlite` |
    /// | `sqlite::memory:` | SQLite in memory, for tests: everything is lost when the pool is closed |
    /// | `postgres://user:password@host/database` | PostgreSQL, with up to 20 connections; needs the feature `postgres` |
    /// | `nats://user:password@host:4222`, `tls://host:4222` | NATS JetStream; needs the feature `nats` |
    ///
    /// The URLs of databases follow the documentation of sqlx, including parameters such as `?sslmode=require`.
    ///
    /// # An application's own pool
    ///
    /// An application that already has a pool or a client passes it to [`Queue::new`] or [`Queue::builder`]. These settings matter; "here" means in
    /// what this function opens:
    ///
    /// - `acquire_timeout`, of the pool: less than the [time-out](crate::QueueBuilder::timeout) of 4 s. Here: 3 s.
    /// - `max_connections`, of the pool. On SQLite, storing and the worker need one each. On PostgreSQL, the worker keeps one
    ///   for notifications, unless the pool has only one, and shares the others with everything else: a few are enough. Without
    ///   notifications, it looks for items every second. Here: 10 on SQLite, 20 on PostgreSQL.
    /// - SQLite's `journal_mode`: `WAL`. In any other mode, a query waits for writers and writers wait for queries.
    /// - SQLite's `busy_timeout`: less than 4 s. Here: 3 s.
    /// - SQLite's `synchronous`, on every connection: `FULL`, which is its default. With `NORMAL`, a crash of the machine can
    ///   lose events that were acknowledged.
    /// - SQLite's `secure_delete`: with `ON`, the bodies of handled items are overwritten. Here: `ON`.
    /// - PostgreSQL's `synchronous_commit`: `on`, which is its default, or stronger. With `off`, a crash can lose events
    ///   that were acknowledged.
    /// - PostgreSQL behind PgBouncer: only in its session mode. In the others, there are no notifications, and prepared statements
    ///   can fail.
    /// - NATS: [what the server promises](crate#nats) depends on its settings.
    ///
    /// # Errors
    ///
    /// If the URL is not valid, if the feature of its engine is not enabled, or if the database or broker can't be reached. The
    /// error does not contain the URL, which can contain a password.
    pub async fn connect(url: &str) -> Result<Self, InboxError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => postgres(url).await,
            Some("sqlite") => sqlite(url).await,
            Some("nats" | "tls") => nats(url).await,
            _ => {
                let hint = "the URL of the queue must begin with postgres:, sqlite:, nats: or tls:";
                Err(InboxError::config(hint))
            }
        }
    }
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str) -> Result<Backend, InboxError> {
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

    let options: PgConnectOptions = url.parse().map_err(|_| invalid())?;
    let pool = PgPoolOptions::new().max_connections(20).acquire_timeout(ACQUIRE);
    pool.connect_with(options).await.map(Backend::from).map_err(not_opened)
}

#[cfg(feature = "sqlite")]
async fn sqlite(url: &str) -> Result<Backend, InboxError> {
    use sqlx::sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
    };

    let options: SqliteConnectOptions = url.parse().map_err(|_| invalid())?;
    let options = options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .pragma("secure_delete", "ON");
    let pool = SqlitePoolOptions::new().acquire_timeout(ACQUIRE);
    // A database in memory is lost when its last connection is closed, and several connections would lock each other out.
    let pool = if url.contains(":memory:") || url.contains("mode=memory") {
        pool.max_connections(1).idle_timeout(None).max_lifetime(None)
    } else {
        pool.max_connections(10)
    };
    pool.connect_with(options).await.map(Backend::from).map_err(not_opened)
}

#[cfg(feature = "nats")]
async fn nats(url: &str) -> Result<Backend, InboxError> {
    crate::engine::nats::connect(url).await.map(Backend::from)
}

#[cfg(not(feature = "postgres"))]
async fn postgres(_: &str) -> Result<Backend, InboxError> {
    Err(missing("the URL is for PostgreSQL: enable the feature `postgres` of tower-workos-inbox"))
}

#[cfg(not(feature = "sqlite"))]
async fn sqlite(_: &str) -> Result<Backend, InboxError> {
    Err(missing("the URL is for SQLite: enable the feature `sqlite` of tower-workos-inbox"))
}

#[cfg(not(feature = "nats"))]
async fn nats(_: &str) -> Result<Backend, InboxError> {
    Err(missing("the URL is for NATS: enable the feature `nats` of tower-workos-inbox"))
}

#[cfg(not(all(feature = "nats", feature = "postgres", feature = "sqlite")))]
fn missing(hint: &'static str) -> InboxError {
    InboxError::config(hint)
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
fn invalid() -> InboxError {
    InboxError::config("the URL of the queue's database is not valid")
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
fn not_opened(error: sqlx::Error) -> InboxError {
    // sqlx tries again until then if the connection is refused, and no longer knows why.
    let code = match &error {
        sqlx::Error::Database(error) => error.code().unwrap_or_default().into_owned(),
        _ => String::new(),
    };
    let hint = match (&error, code.as_str()) {
        (sqlx::Error::PoolTimedOut, _) => "the queue's database can't be reached within 3 s",
        // SQLITE_CANTOPEN
        (_, "14") => "the queue's database can't be opened: does its folder exist?",
        // invalid_catalog_name
        (_, "3D000") => "the queue's database does not exist: create it first",
        _ => "the queue's database can't be opened",
    };
    InboxError::storage(hint).caused(error)
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_connection_to_sqlite_is_durable() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("inbox.db").display());
        let backend = sqlite(&url).await.unwrap();
        #[allow(irrefutable_let_patterns, reason = "without other engines")]
        let Backend::Sqlite(pool) = backend else { unreachable!() };
        let mut connections = Vec::new();
        for _ in 0..10 {
            let mut connection = pool.acquire().await.unwrap();
            for (pragma, expected) in [("synchronous", 2), ("secure_delete", 1)] {
                let sql = sqlx::AssertSqlSafe(format!("PRAGMA {pragma}"));
                let value: i64 = sqlx::query_scalar(sql).fetch_one(&mut *connection).await.unwrap();
                assert_eq!(value, expected, "{pragma}");
            }
            connections.push(connection);
        }
    }

    #[tokio::test]
    async fn a_url_that_is_not_valid_is_not_shown() {
        for url in ["mysql://root:hunter2@localhost/db", "sqlite:x?mode=hunter2", "hunter2"] {
            let Err(error) = Queue::<tower_workos::DirectoryEvent>::connect(url).await else {
                panic!("{url} is not valid")
            };
            assert_eq!(error.kind(), crate::InboxErrorKind::Config, "{url}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }
}
