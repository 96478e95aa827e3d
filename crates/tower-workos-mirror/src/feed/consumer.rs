//! Readers whose position is stored.

use std::{fmt, time::Duration};

use tower_workos::Timestamp;

use crate::{
    change::Change,
    error::MirrorError,
    feed::{
        error::FeedError,
        page::{Position, range},
        stream::Reader,
    },
    mirror::{Mirror, Shared},
    pool::MirrorTransaction,
    sql::{conn::Conn, transaction::Transaction, value::Value},
    text::{key, micros},
};

impl Mirror {
    /// Returns a reader of the feed whose position is stored in the database under this name.
    ///
    /// If the name is new, the first call of [`next`](Consumer::next) stores the start of the feed as its position, or with
    /// [`from_now`](Consumer::from_now) the end.
    pub fn consumer(&self, name: &str) -> Consumer {
        Consumer {
            reader: Reader::new(self.clone()),
            position: Position::Of(format!("consumer:{}", key(name))),
            read: None,
            starts_now: false,
            batch: 100,
            retry: (Duration::from_millis(100), Duration::from_secs(30)),
        }
    }
}

/// A reader of the feed whose position is stored in the database: see [`Mirror::consumer`].
///
/// # At least once
///
/// The position moves when the application acknowledges a change, which it does after it has handled it. If the process
/// ends in between, or if the acknowledgement fails, the change is delivered again. [`run`](Self::run) acknowledges
/// each change before it starts with the next one, so at most one change is repeated. With [`next`](Self::next) and
/// [`acknowledge`](Self::acknowledge), all changes that were not acknowledged are repeated. Handlers must therefore be
/// idempotent, or write to the same database and use [`acknowledge_in`](Self::acknowledge_in).
///
/// Two processes that use the same name at the same time both receive the changes: names don't distribute work. Different
/// names are independent of each other.
///
/// # Recovery
///
/// A consumer that did not run for longer than [`retention`](crate::MirrorBuilder::retention) receives
/// [`FeedError::Purged`], and [`FeedError::Ahead`] after the database was restored from a backup. What it missed can't be
/// read any more, but the views show the result:
///
/// 1. Call [`reset_to_start`](Self::reset_to_start).
/// 2. Read the views, and compare them with what the consumer maintains.
/// 3. Continue. Some of the changes are in the views already.
#[must_use]
pub struct Consumer {
    pub(crate) reader: Reader,
    position: Position,
    /// The stored position when the latest changes were read or acknowledged.
    read: Option<i64>,
    starts_now: bool,
    batch: u32,
    /// The shortest and the longest pause before a change is handled again.
    pub(crate) retry: (Duration, Duration),
}

impl Consumer {
    /// If the name is new, its position is the end of the feed when it is first used. By default, it is the start.
    pub fn from_now(mut self) -> Self {
        self.starts_now = true;
        self
    }

    /// How many changes [`next`](Self::next) returns at most. Default: 100.
    pub fn batch(mut self, changes: u32) -> Self {
        self.batch = changes.max(1);
        self
    }

    /// How long [`run`](Self::run) waits before it retries a change whose handler failed. The pause is doubled each time.
    /// Default: from 100 ms to 30 s.
    pub fn retry(mut self, shortest: Duration, longest: Duration) -> Self {
        self.retry = (shortest, longest);
        self
    }

    /// Returns the changes after the stored position: at least one, and at most [`batch`](Self::batch). Waits if there are
    /// none, as [`Mirror::changes`] does.
    ///
    /// It returns the same changes again until they are acknowledged. No change is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// [`FeedError::Purged`], [`FeedError::Ahead`], or if the database fails. It can be called again after any of them.
    pub async fn next(&mut self) -> Result<Vec<Change>, FeedError> {
        loop {
            if let Some((after, page)) = self.reader.next(&self.position, self.batch).await? {
                self.read = Some(after);
                return Ok(page);
            }
            // The position is exact only under the lock: while it is held, no change is committed or purged.
            let Shared { pool, names, settings, .. } = &*self.reader.mirror.shared;
            let mut transaction = Transaction::begin(pool, names, settings.timeout).await?;
            let range = range(&mut transaction.conn(), names).await?;
            let after = if self.starts_now { range.end } else { range.start };
            let update = "ON CONFLICT DO NOTHING";
            self.store(&mut transaction.conn(), after, update).await?;
            transaction.commit().await?;
        }
    }

    /// Stores that this change and all changes before it were handled. The position never moves back.
    ///
    /// # Errors
    ///
    /// If the database fails. The changes are delivered again in that case.
    pub async fn acknowledge(&mut self, seq: i64) -> Result<(), FeedError> {
        let mut connection = self.reader.mirror.shared.pool.acquire().await?;
        let update = "ON CONFLICT (stream) DO UPDATE SET (after, moved_at) = (excluded.after, excluded.moved_at) \
                      WHERE c.after < excluded.after";
        self.store(&mut connection.conn(), seq, update).await?;
        self.read = self.read.max(Some(seq));
        Ok(())
    }

    /// Like [`acknowledge`](Self::acknowledge), but as part of the application's transaction: if the effects of the changes
    /// are in the same transaction, they happen exactly once.
    ///
    /// Returns `false` if another process has moved the position since [`next`](Self::next) returned these changes: roll
    /// back in that case, because that process has handled some of them.
    ///
    /// # Errors
    ///
    /// If the database fails. Roll back.
    pub async fn acknowledge_in(
        &mut self,
        transaction: impl Into<MirrorTransaction<'_>>,
        seq: i64,
    ) -> Result<bool, FeedError> {
        let (Some(read), Position::Of(stream)) = (self.read, &self.position) else {
            return Ok(false);
        };
        let sql = self.reader.mirror.shared.names.sql(
            "UPDATE {p}mirror_cursor SET after = $1, moved_at = $2 WHERE stream = $3 AND after = $4",
        );
        let now = micros(Timestamp::now());
        let arguments = [seq.into(), now.into(), Value::from(stream.as_str()), read.into()];
        let moved = transaction.into().0.execute(sql, &arguments).await? > 0;
        // If the transaction is rolled back, the next call returns `false` until the changes are read again.
        self.read = moved.then_some(seq);
        Ok(moved)
    }

    /// Moves the position to the oldest change that was not purged, forwards or backwards. Use it for a
    /// [recovery](Self#recovery), or to handle everything again.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn reset_to_start(&mut self) -> Result<(), MirrorError> {
        let Shared { pool, names, settings, .. } = &*self.reader.mirror.shared;
        let mut transaction = Transaction::begin(pool, names, settings.timeout).await?;
        let start = range(&mut transaction.conn(), names).await?.start;
        let update = "ON CONFLICT (stream) DO UPDATE SET (after, moved_at) = (excluded.after, excluded.moved_at)";
        self.store(&mut transaction.conn(), start, update).await?;
        transaction.commit().await?;
        self.read = None;
        Ok(())
    }

    async fn store(
        &self,
        conn: &mut Conn<'_>,
        after: i64,
        update: &str,
    ) -> Result<u64, sqlx::Error> {
        let Position::Of(stream) = &self.position else { return Ok(0) };
        let sql = format!(
            "INSERT INTO {{p}}mirror_cursor AS c (stream, after, moved_at) VALUES ($1, $2, $3) {update}"
        );
        let now = micros(Timestamp::now());
        let arguments = [Value::from(stream.as_str()), after.into(), now.into()];
        conn.execute(self.reader.mirror.shared.names.sql(&sql), &arguments).await
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").finish_non_exhaustive()
    }
}
