//! Items that could not be handled.

use std::{fmt, time::SystemTime};

use bytes::Bytes;

use crate::{error::InboxError, payload::Payload, queue::Queue};

/// An item that is not attempted any more: its handler failed [permanently](crate::Permanent) or for too long, or it can't
/// be read.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its number, for [`retry_dead_letter`](Queue::retry_dead_letter).
    pub seq: i64,
    /// The item's [`key`](Payload::key): for an event, its id.
    pub key: String,
    /// The item's [`name`](Payload::name): for an event, its name.
    pub name: String,
    /// Why it is a dead letter: the text of the handler's last error, and of its causes.
    pub error: String,
    /// How often it was attempted.
    pub attempts: u32,
    /// When it was stored.
    pub stored_at: SystemTime,
    /// The stored form of the item. For an event, it is JSON that contains the signed body as text.
    pub body: Bytes,
}

/// Shows no body and no error, which can contain personal data.
impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("seq", &self.seq)
            .field("key", &self.key)
            .field("name", &self.name)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

impl<T: Payload> Queue<T> {
    /// Returns up to `limit` dead letters with a greater [`seq`](DeadLetter::seq) than `after`, oldest first. Begin with 0.
    ///
    /// They are kept until you retry or delete them. They contain personal data.
    ///
    /// # Errors
    ///
    /// If the database or the broker fails.
    pub async fn dead_letters(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, InboxError> {
        self.engine().dead_letters(after, limit).await
    }

    /// Makes a dead letter a job again, for example after you have fixed the handler. Returns whether there was one with this
    /// number. Its age still counts from when it was stored: if it is older than [`max_age`](crate::Retry::max_age), it becomes a dead
    /// letter again after [`min_attempts`](crate::Retry::min_attempts).
    ///
    /// # Errors
    ///
    /// If the database or the broker fails.
    pub async fn retry_dead_letter(&self, seq: i64) -> Result<bool, InboxError> {
        let is_found = self.engine().revive(seq).await?;
        self.wake();
        Ok(is_found)
    }

    /// Makes all dead letters jobs again. Returns how many. One that fails again meanwhile is not retried twice.
    ///
    /// # Errors
    ///
    /// If the database or the broker fails. Those that were retried before stay jobs.
    pub async fn retry_dead_letters(&self) -> Result<u64, InboxError> {
        let mut numbers = Vec::new();
        let mut after = 0;
        loop {
            let page = self.engine().dead_letters(after, 100).await?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            numbers.extend(page.iter().map(|letter| letter.seq));
        }
        let mut count = 0;
        for seq in numbers {
            count += u64::from(self.retry_dead_letter(seq).await?);
        }
        Ok(count)
    }

    /// Deletes a dead letter that you have looked at. Returns whether there was one with this number. If the same item is
    /// stored again within the [retention](crate::QueueBuilder::retention), it still counts as a duplicate.
    ///
    /// # Errors
    ///
    /// If the database or the broker fails.
    pub async fn delete_dead_letter(&self, seq: i64) -> Result<bool, InboxError> {
        self.engine().delete(seq).await
    }
}
