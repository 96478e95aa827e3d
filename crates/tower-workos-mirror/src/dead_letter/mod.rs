//! Genuine deliveries that could not be applied.

pub(crate) mod letter;

use std::fmt;

use bytes::Bytes;
use tower_workos::{EventId, ParseError, Timestamp};

use crate::{
    apply::apply,
    change::Change,
    error::{MirrorError, MirrorErrorKind},
    mirror::Mirror,
    writer::{Work, begin, deadline, within},
};

/// How many letters [`Mirror::replay_dead_letters`] holds in memory.
const PAGE: u32 = 16;
/// The maximum length of a list: each letter can have a body of a megabyte.
const MOST: u32 = 100;

/// A genuine delivery that could not be applied: this version can't read it as an event, or the database can't store it.
///
/// `Debug` does not show the body, which contains personal data. [`MirrorBuilder::dead_letter_retention`] limits how long
/// the letter is kept.
///
/// [`MirrorBuilder::dead_letter_retention`]: crate::MirrorBuilder::dead_letter_retention
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The letter's number. Later letters have greater numbers.
    pub seq: i64,
    /// The event's id, if it could be read.
    pub event_id: Option<EventId>,
    /// The event's name, for example `dsync.user.deleted`, if it could be read.
    pub name: Option<String>,
    /// Why it was not applied, without anything from the body.
    pub reason: String,
    /// The bytes that WorkOS signed.
    pub body: Bytes,
    /// When the first of its deliveries was signed.
    pub issued_at: Option<Timestamp>,
    /// When it was stored.
    pub arrived_at: Timestamp,
}

/// What [`Mirror::replay_dead_letter`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replay {
    /// The event was applied, with these changes, and the letter was deleted.
    Applied(Vec<Change>),
    /// There is no such letter: perhaps another process has just replayed it.
    Missing,
    /// This version can't apply it either. The letter is kept.
    Unreadable,
}

/// What [`Mirror::replay_dead_letters`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplaySummary {
    /// How many letters were applied and deleted.
    pub applied: u64,
    /// How many letters this version can't apply either.
    pub unreadable: u64,
}

impl Mirror {
    /// Lists dead letters in the order of their numbers: at most `limit` (1 to 100) letters with a number greater than
    /// `after`. To get the next page, pass the last number.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn dead_letters(
        &self,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, MirrorError> {
        let limit = limit.clamp(1, MOST);
        let shared = &*self.shared;
        let mut connection = shared.pool.acquire().await?;
        letter::select(&mut connection.conn(), &shared.names, after.unwrap_or(0), limit).await
    }

    /// Applies the event of a dead letter, and deletes the letter in the same transaction. The event counts as signed
    /// when it was delivered, so replaying it late is harmless.
    ///
    /// Call it after an upgrade to a version that can read the event.
    ///
    /// # Errors
    ///
    /// If the database fails. Nothing is changed in that case.
    pub async fn replay_dead_letter(&self, seq: i64) -> Result<Replay, MirrorError> {
        match self.dead_letters(Some(seq.saturating_sub(1)), 1).await?.pop() {
            Some(letter) if letter.seq == seq => self.replay(&letter).await,
            _ => Ok(Replay::Missing),
        }
    }

    /// Replays all dead letters, each in a transaction of its own.
    ///
    /// # Errors
    ///
    /// If the database fails. Some letters may have been replayed in that case.
    pub async fn replay_dead_letters(&self) -> Result<ReplaySummary, MirrorError> {
        let mut summary = ReplaySummary::default();
        let mut after = None;
        loop {
            let letters = self.dead_letters(after, PAGE).await?;
            let Some(last) = letters.last() else { return Ok(summary) };
            after = Some(last.seq);
            for letter in &letters {
                match self.replay(letter).await? {
                    Replay::Applied(_) => summary.applied += 1,
                    Replay::Missing => {}
                    Replay::Unreadable => summary.unreadable += 1,
                }
            }
        }
    }

    /// Deletes a dead letter without applying it. Returns whether it existed.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn delete_dead_letter(&self, seq: i64) -> Result<bool, MirrorError> {
        let shared = &*self.shared;
        let mut connection = shared.pool.acquire().await?;
        letter::delete(&mut connection.conn(), &shared.names, seq).await
    }

    /// Stores a genuine body that can't be read as a dead letter, once for each body. `issued_at` is when it was signed.
    ///
    /// [`webhook`](Self::webhook) does it for you. If you use [`layer`](Self::layer) instead, an outer layer finds the error in
    /// [`Rejection::parse_error`](tower_workos::Rejection::parse_error) in the response's extensions, and the time in the
    /// request's [`SignatureHeader`](tower_workos::SignatureHeader). Respond with 2xx only after this method returned `Ok`.
    ///
    /// # Errors
    ///
    /// If the database fails, or if too many deliveries are waiting.
    pub async fn add_dead_letter(
        &self,
        error: &ParseError,
        issued_at: Option<Timestamp>,
    ) -> Result<(), MirrorError> {
        self.submit(Work::Letter(letter::Letter::of_error(error, issued_at))).await.map(drop)
    }

    async fn replay(&self, letter: &DeadLetter) -> Result<Replay, MirrorError> {
        let Some(event) = letter.event() else { return Ok(Replay::Unreadable) };
        let shared = &*self.shared;
        let deadline = deadline(shared.settings.timeout);
        let mut transaction = begin(shared, None, deadline).await?;
        let mut conn = transaction.conn();
        let writing = async {
            if !letter::delete(&mut conn, &shared.names, letter.seq).await? {
                return Ok(None);
            }
            apply(&mut conn, shared, std::slice::from_ref(&event)).await.map(Some)
        };
        match within(deadline, writing).await {
            Ok(Some(changes)) => {
                within(deadline, async {
                    transaction.commit().await.map_err(MirrorError::at_commit)
                })
                .await?;
                shared.committed(&changes);
                Ok(Replay::Applied(changes))
            }
            Ok(None) => Ok(Replay::Missing),
            Err(error) if error.kind() == MirrorErrorKind::Data => Ok(Replay::Unreadable),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("seq", &self.seq)
            .field("event_id", &self.event_id)
            .field("name", &self.name)
            .field("reason", &self.reason)
            .field("length", &self.body.len())
            .field("issued_at", &self.issued_at)
            .field("arrived_at", &self.arrived_at)
            .finish_non_exhaustive()
    }
}
