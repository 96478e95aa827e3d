//! The SQL of each database.

use std::{borrow::Cow, fmt, future::Future};

use sqlx::{Database, error::DatabaseError};

/// A database that [`SqlStore`](crate::SqlStore) supports. This trait can't be implemented outside this crate.
pub trait SqlDatabase: Statements {}

impl<DB: Statements> SqlDatabase for DB {}

/// The SQL of a database.
///
/// The statements take the parameters of [`Binds`], in order, and return rows of a verdict and a number.
#[expect(unnameable_types, reason = "it seals `SqlDatabase`")]
pub trait Statements: Database {
    /// Begins a transaction in which no statement fails because of another transaction.
    const BEGIN: &'static str;
    /// The n-th statement creates version n.
    const MIGRATIONS: &'static [&'static str];
    /// Checks without a lock whether the key is done or held. For a database whose `CLAIM` locks even if it changes
    /// nothing.
    const LOOK: Option<&'static str>;
    const CLAIM: &'static str;
    const COMPLETE: &'static str;
    const CONFIRM: &'static str;
    const RELEASE: &'static str;
    /// Deletes at most [`Binds::number`] expired rows. The sum of the returned numbers is the number of deleted rows.
    const PURGE: &'static str;
    /// The hint for a [`Fault::Conflict`] in the application's own transaction.
    const CONFLICT: &'static str;

    fn rows(
        connection: &mut Self::Connection,
        sql: &'static str,
        binds: &Binds<'_>,
    ) -> impl Future<Output = Result<Vec<(String, i64)>, sqlx::Error>> + Send;

    /// The version of the tables; 0 if there are none. Only reads.
    fn version(
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<i64, sqlx::Error>> + Send;

    /// Makes the transaction the only one that migrates these tables. `false` if another one is migrating them.
    fn lock_migrations(
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<bool, sqlx::Error>> + Send;

    fn run(
        connection: &mut Self::Connection,
        sql: &'static str,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    fn fault(error: &dyn DatabaseError) -> Fault;
}

/// The verdicts that statements return.
pub(crate) mod verdict {
    pub(crate) const ACQUIRED: &str = "acquired";
    pub(crate) const COMPLETED: &str = "completed";
    pub(crate) const DONE: &str = "done";
    /// With the time that is left of the lease, in milliseconds.
    pub(crate) const HELD: &str = "held";
    /// The transaction does not have the isolation level that the statement needs, so it did nothing.
    pub(crate) const ISOLATION: &str = "isolation";
    /// An open transaction has claimed the key.
    pub(crate) const LOCKED: &str = "locked";
}

/// The parameters of a statement.
#[derive(Clone)]
#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    expect(dead_code, reason = "only the databases read them")
)]
#[expect(unnameable_types, reason = "of a sealed trait")]
pub struct Binds<'a> {
    /// 1
    pub(crate) namespace: Cow<'a, str>,
    /// 2
    pub(crate) id: Cow<'a, str>,
    /// 3
    pub(crate) token: &'a [u8],
    /// 4: milliseconds, or a number of rows.
    pub(crate) number: i64,
    /// 5: whether the statement is its own transaction, so that it can set the lock time-out.
    pub(crate) alone: bool,
}

impl fmt::Debug for Binds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binds").finish_non_exhaustive()
    }
}

/// The kind of an error that the database returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(unnameable_types, reason = "of a sealed trait")]
pub enum Fault {
    /// A conflict with another transaction. The statement can succeed in a new transaction.
    Conflict,
    /// A lock could not be acquired in time.
    Locked,
    /// The tables are missing or outdated.
    NotMigrated,
    Other,
}

pub(crate) fn fault<DB: Statements>(error: &sqlx::Error) -> Fault {
    error.as_database_error().map_or(Fault::Other, DB::fault)
}
