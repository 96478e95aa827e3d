//! Positions in the Events API.

use std::{
    error::Error,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use tower_workos::Timestamp;

use crate::{
    poller::{batch::Entry, error::PollError},
    text::{micros, timestamp},
};

/// A position in the Events API: everything before it was handled.
///
/// It can be serialized, for a [`CursorStore`]. Two positions are equal if their serialized forms are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventsCursor {
    /// Where the stream begins: earlier events are not read.
    pub started_at: Timestamp,
    /// The id of the last event that was handled.
    #[serde(default)]
    pub after: Option<String>,
    /// When that event happened.
    #[serde(default)]
    pub event_at: Option<Timestamp>,
    /// The latest time at which the API had no further event that was old enough, by the API's clock.
    #[serde(default)]
    pub drained_at: Option<Timestamp>,
}

impl EventsCursor {
    /// The start of a stream, in microseconds.
    pub(super) fn new(started_at: i64) -> Self {
        Self { started_at: timestamp(started_at), after: None, event_at: None, drained_at: None }
    }

    /// Moves it after an event.
    pub(super) fn advance(&mut self, entry: &Entry) {
        if let Some(id) = &entry.id {
            self.after = Some(id.clone());
            // The time must be that of `after`.
            self.event_at = entry.at.map(timestamp).or(self.event_at);
        }
    }

    pub(super) fn event_at(&self) -> Option<i64> {
        self.event_at.map(micros)
    }
}

/// Where a [`ServicePoller`](crate::ServicePoller) stores its position: one row, or one file, for each stream.
///
/// Only the poller may move the position. If a webhook moved it to an event that it received, the poller would skip the
/// events that the API did not show yet at that time.
pub trait CursorStore: Send + Sync {
    /// Why a call failed.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Returns the position, or `None` if there is none yet.
    fn load(&self) -> impl Future<Output = Result<Option<EventsCursor>, Self::Error>> + Send;

    /// Replaces the position if it equals `expected` (`None`: if there is none), in one atomic step, and returns whether it
    /// did. The change must be durable when the future completes.
    fn compare_and_set(
        &self,
        expected: Option<&EventsCursor>,
        new: &EventsCursor,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;
}

/// A [`CursorStore`] in memory, for tests. Clones share the position.
///
/// The position is lost at a restart. Then the stream starts over, and the events in between are skipped.
#[derive(Clone, Debug, Default)]
pub struct MemoryCursor(Arc<Mutex<Option<EventsCursor>>>);

impl MemoryCursor {
    /// Creates a store without a position.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl CursorStore for MemoryCursor {
    type Error = PollError;

    async fn load(&self) -> Result<Option<EventsCursor>, PollError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn compare_and_set(
        &self,
        expected: Option<&EventsCursor>,
        new: &EventsCursor,
    ) -> Result<bool, PollError> {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_equal = stored.as_ref() == expected;
        if is_equal {
            *stored = Some(new.clone());
        }
        Ok(is_equal)
    }
}
