use std::{error::Error, fmt, future::Future, sync::Arc, time::Duration};

use crate::EventId;

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
///   holder would declare done what another is still at, and that one's failure would lose the event.
/// - **A lease expires by the store's own clock**, which is one for all replicas. A crashed holder's key is free
///   again after that; until then, redeliveries are [`InFlight`](Claim::InFlight).
/// - **Done is durable** to the degree that the store promises, for the length of the retention.
///
/// # Which failures are safe
///
/// *Forgetting a done key* lets a duplicate through: harmless where handlers are idempotent. *Refusing a claim* (an
/// error, or `InFlight` without a holder) delays an event: the sender delivers it again, for days. **Claiming to be
/// done what is not, is the one failure that loses an event**: a store must return [`Done`](Claim::Done) only after
/// a `complete` with the token of an unexpired lease.
///
/// `testing::conformance` checks all of this against a store.
///
/// # Futures
///
/// They are named types of the store's, so that none need be boxed; a store of `async fn`s names a
/// `Pin<Box<dyn Future + Send>>`. Dropping one may or may not have had its effect.
pub trait DedupeStore {
    /// Tells this claim from every other one of its key.
    type Token: Clone + Send + Sync + Unpin + 'static;
    /// The future of [`claim`](Self::claim).
    type ClaimFuture: Future<Output = Result<Claim<Self::Token>, StoreError>> + Send;
    /// The future of [`complete`](Self::complete).
    type CompleteFuture: Future<Output = Result<Completion, StoreError>> + Send;
    /// The future of [`release`](Self::release).
    type ReleaseFuture: Future<Output = Result<(), StoreError>> + Send;

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

    /// Makes a key free, if the token is its holder's. A done key stays done.
    fn release(&self, key: &DedupeKey, token: &Self::Token) -> Self::ReleaseFuture;

    /// Releases without anybody waiting: the future that held the key was dropped. What can't be done at once may
    /// be left to a task, or to the lease.
    fn abandon(&self, key: &DedupeKey, token: &Self::Token);
}

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
    /// `None` for the empty one, which most applications use: nothing to count references of.
    namespace: Option<Arc<str>>,
    id: EventId,
}

impl DedupeKey {
    /// The key of an event. Namespaces keep endpoints or environments that share a store apart; the empty one is
    /// one of them.
    #[must_use]
    pub fn new(namespace: impl Into<Arc<str>>, id: EventId) -> Self {
        Self::within(some_namespace(namespace.into()), id)
    }

    pub(super) fn within(namespace: Option<Arc<str>>, id: EventId) -> Self {
        Self { namespace, id }
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
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

pub(super) fn some_namespace(namespace: Arc<str>) -> Option<Arc<str>> {
    Some(namespace).filter(|namespace| !namespace.is_empty())
}

/// Why a store could not answer. Which driver it was is left to [`source`](Error::source).
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StoreErrorKind {
    Full,
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

    /// Whether the store is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.kind == StoreErrorKind::Full
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            StoreErrorKind::Full => {
                "the dedupe store is full of events in flight; give it a larger capacity, or handlers less to do"
            }
            StoreErrorKind::Unavailable => "the dedupe store does not answer; check that it runs and can be reached",
        })
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
