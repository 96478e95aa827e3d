use std::fmt;

/// What [`DedupeLayer`](crate::DedupeLayer) did with an event, in the extensions of the response.
///
/// For metrics and tests. With `Completed`, `NotRecorded` and `Released`, the response is the handler's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DedupeOutcome {
    /// The handler succeeded, and the event is recorded as done.
    Completed,
    /// The event was already done, and the handler did not run: 200.
    Duplicate,
    /// Another call is handling the event, and the handler did not run: 503 with `Retry-After`.
    InFlight,
    /// The handler succeeded, but its lease had expired: 503.
    LeaseExpired,
    /// There is no [`DirectoryEvent`](crate::DirectoryEvent) in the request: 500.
    Misplaced,
    /// The handler completed the claim itself and responded with 2xx, but its completion is not committed: 503.
    NotCompleted,
    /// The handler succeeded, but this is not recorded, because the store failed and the layer is configured to
    /// [pass](crate::dedupe::OnStoreError::Pass).
    NotRecorded,
    /// The handler did not succeed. The event is free for its next delivery or, if the store failed to release it, once its
    /// lease expires.
    Released,
    /// The store failed or took too long: 503. If the handler ran, it may run again.
    StoreError,
}

impl DedupeOutcome {
    /// The variant's name, a stable identifier for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "Completed",
            Self::Duplicate => "Duplicate",
            Self::InFlight => "InFlight",
            Self::LeaseExpired => "LeaseExpired",
            Self::Misplaced => "Misplaced",
            Self::NotCompleted => "NotCompleted",
            Self::NotRecorded => "NotRecorded",
            Self::Released => "Released",
            Self::StoreError => "StoreError",
        }
    }
}

impl fmt::Display for DedupeOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
