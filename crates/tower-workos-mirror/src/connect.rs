//! Opens a pool.

use std::{str::FromStr as _, time::Duration};

use crate::{
    error::{ConfigError, MirrorError, MirrorErrorKind},
    mirror::Mirror,
    pool::MirrorPool,
};

/// How long a query waits for a connection of the pool. Less than the time-out of a delivery, so that it gets a response.
const ACQUIRE: Duration = Duration::from_secs(3);
/// How long SQLite waits for another writer. Also less than the time-out of a delivery.
#[cfg(feature = "sqlite")]
const BUSY: Duration = Duration::from_secs(3);

impl Mirror {
    /// Opens the database with this URL and returns a mirror with the defaults of [`MirrorBuilder`](crate::MirrorBuilder).
    /// [`migrate`](Self::migrate) creates its tables.
    ///
    /// | URL | opens |
    /// |---|---|
    /// | `postgres://user:password@host/database` | PostgreSQL, with up to 10 connections; needs the feature `postgres` |
    /// | `sqlite:app.db`, `sqlite:///var/lib/app.db` | SQLite in this file, which is created if it is missing; needs the feature `sqlite` |
    /// | `sqlite::memory:` | SQLite in memory, for tests: everything is lost when the pool is closed |
    ///
    /// Both follow the documentation of sqlx, including parameters such as `?sslmode=require`.
    ///
    /// # An application's own pool
    ///
    /// An application that already has a pool passes it to [`Mirror::new`]. These settings matter; "here" means in a
    /// pool that this function opens:
    ///
    /// - `acquire_timeout`, of the pool: less than the mirror's [`timeout`](crate::MirrorBuilder::timeout) of 4 s. With
    ///   sqlx's default of 30 s, WorkOS would give up before the mirror does. Here: 3 s.
    /// - `max_connections`, of the pool: the mirror writes with one connection, and each query needs another one. Here: 10.
    /// - SQLite's `journal_mode`: `WAL`. In any other mode, a query waits for writers and writers wait for queries.
    /// - SQLite's `busy_timeout`: less than 4 s. Here: 3 s.
    /// - SQLite's `synchronous`: `FULL`, which is its default. With `NORMAL`, a crash of the machine can lose events that
    ///   were acknowledged.
    /// - PostgreSQL's `synchronous_commit`: `on`, which is its default, or stronger. With `off`, a crash can lose
    ///   events that were acknowledged.
    /// - SQLite's `secure_delete`: the mirror turns it on for each connection that it writes with, and it stays on. Turn it
    ///   on for other connections that delete personal data. It overwrites deleted data in the database file, but not in
    ///   the `-wal` file, which can contain former versions until SQLite reuses that part of it, or until the last
    ///   connection is closed, which deletes the file.
    ///
    /// # Errors
    ///
    /// If the URL is not valid, if the feature of its database is not enabled, or if the database can't be opened. The
    /// error does not contain the URL, which can contain a password.
    pub async fn connect(url: &str) -> Result<Self, MirrorError> {
        let pool: MirrorPool = match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => postgres(url).await?,
            Some("sqlite") => sqlite(url).await?,
            _ => {
                let hint = "the URL of the mirror's database must begin with postgres: or sqlite:";
                return Err(ConfigError::new(hint).into());
            }
        };
        Ok(Self::new(pool))
    }
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str) -> Result<MirrorPool, MirrorError> {
    let options = sqlx::postgres::PgConnectOptions::from_str(url).map_err(|_| invalid())?;
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(10).acquire_timeout(ACQUIRE);
    pool.connect_with(options).await.map(MirrorPool::from).map_err(not_opened)
}

#[cfg(not(feature = "postgres"))]
async fn postgres(_: &str) -> Result<MirrorPool, MirrorError> {
    Err(missing("the URL is for PostgreSQL: enable the feature `postgres` of tower-workos-mirror"))
}

#[cfg(feature = "sqlite")]
async fn sqlite(url: &str) -> Result<MirrorPool, MirrorError> {
    use sqlx::sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
    };

    let options = SqliteConnectOptions::from_str(url)
        .map_err(|_| invalid())?
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
    pool.connect_with(options).await.map(MirrorPool::from).map_err(not_opened)
}

#[cfg(not(feature = "sqlite"))]
async fn sqlite(_: &str) -> Result<MirrorPool, MirrorError> {
    Err(missing("the URL is for SQLite: enable the feature `sqlite` of tower-workos-mirror"))
}

#[cfg(not(all(feature = "postgres", feature = "sqlite")))]
fn missing(hint: &str) -> MirrorError {
    ConfigError::new(hint).into()
}

fn invalid() -> MirrorError {
    ConfigError::new("the URL of the mirror's database is not valid").into()
}

fn not_opened(error: sqlx::Error) -> MirrorError {
    // sqlx tries again until then if the connection is refused, and no longer knows why.
    let hint = match error {
        sqlx::Error::PoolTimedOut => "the mirror's database can't be reached within 3 s",
        _ => "the mirror's database can't be opened",
    };
    MirrorError::new(MirrorErrorKind::Database, hint).caused(error)
}
