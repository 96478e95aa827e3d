use std::time::{Duration, Instant};

use sqlx::{Connection as _, Transaction};
use tokio::time::sleep;
use tower_workos::dedupe::StoreError;

use crate::{
    database::{Fault, SqlDatabase, fault},
    error,
    store::SqlStore,
};

/// How long a migration waits for other transactions in total.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause between two attempts. While an attempt waits for a lock, claims queue behind it; during the pause, they run.
const PAUSE: Duration = Duration::from_millis(400);

/// Why an attempt failed. Only [`Final`](Self::Final) ends the migration immediately.
enum Failure {
    AnotherMigrates,
    Blocked(sqlx::Error),
    Final(StoreError),
}

impl<DB: SqlDatabase> SqlStore<DB> {
    /// The SQL that creates the tables: the n-th script creates version n. It is for applications that run migrations with
    /// their own tool; all others call [`migrate`](Self::migrate).
    ///
    /// Run the scripts in order, each in a transaction. Each records its version in the table
    /// `tower_workos_dedupe_migrations`, and can safely be run again. Released scripts never change; new versions add
    /// scripts.
    pub const MIGRATIONS: &'static [&'static str] = DB::MIGRATIONS;

    /// Creates the tables, or brings them up to date. Call it at start-up.
    ///
    /// Any number of replicas can call it concurrently. If the tables are up to date, or were created by a later version of this
    /// crate, it only reads: it needs no privilege to create tables, and doesn't wait for locks. A table that was created
    /// before there were versions is kept.
    ///
    /// Otherwise, one replica migrates the tables in one transaction. If other transactions use a table, the migration
    /// waits for them in short attempts, so that it delays claims only briefly.
    ///
    /// # Errors
    ///
    /// If the database fails, or if other transactions keep the tables locked for five seconds. Nothing is changed in
    /// either case.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.pool().acquire().await.map_err(StoreError::unavailable)?;
        let version = DB::version(&mut connection).await.map_err(error::alone::<DB>)?;
        drop(connection);
        if missing::<DB>(version).is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let blocked = match self.try_migrate(deadline).await {
                Ok(()) => return Ok(()),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Blocked(error)) => error::blocked(error),
                Err(Failure::AnotherMigrates) => {
                    StoreError::unavailable("another process is still migrating the store's tables")
                }
            };
            if Instant::now() >= deadline {
                return Err(blocked);
            }
            sleep(PAUSE / 8).await;
        }
    }

    async fn try_migrate(&self, deadline: Instant) -> Result<(), Failure> {
        let mut tx = self.begin().await.map_err(failure::<DB>)?;
        if !DB::lock_migrations(&mut tx).await.map_err(failure::<DB>)? {
            return Err(Failure::AnotherMigrates);
        }
        // Another process may have migrated the tables before this one acquired the lock.
        let version = DB::version(&mut tx).await.map_err(failure::<DB>)?;
        for sql in missing::<DB>(version) {
            while let Err(error) = apply::<DB>(&mut tx, sql).await {
                match failure::<DB>(error) {
                    // Keeps the lock, so that only one of many replicas tries.
                    Failure::Blocked(_) if Instant::now() < deadline => sleep(PAUSE).await,
                    failure => return Err(failure),
                }
            }
        }
        tx.commit().await.map_err(failure::<DB>)
    }
}

async fn apply<DB: SqlDatabase>(
    tx: &mut Transaction<'static, DB>,
    sql: &'static str,
) -> Result<(), sqlx::Error> {
    let connection: &mut DB::Connection = tx;
    let mut savepoint = connection.begin().await?;
    DB::run(&mut savepoint, sql).await?;
    savepoint.commit().await
}

/// The migrations that a database of this version needs.
fn missing<DB: SqlDatabase>(version: i64) -> &'static [&'static str] {
    usize::try_from(version).ok().and_then(|applied| DB::MIGRATIONS.get(applied..)).unwrap_or(&[])
}

fn failure<DB: SqlDatabase>(error: sqlx::Error) -> Failure {
    match fault::<DB>(&error) {
        Fault::Conflict | Fault::Locked => Failure::Blocked(error),
        Fault::NotMigrated | Fault::Other => Failure::Final(StoreError::unavailable(error)),
    }
}
