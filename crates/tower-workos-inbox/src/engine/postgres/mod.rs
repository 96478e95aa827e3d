//! A queue as a table in PostgreSQL, with graphile_worker.
//!
//! Our table is the truth: it contains the items, remembers keys and keeps dead letters. For each row that waits there is one job
//! in a schema of graphile_worker, which schedules, locks, recovers and wakes up. A row and its job always change in one
//! statement. The job's payload is only the number of the row, because graphile_worker logs payloads.

mod driver;
mod jobs;
mod run;
mod sql;

use std::{collections::HashSet, sync::Arc, time::Duration};

use graphile_worker::WorkerUtils;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Row as _, postgres::PgRow};
use tokio::{sync::OnceCell, time::sleep};

pub(crate) use self::{jobs::Ticket, sql::Sql};
use crate::{
    dead_letter::DeadLetter,
    engine::{Run, Settings},
    error::{InboxError, InboxErrorKind},
    job::Completion,
    names::Names,
    payload::Item,
    queue::Stored,
    status::QueueStatus,
    time::{age, before, now, system},
};

/// The version of the tables.
const VERSION: i32 = 1;
const SCHEMA: &str = include_str!("schema.sql");
/// How many keys a transaction forgets at most.
const PURGE: i64 = 500;
/// The lock of those who migrate.
const LOCK: i64 = 0x696e_626f_785f_6a6f;
/// How often graphile_worker's migration is tried, and the pause. It can fail if another process does the same.
const MIGRATIONS: (u32, Duration) = (10, Duration::from_millis(100));

#[derive(Clone)]
pub(crate) struct Postgres {
    pool: PgPool,
    names: Names,
    table: Arc<str>,
    /// The statements, after the schema is known.
    sql: Arc<OnceCell<Arc<Sql>>>,
    retention: Duration,
}

impl Postgres {
    pub(crate) fn new(pool: PgPool, names: Names, settings: &Settings) -> Self {
        Self {
            pool,
            table: names.sql("{p}inbox_job").into(),
            names,
            sql: Arc::default(),
            retention: settings.retention,
        }
    }

    /// The statements. If no schema was set, they need the one in which the pool creates tables: otherwise, queues that only differ
    /// in it would share graphile_worker's tables.
    async fn sql(&self) -> Result<Arc<Sql>, sqlx::Error> {
        match self.sql.get() {
            Some(sql) => Ok(Arc::clone(sql)),
            None => {
                let resolve = async || self.sql_of(&mut *self.pool.acquire().await?).await;
                self.sql.get_or_try_init(resolve).await.cloned()
            }
        }
    }

    /// The statements for a connection of the application, whose search path can differ from that of the pool.
    async fn sql_of(&self, conn: &mut PgConnection) -> Result<Arc<Sql>, sqlx::Error> {
        let schema = match &self.names.schema {
            Some(schema) => Some(schema.clone()),
            None => sqlx::query_scalar("SELECT current_schema()").fetch_one(conn).await?,
        };
        let graphile = self.names.graphile(schema.as_deref());
        let graphile = graphile.map_err(|error| sqlx::Error::Configuration(error.into()))?;
        Ok(Arc::new(Sql::new(&self.names, graphile)))
    }

    pub(crate) async fn migrate(&self) -> Result<(), InboxError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(LOCK)
            .execute(&mut *transaction)
            .await?;
        let create = "CREATE TABLE IF NOT EXISTS {p}inbox_migration \
                      (version integer PRIMARY KEY, migrated_at timestamptz NOT NULL DEFAULT now())";
        self.execute(&mut transaction, create).await?;
        let select = self.names.sql("SELECT coalesce(max(version), 0) FROM {p}inbox_migration");
        let version: i32 =
            sqlx::query_scalar(AssertSqlSafe(select)).fetch_one(&mut *transaction).await?;
        if version > VERSION {
            return Err(InboxError::new(
                InboxErrorKind::Config,
                "a later version of tower-workos-inbox has created the tables: update this application",
            ));
        }
        if version < VERSION {
            self.execute(&mut transaction, SCHEMA).await?;
            let insert = self.names.sql("INSERT INTO {p}inbox_migration (version) VALUES ($1)");
            let insert = sqlx::query(AssertSqlSafe(insert)).bind(VERSION);
            insert.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;

        let sql = self.sql().await?;
        let utils = WorkerUtils::new(self.pool.clone(), sql.graphile.clone());
        let mut attempt = 1;
        while let Err(error) = utils.migrate().await {
            if attempt == MIGRATIONS.0 {
                let hint = "the tables of graphile_worker can't be migrated";
                return Err(InboxError::storage(hint).caused(error.to_string()));
            }
            attempt += 1;
            sleep(MIGRATIONS.1).await;
        }
        sqlx::query(AssertSqlSafe(&*sql.task)).execute(&self.pool).await?;
        Ok(())
    }

    async fn execute(&self, conn: &mut PgConnection, sql: &str) -> Result<(), InboxError> {
        let sql = AssertSqlSafe(self.names.sql(sql));
        sqlx::raw_sql(sql).execute(conn).await?;
        Ok(())
    }

    /// Returns an error if [`migrate`](Self::migrate) was not called.
    async fn check(&self) -> Result<(), InboxError> {
        let sql = self.names.sql(
            "SELECT coalesce(max(version), 0), to_regclass($1) IS NOT NULL AND to_regclass($2) IS NOT NULL \
             FROM {p}inbox_migration",
        );
        let jobs = format!("\"{}\"._private_jobs", self.sql().await?.graphile);
        let (version, has_tables): (i32, bool) = sqlx::query_as(AssertSqlSafe(sql))
            .bind(jobs)
            .bind(&*self.table)
            .fetch_one(&self.pool)
            .await?;
        if version < VERSION || !has_tables {
            return Err(InboxError::not_migrated());
        }
        Ok(())
    }

    pub(crate) async fn store(&self, items: &[Item]) -> Result<Vec<Stored>, InboxError> {
        // One statement is one transaction.
        let sql = self.sql().await?;
        let mut conn = self.pool.acquire().await?;
        self.insert(&mut conn, &sql, items).await
    }

    pub(crate) async fn store_in(
        &self,
        conn: &mut PgConnection,
        items: &[Item],
    ) -> Result<Vec<Stored>, InboxError> {
        let sql = self.sql_of(&mut *conn).await?;
        self.insert(conn, &sql, items).await
    }

    async fn insert(
        &self,
        conn: &mut PgConnection,
        statements: &Sql,
        items: &[Item],
    ) -> Result<Vec<Stored>, InboxError> {
        // In order, so that two transactions with the same keys wait for each other without a deadlock.
        let mut sorted: Vec<_> = items.iter().collect();
        sorted.sort_by(|a, b| a.key.cmp(&b.key));
        let errors = sorted.iter().map(|item| item.dead.as_deref().map(jobs::text));
        let rows = sqlx::query(AssertSqlSafe(&*statements.store))
            .bind(&self.names.queue)
            .bind(now())
            .bind(sorted.iter().map(|item| &*item.key).collect::<Vec<_>>())
            .bind(sorted.iter().map(|item| &*item.name).collect::<Vec<_>>())
            .bind(sorted.iter().map(|item| &*item.body).collect::<Vec<_>>())
            .bind(errors.collect::<Vec<_>>())
            .fetch_all(conn)
            .await?;
        let mut new = HashSet::with_capacity(rows.len());
        for row in rows {
            new.insert(row.try_get::<String, _>(0)?);
        }
        // If a batch contains a key twice, the first one is new.
        Ok(items
            .iter()
            .map(|item| if new.remove(&item.key) { Stored::New } else { Stored::Duplicate })
            .collect())
    }

    pub(crate) async fn run(&self, run: Run) -> Result<(), InboxError> {
        self.run_jobs(run).await
    }

    pub(crate) async fn status(&self) -> Result<QueueStatus, InboxError> {
        let table = &self.table;
        // All use the partial indexes.
        let sql = format!(
            "SELECT (SELECT count(*) FROM {table} WHERE queue = $1 AND state = 0), \
             (SELECT min(stored_at) FROM {table} WHERE queue = $1 AND state = 0), \
             (SELECT count(*) FROM {table} WHERE queue = $1 AND state = 1)"
        );
        let row =
            sqlx::query(AssertSqlSafe(sql)).bind(&self.names.queue).fetch_one(&self.pool).await?;
        let oldest: Option<i64> = row.try_get(1)?;
        Ok(QueueStatus {
            depth: count(row.try_get(0)?),
            oldest_age: oldest.map(age),
            dead: count(row.try_get(2)?),
        })
    }

    pub(crate) async fn dead_letters(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, InboxError> {
        let sql = format!(
            "SELECT seq, key, name, error, attempts, stored_at, body FROM {} \
             WHERE queue = $1 AND state = 1 AND seq > $2 ORDER BY seq LIMIT $3",
            self.table
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(&self.names.queue)
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(letter).collect()
    }

    pub(crate) async fn revive(&self, seq: i64) -> Result<bool, InboxError> {
        let sql = self.sql().await?;
        let query = sqlx::query(AssertSqlSafe(&*sql.revive)).bind(&self.names.queue).bind(seq);
        Ok(query.fetch_optional(&self.pool).await?.is_some())
    }

    pub(crate) async fn delete(&self, seq: i64) -> Result<bool, InboxError> {
        // The row is kept like that of a handled item, so that a late duplicate is not handled.
        let sql = format!(
            "UPDATE {} SET state = 2, body = NULL, error = NULL WHERE queue = $1 AND seq = $2 AND state = 1",
            self.table
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(&self.names.queue).bind(seq);
        Ok(query.execute(&self.pool).await?.rows_affected() > 0)
    }

    pub(crate) async fn purge(&self) -> Result<u64, InboxError> {
        // Also an opportunity to find rows whose jobs somebody has deleted.
        let statements = self.sql().await?;
        let repair = sqlx::query(AssertSqlSafe(&*statements.repair)).bind(&self.names.queue);
        repair.execute(&self.pool).await?;
        let sql = format!(
            "DELETE FROM {0} WHERE seq IN (SELECT seq FROM {0} \
             WHERE queue = $1 AND state = 2 AND stored_at < $2 ORDER BY seq LIMIT $3 FOR UPDATE SKIP LOCKED)",
            self.table
        );
        let before = before(now(), self.retention);
        let mut purged = 0;
        loop {
            let query =
                sqlx::query(AssertSqlSafe(&*sql)).bind(&self.names.queue).bind(before).bind(PURGE);
            let rows = query.execute(&self.pool).await?.rows_affected();
            purged += rows;
            if rows < PURGE.unsigned_abs() {
                return Ok(purged);
            }
        }
    }
}

/// Marks a job as done, if its claim is still the latest.
pub(crate) async fn complete_in(
    conn: &mut PgConnection,
    sql: &Sql,
    ticket: &Ticket,
) -> Result<Completion, InboxError> {
    let Some(row) = ticket.row else { return Ok(Completion::Stale) };
    let query = sqlx::query(AssertSqlSafe(&*sql.complete))
        .bind(ticket.job)
        .bind(&*ticket.worker)
        .bind(ticket.claim)
        .bind(row.seq)
        .bind(row.token)
        .bind(row.attempts);
    let rows = query.execute(conn).await?.rows_affected();
    Ok(if rows > 0 { Completion::Completed } else { Completion::Stale })
}

fn count(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}

fn letter(row: &PgRow) -> Result<DeadLetter, InboxError> {
    let error: Option<String> = row.try_get("error")?;
    let body: Option<Vec<u8>> = row.try_get("body")?;
    let attempts: i32 = row.try_get("attempts")?;
    Ok(DeadLetter {
        seq: row.try_get("seq")?,
        key: row.try_get("key")?,
        name: row.try_get("name")?,
        error: error.unwrap_or_default(),
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        stored_at: system(row.try_get("stored_at")?),
        body: body.unwrap_or_default().into(),
    })
}
