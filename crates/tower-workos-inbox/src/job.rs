//! An item that is being handled.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use crate::{backend::QueueTransaction, engine::Claim, error::InboxError, time::system};

/// An attempt to handle an item: the request of a service that [`Queue::job_worker`](crate::Queue::job_worker) runs.
pub struct Job<T> {
    item: T,
    key: String,
    attempts: u32,
    stored_at: i64,
    claim: Claim,
    /// Whether a transaction of the handler has ended the job, if it was committed.
    is_completed: Arc<AtomicBool>,
}

/// The result of [`Job::complete_in`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "roll back if the job is stale"]
#[expect(clippy::exhaustive_enums, reason = "a handler must treat exactly these")]
pub enum Completion {
    /// The job is done when the transaction is committed.
    Completed,
    /// Another attempt handles the job or has handled it. Roll back.
    Stale,
}

impl<T> Job<T> {
    pub(crate) fn new(item: T, key: String, attempts: u32, stored_at: i64, claim: Claim) -> Self {
        Self { item, key, attempts, stored_at, claim, is_completed: Arc::default() }
    }

    pub(crate) fn is_completed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_completed)
    }

    /// The item.
    pub fn item(&self) -> &T {
        &self.item
    }

    /// Returns the item.
    pub fn into_item(self) -> T {
        self.item
    }

    /// The item's [`key`](crate::Payload::key): for an event, its id.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The number of this attempt, from 1. An attempt that was cut short by a crash counts, too.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// When the item was stored.
    pub fn stored_at(&self) -> SystemTime {
        system(self.stored_at)
    }

    /// Marks the job as done in your own transaction, so that your changes and the end of the job are one commit. After a
    /// crash, the changes are neither lost nor made twice.
    ///
    /// If the result is [`Completion::Stale`], roll back: another attempt has taken the job over because this process
    /// seemed to be dead. After the commit, return `Ok` from the handler. If you return `Ok` without a commit, the item is delivered
    /// again after a minute.
    ///
    /// ```no_run
    /// # #[cfg(feature = "sqlite")]
    /// # mod doc {
    /// use sqlx::SqlitePool;
    /// use tower_workos::DirectoryEvent;
    /// use tower_workos_inbox::{Completion, Job};
    ///
    /// type Error = Box<dyn std::error::Error + Send + Sync>;
    ///
    /// async fn handle(pool: SqlitePool, job: Job<DirectoryEvent>) -> Result<(), Error> {
    ///     // Takes the lock at once: a transaction that reads first could not get it later.
    ///     let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    ///     sqlx::query("INSERT INTO audit (event_id) VALUES (?)")
    ///         .bind(job.key())
    ///         .execute(&mut *transaction)
    ///         .await?;
    ///     if job.complete_in(&mut transaction).await? == Completion::Completed {
    ///         transaction.commit().await?;
    ///     }
    ///     Ok(())
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InboxErrorKind::Transaction`](crate::InboxErrorKind::Transaction) if the queue is in NATS or in the other kind
    /// of database, and [`InboxErrorKind::Storage`](crate::InboxErrorKind::Storage) if the database fails.
    pub async fn complete_in(
        &self,
        transaction: impl Into<QueueTransaction<'_>>,
    ) -> Result<Completion, InboxError> {
        self.claim.complete_in(transaction.into()).await.inspect(|completion| {
            if *completion == Completion::Completed {
                self.is_completed.store(true, Ordering::Relaxed);
            }
        })
    }
}

/// Shows no item, which can contain personal data.
impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("key", &self.key)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
