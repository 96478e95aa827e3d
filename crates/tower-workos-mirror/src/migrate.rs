//! Creates the tables.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::{
    error::{MirrorError, MirrorErrorKind},
    mirror::{Mirror, Shared},
    pool::MirrorPool,
    sql::{
        conn::Conn,
        schema::{MIGRATIONS, dialect},
        transaction::Transaction,
        value::Kind,
    },
};

/// How long a migration waits for other transactions, in total.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one attempt waits for a lock. Other transactions queue behind it, so it must be short.
const ATTEMPT: Duration = Duration::from_millis(200);
/// The pause between two attempts, in which other transactions run.
const PAUSE: Duration = Duration::from_millis(300);

impl Mirror {
    /// Returns the SQL that creates the tables and views. The n-th script creates version n. It is for applications
    /// that run migrations with their own tool; all others call [`migrate`](Self::migrate).
    ///
    /// Run the scripts in order, each in a transaction. Each records its version in `workos_mirror_migration`. Released
    /// scripts never change; new versions add scripts.
    #[must_use]
    pub fn migrations(&self) -> Vec<String> {
        let Shared { pool, names, .. } = &*self.shared;
        let postgres = pool.is_postgres();
        MIGRATIONS
            .iter()
            .enumerate()
            .map(|(index, sql)| {
                let version = index + 1;
                let record = format!(
                    "\nINSERT INTO {{p}}mirror_migration (version, applied_at) VALUES ({version}, @now);\n"
                );
                dialect(&names.sql(&format!("{sql}{record}")), postgres)
            })
            .collect()
    }

    /// Creates the tables, or brings them up to date. Call it at start-up.
    ///
    /// Any number of replicas can call it concurrently. If the tables are up to date, or were created by a later version
    /// of this crate, it only reads. Otherwise, one replica migrates them in one transaction. If other
    /// transactions use the tables, it makes short attempts with pauses, so that it delays them only briefly.
    ///
    /// # Errors
    ///
    /// If the database fails, if its encoding is not UTF8 (PostgreSQL), or if other transactions keep the tables locked for
    /// ten seconds. Nothing is changed in these cases.
    pub async fn migrate(&self) -> Result<(), MirrorError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.try_migrate().await {
                Ok(()) => return Ok(()),
                Err(error) if is_locked(&error) && Instant::now() < deadline => sleep(PAUSE).await,
                Err(error) if is_locked(&error) => {
                    let hint = "the mirror's tables can't be migrated, because other transactions kept them locked for ten \
                                seconds: end those transactions, then try again";
                    return Err(MirrorError::new(MirrorErrorKind::Database, hint).caused(error));
                }
                Err(error) => {
                    let hint = "the migration of the mirror's tables failed";
                    return Err(MirrorError::new(MirrorErrorKind::Database, hint).caused(error));
                }
            }
        }
    }

    /// In another encoding, PostgreSQL could not store some names, and the events that contain them.
    async fn check_encoding(&self) -> Result<(), sqlx::Error> {
        if !self.shared.pool.is_postgres() {
            return Ok(());
        }
        let mut connection = self.shared.pool.acquire().await?;
        let sql = "SELECT current_setting('server_encoding')".to_owned();
        let rows = connection.conn().rows(sql, &[], &[Kind::Text]).await?;
        match rows.first().and_then(|row| row.first()?.as_text()) {
            Some("UTF8") => Ok(()),
            encoding => {
                let encoding = encoding.unwrap_or_default();
                let error = format!("the database's encoding is {encoding}: the mirror needs UTF8");
                Err(sqlx::Error::Configuration(error.into()))
            }
        }
    }

    async fn try_migrate(&self) -> Result<(), sqlx::Error> {
        self.check_encoding().await?;
        if missing(self.version().await?, self.migrations()).is_empty() {
            return Ok(());
        }
        let Shared { pool, names, .. } = &*self.shared;
        let mut transaction = Transaction::begin(pool, names, ATTEMPT).await?;
        // Another process may have migrated the tables before this one acquired the lock.
        let version = version(&mut transaction.conn(), self).await?;
        if pool.is_postgres() {
            // An index of a large table takes longer than a statement of the application may.
            transaction.conn().script("SET LOCAL statement_timeout = 0".to_owned()).await?;
        }
        for sql in missing(version, self.migrations()) {
            transaction.conn().script(sql).await?;
        }
        transaction.commit().await.map(drop)
    }

    /// The version of the tables, 0 if there are none. Waits for locks at most as long as one attempt.
    async fn version(&self) -> Result<i64, sqlx::Error> {
        match &self.shared.pool {
            #[cfg(feature = "postgres")]
            MirrorPool::Postgres(pool) => {
                let timeout = ATTEMPT.as_millis();
                let begin = format!("BEGIN READ ONLY; SET LOCAL lock_timeout = {timeout}");
                let mut transaction = pool.begin_with(sqlx::AssertSqlSafe(begin)).await?;
                let version = version(&mut Conn::Postgres(&mut transaction), self).await;
                transaction.rollback().await?;
                version
            }
            #[cfg(feature = "sqlite")]
            MirrorPool::Sqlite(pool) => {
                let mut connection = pool.acquire().await?;
                version(&mut Conn::Sqlite(&mut connection), self).await
            }
        }
    }
}

async fn version(conn: &mut Conn<'_>, mirror: &Mirror) -> Result<i64, sqlx::Error> {
    let names = &mirror.shared.names;
    let exists = if conn.is_postgres() {
        let name = names.sql("{p}mirror_migration");
        // `to_regclass` alone looks the name up in the connection's cache, so a transaction that waited for the lock would
        // not see a table that was created in the meantime.
        format!("SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass('{name}')")
    } else {
        let name = names.sql("{i}mirror_migration").replace('"', "'");
        format!("SELECT count(*) FROM sqlite_master WHERE name = {name}")
    };
    let int = |rows: Vec<Vec<crate::sql::value::Value>>| {
        rows.first().and_then(|row| row.first()?.as_int()).unwrap_or(0)
    };
    if int(conn.rows(exists, &[], &[Kind::Int]).await?) == 0 {
        return Ok(0);
    }
    let sql = names.sql("SELECT coalesce(max(version), 0) FROM {p}mirror_migration");
    conn.rows(sql, &[], &[Kind::Int]).await.map(int)
}

/// The migrations that tables of this version need.
fn missing(version: i64, migrations: Vec<String>) -> Vec<String> {
    migrations.into_iter().skip(usize::try_from(version).unwrap_or(0)).collect()
}

/// Whether other transactions caused the error, so that another attempt can succeed.
fn is_locked(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    // lock_not_available, deadlock_detected, serialization_failure
    error.code().is_some_and(|code| matches!(&*code, "55P03" | "40P01" | "40001"))
        || error.message().contains("database is locked")
}
