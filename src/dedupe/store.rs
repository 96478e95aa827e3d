use std::{error::Error, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::event::EventId;

/// What a [`DedupeLayer`](crate::DedupeLayer) remembers events in.
///
/// # The contract
///
/// For each key there is at most one *holder*. [`claim`](Self::claim) makes the caller the holder for the length of
/// a lease, unless there is one already or the key is done; [`complete`](Self::complete) makes the key done;
/// [`release`](Self::release) makes it free.
///
/// - **`claim` is one atomic step.** Of any number of racing claims of a key, one at most is
///   [`Acquired`](Claim::Acquired). Two that are would run a handler twice at once.
/// - **Tokens fence.** Each acquired claim has a token of its own. A holder whose lease has expired can neither
///   complete nor release anything, whether somebody else holds the key by then or not. Without this, a slow
///   holder could mark the key as done while another is still handling it; if that one then failed, the event would be
///   lost.
/// - **A lease expires by the store's own clock**, which is one for all replicas. A crashed holder's key is free
///   again after that; until then, redeliveries are [`InFlight`](Claim::InFlight).
/// - **Done is durable** to the degree that the store promises, for the length of the retention.
///
/// # Which failures are safe
///
/// *Forgetting a done key* lets a duplicate through: harmless if handlers are idempotent. *Failing a claim* (an error, or
/// `InFlight` without a holder) delays an event: the sender delivers it again, for days. **Reporting an event as done
/// that isn't is the one failure that loses it**: a store must return [`Done`](Claim::Done) only after a `complete` with
/// the token of an unexpired lease.
///
/// `testing::conformance` checks all of this against a store.
///
/// # Futures
///
/// They are named types of the store, so that none has to be boxed; a store of `async fn`s names [`StoreFuture`]. The layer never drops one that has been polled, unless the runtime shuts down or the
/// lease has passed: if a request is cancelled or the layer's time-out ends, the call continues in a task. That is why
/// the futures are `Unpin` and `'static`. A dropped future may or may not have had its effect.
pub trait DedupeStore: Clone + Send + Sync + 'static {
    /// Tells this claim from every other one of its key.
    type Token: Clone + Send + Sync + Unpin + 'static;
    /// The future of [`claim`](Self::claim).
    type ClaimFuture: Future<Output = Result<Claim<Self::Token>, StoreError>>
        + Send
        + Unpin
        + 'static;
    /// The future of [`complete`](Self::complete) and of [`confirm`](Self::confirm).
    type CompleteFuture: Future<Output = Result<Completion, StoreError>> + Send + Unpin + 'static;
    /// The future of [`release`](Self::release).
    type ReleaseFuture: Future<Output = Result<(), StoreError>> + Send + Unpin + 'static;

    /// Asks to become the holder of a key.
    fn claim(&self, key: &DedupeKey, lease: Duration) -> Self::ClaimFuture;

    /// Makes a key done for this long, if the token is its holder's and the lease has not expired. Completing twice
    /// with one token is completing.
    fn complete(
        &self,
        key: &DedupeKey,
        token: &Self::Token,
        retention: Duration,
    ) -> Self::CompleteFuture;

    /// Whether a key was completed with this token, and that is committed: [`Completion::Completed`] if so, otherwise
    /// [`Completion::Stale`]. Changes nothing. The layer asks this instead of completing a claim that the handler
    /// completed in a transaction of its own.
    fn confirm(&self, key: &DedupeKey, token: &Self::Token) -> Self::CompleteFuture;

    /// Makes a key free, if the token is its holder's. A done key stays done.
    fn release(&self, key: &DedupeKey, token: &Self::Token) -> Self::ReleaseFuture;
}

/// A boxed future, for stores that are made of `async fn`s, whose futures have no name.
pub type StoreFuture<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// The answer to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a store must answer, and the layer must act on, exactly these"
)]
pub enum Claim<T> {
    /// The caller is the holder.
    Acquired(T),
    /// The key is done.
    Done,
    /// Somebody else is the holder.
    InFlight {
        /// When that one's lease ends, if it does not complete before.
        retry_after: Duration,
    },
}

/// The answer to completing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[expect(
    clippy::exhaustive_enums,
    reason = "a store must answer, and the layer must act on, exactly these"
)]
pub enum Completion {
    /// The key is done.
    Completed,
    /// The token is not the holder's any more; nothing was changed.
    Stale,
}

/// What a store remembers: an event, within a namespace.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DedupeKey {
    namespace: Arc<str>,
    id: EventId,
}

impl DedupeKey {
    /// The key of an event. Namespaces keep endpoints or environments that share a store apart.
    #[must_use]
    pub fn new(namespace: impl Into<Arc<str>>, id: EventId) -> Self {
        Self::within(namespace.into(), id)
    }

    pub(super) fn within(namespace: Arc<str>, id: EventId) -> Self {
        Self { namespace, id }
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The event's id.
    #[must_use]
    pub fn id(&self) -> &EventId {
        &self.id
    }
}

impl fmt::Debug for DedupeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{:?}", self.namespace(), self.id)
    }
}

/// Why a store failed. What the driver said is its [`source`](Error::source), which the layer logs: a store must not put
/// a connection's password there.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StoreErrorKind {
    Full,
    NotMigrated,
    Timeout(Duration),
    Unavailable,
}

impl StoreError {
    /// The store can't be reached, or failed.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: StoreErrorKind::Unavailable, source: Some(source.into()) }
    }

    /// The store has no place for another key without forgetting one in flight.
    #[must_use]
    pub fn full() -> Self {
        Self { kind: StoreErrorKind::Full, source: None }
    }

    /// The store's tables are missing or of another version.
    pub fn not_migrated(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: StoreErrorKind::NotMigrated, source: Some(source.into()) }
    }

    /// The store did not answer within this time.
    #[must_use]
    pub fn timeout(after: Duration) -> Self {
        Self { kind: StoreErrorKind::Timeout(after), source: None }
    }

    /// Whether the store's tables are missing or of another version.
    #[must_use]
    pub fn is_not_migrated(&self) -> bool {
        self.kind == StoreErrorKind::NotMigrated
    }

    /// Whether the store did not answer in time.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Timeout(_))
    }

    /// Whether the store is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.kind == StoreErrorKind::Full
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            StoreErrorKind::Full => f.write_str(
                "the dedupe store is full of events in progress; give it a larger capacity, or make the handlers faster",
            ),
            StoreErrorKind::NotMigrated => {
                f.write_str("the dedupe store's tables are missing or outdated; call its migrate() at start-up")
            }
            StoreErrorKind::Timeout(after) => write!(
                f,
                "the dedupe store did not answer within {after:?}; check that it runs, can be reached and is not overloaded"
            ),
            StoreErrorKind::Unavailable => f.write_str("the dedupe store failed"),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_tell_which_they_are_and_hide_the_driver() {
        let full = StoreError::full();
        assert!(full.is_full() && full.source().is_none());
        let unavailable = StoreError::unavailable("of the driver");
        assert!(!unavailable.is_full());
        assert!(!unavailable.to_string().contains("of the driver"));
        assert_eq!(unavailable.source().unwrap().to_string(), "of the driver");
    }

    #[test]
    fn keys_are_their_namespace_and_id() {
        let key = |namespace: &str| DedupeKey::new(namespace, EventId::from("event_1"));
        assert_eq!(key("").namespace(), "");
        assert_eq!(key("a").namespace(), "a");
        assert_ne!(key(""), key("a"));
        assert_eq!(format!("{:?}", key("a")), r#""a"/"event_1""#);
    }
}
