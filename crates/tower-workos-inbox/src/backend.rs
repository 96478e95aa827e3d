//! Where a queue is stored.

use std::fmt;

/// The application's pool or client. A `SqlitePool`, a `PgPool` or an `async_nats::jetstream::Context` converts into it.
#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "a queue has one")]
#[non_exhaustive]
pub enum Backend {
    /// NATS JetStream, server 2.9 or later.
    #[cfg(feature = "nats")]
    #[cfg_attr(docsrs, doc(cfg(feature = "nats")))]
    Nats(async_nats::jetstream::Context),
    /// PostgreSQL, 13 or later.
    #[cfg(feature = "postgres")]
    #[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
    Postgres(sqlx::PgPool),
    /// SQLite.
    #[cfg(feature = "sqlite")]
    #[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
    Sqlite(sqlx::SqlitePool),
}

#[cfg(feature = "nats")]
impl From<async_nats::jetstream::Context> for Backend {
    fn from(context: async_nats::jetstream::Context) -> Self {
        Self::Nats(context)
    }
}

#[cfg(feature = "postgres")]
impl From<sqlx::PgPool> for Backend {
    fn from(pool: sqlx::PgPool) -> Self {
        Self::Postgres(pool)
    }
}

#[cfg(feature = "sqlite")]
impl From<sqlx::SqlitePool> for Backend {
    fn from(pool: sqlx::SqlitePool) -> Self {
        Self::Sqlite(pool)
    }
}

impl Backend {
    pub(crate) fn has_schemas(&self) -> bool {
        match self {
            #[cfg(feature = "nats")]
            Self::Nats(_) => false,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => true,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => false,
        }
    }
}

/// Shows the name only: the options contain a password.
impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            #[cfg(feature = "nats")]
            Self::Nats(_) => "Nats",
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => "Postgres",
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => "Sqlite",
        })
    }
}

/// A transaction of the application, for [`Queue::store_in`](crate::Queue::store_in) and
/// [`Job::complete_in`](crate::Job::complete_in).
pub struct QueueTransaction<'a>(pub(crate) Conn<'a>);

pub(crate) enum Conn<'a> {
    #[cfg(feature = "postgres")]
    Postgres(&'a mut sqlx::PgConnection),
    #[cfg(feature = "sqlite")]
    Sqlite(&'a mut sqlx::SqliteConnection),
    /// Without the feature of a database, there is no transaction.
    #[cfg(not(any(feature = "postgres", feature = "sqlite")))]
    #[expect(dead_code, reason = "it can't be constructed")]
    None(std::convert::Infallible, std::marker::PhantomData<&'a ()>),
}

#[cfg(feature = "postgres")]
impl<'a> From<&'a mut sqlx::Transaction<'_, sqlx::Postgres>> for QueueTransaction<'a> {
    fn from(transaction: &'a mut sqlx::Transaction<'_, sqlx::Postgres>) -> Self {
        Self(Conn::Postgres(transaction))
    }
}

/// The connection must be inside a transaction.
#[cfg(feature = "postgres")]
impl<'a> From<&'a mut sqlx::PgConnection> for QueueTransaction<'a> {
    fn from(connection: &'a mut sqlx::PgConnection) -> Self {
        Self(Conn::Postgres(connection))
    }
}

#[cfg(feature = "sqlite")]
impl<'a> From<&'a mut sqlx::Transaction<'_, sqlx::Sqlite>> for QueueTransaction<'a> {
    fn from(transaction: &'a mut sqlx::Transaction<'_, sqlx::Sqlite>) -> Self {
        Self(Conn::Sqlite(transaction))
    }
}

/// The connection must be inside a transaction.
#[cfg(feature = "sqlite")]
impl<'a> From<&'a mut sqlx::SqliteConnection> for QueueTransaction<'a> {
    fn from(connection: &'a mut sqlx::SqliteConnection) -> Self {
        Self(Conn::Sqlite(connection))
    }
}

impl fmt::Debug for QueueTransaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueTransaction").finish_non_exhaustive()
    }
}
