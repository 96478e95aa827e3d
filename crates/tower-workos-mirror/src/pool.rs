//! The application's pool.

use std::fmt;

use crate::sql::conn::Conn;

/// The application's pool, of either database. A `PgPool` or a `SqlitePool` converts into it.
#[derive(Clone)]
#[non_exhaustive]
pub enum MirrorPool {
    /// PostgreSQL, 13 or later.
    #[cfg(feature = "postgres")]
    #[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
    Postgres(sqlx::PgPool),
    /// SQLite.
    #[cfg(feature = "sqlite")]
    #[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
    Sqlite(sqlx::SqlitePool),
}

#[cfg(feature = "postgres")]
impl From<sqlx::PgPool> for MirrorPool {
    fn from(pool: sqlx::PgPool) -> Self {
        Self::Postgres(pool)
    }
}

#[cfg(feature = "sqlite")]
impl From<sqlx::SqlitePool> for MirrorPool {
    fn from(pool: sqlx::SqlitePool) -> Self {
        Self::Sqlite(pool)
    }
}

/// Shows the database only: the options contain a password.
impl fmt::Debug for MirrorPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => "Postgres",
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => "Sqlite",
        })
    }
}

impl MirrorPool {
    pub(crate) fn is_postgres(&self) -> bool {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => true,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => false,
        }
    }

    /// Acquires a connection for reading.
    pub(crate) async fn acquire(&self) -> Result<Connection, sqlx::Error> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => pool.acquire().await.map(Connection::Postgres),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool) => pool.acquire().await.map(Connection::Sqlite),
        }
    }
}

/// A connection of the pool.
pub(crate) enum Connection {
    #[cfg(feature = "postgres")]
    Postgres(sqlx::pool::PoolConnection<sqlx::Postgres>),
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::pool::PoolConnection<sqlx::Sqlite>),
}

impl Connection {
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(connection) => Conn::Postgres(connection),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(connection) => Conn::Sqlite(connection),
        }
    }
}

/// A transaction of the application, for [`Mirror::apply_in`](crate::Mirror::apply_in).
pub struct MirrorTransaction<'a>(pub(crate) Conn<'a>);

#[cfg(feature = "postgres")]
impl<'a> From<&'a mut sqlx::Transaction<'_, sqlx::Postgres>> for MirrorTransaction<'a> {
    fn from(transaction: &'a mut sqlx::Transaction<'_, sqlx::Postgres>) -> Self {
        Self(Conn::Postgres(transaction))
    }
}

#[cfg(feature = "sqlite")]
impl<'a> From<&'a mut sqlx::Transaction<'_, sqlx::Sqlite>> for MirrorTransaction<'a> {
    fn from(transaction: &'a mut sqlx::Transaction<'_, sqlx::Sqlite>) -> Self {
        Self(Conn::Sqlite(transaction))
    }
}

impl fmt::Debug for MirrorTransaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirrorTransaction").finish_non_exhaustive()
    }
}
