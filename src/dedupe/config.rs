use std::{fmt, sync::Arc, time::Duration};

use crate::dedupe::background::Background;

/// What happens to an event if the store fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStoreError {
    /// The handler runs anyway, so duplicates are handled again. Only for idempotent handlers. The request first waits for
    /// the store, for up to the [time-out](crate::DedupeLayer::store_timeout).
    Pass,
    /// The response is 503, and the sender delivers the event again later.
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
    /// With a shorter lease, every completion could arrive too late, and no event would ever be done.
    pub(super) const SHORTEST_LEASE: Duration = Duration::from_millis(100);

    pub(super) fn new(namespace: Arc<str>) -> Self {
        Self {
            // Longer than a handler should take; WorkOS itself waits for a few seconds only.
            lease: Duration::from_secs(60),
            // Longer than WorkOS's retries, which end after three days.
            retention: Duration::from_secs(7 * 24 * 60 * 60),
            namespace,
            on_store_error: OnStoreError::Reject,
            // A store that is up responds in milliseconds; the sender waits for a few seconds only.
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
