use std::{fmt, sync::Arc, time::Duration};

use crate::dedupe::background::Background;

/// What happens to an event while the store fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStoreError {
    /// The handler runs all the same, and duplicates are handled twice. For idempotent handlers. The request still waits
    /// for up to the [time-out](crate::DedupeLayer::store_timeout) first.
    Pass,
    /// 503: the sender delivers the event again later.
    #[default]
    Reject,
}

#[derive(Clone)]
pub(super) struct Config {
    pub(super) lease: Duration,
    pub(super) retention: Duration,
    pub(super) namespace: Arc<str>,
    pub(super) on_store_error: OnStoreError,
    pub(super) store_timeout: Duration,
    pub(super) background: Background,
}

impl Config {
    /// A shorter lease could expire before the completion arrives, so that no event would ever be done.
    pub(super) const SHORTEST_LEASE: Duration = Duration::from_millis(100);

    pub(super) fn new(namespace: Arc<str>) -> Self {
        Self {
            // Longer than a handler should take; WorkOS itself waits for seconds.
            lease: Duration::from_secs(60),
            // Longer than WorkOS's retries, which end after three days.
            retention: Duration::from_secs(7 * 24 * 60 * 60),
            namespace,
            on_store_error: OnStoreError::Reject,
            // A store that is up answers in milliseconds; the sender waits for a few seconds only.
            store_timeout: Duration::from_secs(2),
            background: Background::new(),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("endpoint", &self.namespace)
            .field("lease", &self.lease)
            .field("retention", &self.retention)
            .field("store_timeout", &self.store_timeout)
            .field("on_store_error", &self.on_store_error)
            .finish_non_exhaustive()
    }
}
