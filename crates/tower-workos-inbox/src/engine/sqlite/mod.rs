//! A queue as a table in SQLite.
//!
//! There is one writer at a time, so each transaction does as much as possible: one stores all items that are waiting, and one
//! of the worker ends jobs, renews leases and claims new jobs.

mod run;
mod store;

use std::{collections::HashSet, sync::Arc, time::Duration};

use sqlx::{Connection as _, Row as _, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use tokio::sync::Mutex;

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
const VERSION: i64 = 1;
const SCHEMA: &str = include_str!("schema.sql");
/// How many keys a transaction forgets at most, so that deliveries don't wait long.
const PURGE: i64 = 500;

#[derive(Clone)]
pub(crate) struct Sqlite {
    pool: SqlitePool,
    names: Names,
    table: Arc<str>,
    poll_interval: Duration,
    retention: Duration,
    /// Lets the transactions of this process wait for each other in order. SQLite itself would make them poll.
    writing: Arc<Mutex<()>>,
}

impl Sqlite {
    pub(crate) fn new(pool: SqlitePool, names: Names, settings: &Settings) -> Self {
        Self {
            pool,
            table: names.sql("{p}inbox_job").into(),
            names,
            poll_interval: settings.poll_interval,
            retention: settings.retention,
            writing: Arc::default(),
        }
    }

    pub(crate) async fn migrate(&self) -> Result<(), InboxError> {
        let mut conn = self.pool.acquire().await?;
        let mut transaction = conn.begin_with("BEGIN IMMEDIATE").await?;
        let create = "CREATE TABLE IF NOT EXISTS {p}inbox_migration \
                      (version INTEGER PRIMARY KEY, migrated_at INTEGER NOT NULL)";
        self.execute(&mut transaction, create).await?;
        let select = self.names.sql("SELECT coalesce(max(version), 0) FROM {p}inbox_migration");
        let version: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(select)).fetch_one(&mut *transaction).await?;
        if version > VERSION {
            return Err(InboxError::new(
                InboxErrorKind::Config,
                "a later version of tower-workos-inbox has created the tables: update this application",
            ));
        }
        if version < VERSION {
            self.execute(&mut transaction, SCHEMA).await?;
            let insert = self.names.sql("INSERT INTO {p}inbox_migration VALUES ($1, $2)");
            let insert = sqlx::query(sqlx::AssertSqlSafe(insert)).bind(VERSION).bind(now());
            insert.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn execute(&self, conn: &mut SqliteConnection, sql: &str) -> Result<(), InboxError> {
        let sql = sqlx::AssertSqlSafe(self.names.sql(sql));
        sqlx::raw_sql(sql).execute(conn).await?;
        Ok(())
    }

    pub(crate) async fn store(&self, items: &[Item]) -> Result<Vec<Stored>, InboxError> {
        let _writing = self.writing.lock().await;
        let mut conn = self.pool.acquire().await?;
        let mut transaction = conn.begin_with("BEGIN IMMEDIATE").await?;
        let stored = self.store_in(&mut transaction, items).await?;
        transaction.commit().await?;
        Ok(stored)
    }

    pub(crate) async fn store_in(
        &self,
        conn: &mut SqliteConnection,
        items: &[Item],
    ) -> Result<Vec<Stored>, InboxError> {
        let mut new = HashSet::with_capacity(items.len());
        store::insert(conn, &self.table, &self.names.queue, items, &mut new).await?;
        // If a batch contains a key twice, the first one is new.
        Ok(items
            .iter()
            .map(|item| if new.remove(&item.key) { Stored::New } else { Stored::Duplicate })
            .collect())
    }

    pub(crate) async fn run(&self, run: Run) -> Result<(), InboxError> {
        run::Loop::new(self.clone(), run).run().await
    }

    pub(crate) async fn status(&self) -> Result<QueueStatus, InboxError> {
        let table = &self.table;
        // Both counts use the partial indexes.
        let sql = format!(
            "SELECT (SELECT count(*) FROM {table} WHERE queue = $1 AND state = 0), \
             (SELECT min(stored_at) FROM {table} WHERE queue = $1 AND state = 0), \
             (SELECT count(*) FROM {table} WHERE queue = $1 AND state = 1)"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&self.names.queue)
            .fetch_one(&self.pool)
            .await?;
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
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&self.names.queue)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(letter).collect()
    }

    pub(crate) async fn revive(&self, seq: i64) -> Result<bool, InboxError> {
        let sql = format!(
            "UPDATE {} SET state = 0, attempts = 0, open_claims = 0, run_at = $3, error = NULL \
             WHERE queue = $1 AND seq = $2 AND state = 1",
            self.table
        );
        let query =
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(&self.names.queue).bind(seq).bind(now());
        Ok(query.execute(&self.pool).await?.rows_affected() > 0)
    }

    pub(crate) async fn delete(&self, seq: i64) -> Result<bool, InboxError> {
        // The row is kept like that of a handled item, so that a late duplicate is not handled.
        let sql = format!(
            "UPDATE {} SET state = 2, body = NULL, error = NULL WHERE queue = $1 AND seq = $2 AND state = 1",
            self.table
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(&self.names.queue).bind(seq);
        Ok(query.execute(&self.pool).await?.rows_affected() > 0)
    }

    pub(crate) async fn purge(&self) -> Result<u64, InboxError> {
        let sql = format!(
            "DELETE FROM {0} WHERE seq IN (SELECT seq FROM {0} \
             WHERE queue = $1 AND state = 2 AND stored_at < $2 ORDER BY seq LIMIT $3)",
            self.table
        );
        let before = before(now(), self.retention);
        let mut purged = 0;
        loop {
            let query = sqlx::query(sqlx::AssertSqlSafe(&*sql))
                .bind(&self.names.queue)
                .bind(before)
                .bind(PURGE);
            let rows = query.execute(&self.pool).await?.rows_affected();
            purged += rows;
            if rows < PURGE.unsigned_abs() {
                return Ok(purged);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A claimed job. The numbers alone can be those of a job in another file.
#[derive(Debug)]
pub(crate) struct Held {
    table: Arc<str>,
    queue: String,
    key: String,
    seq: i64,
    token: i64,
}

impl Held {
    /// Marks the job as done, if this claim is still the latest.
    pub(crate) async fn complete_in(
        &self,
        conn: &mut SqliteConnection,
    ) -> Result<Completion, InboxError> {
        let sql = format!("{} AND state = 0 AND queue = $3 AND key = $4", run::done(&self.table));
        let query = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.seq)
            .bind(self.token)
            .bind(&self.queue)
            .bind(&self.key);
        let rows = query.execute(conn).await?.rows_affected();
        Ok(if rows > 0 { Completion::Completed } else { Completion::Stale })
    }
}

fn count(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}

fn letter(row: &SqliteRow) -> Result<DeadLetter, InboxError> {
    let error: Option<String> = row.try_get("error")?;
    let body: Option<Vec<u8>> = row.try_get("body")?;
    let attempts: i64 = row.try_get("attempts")?;
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
