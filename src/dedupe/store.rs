use std::{error::Error, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::event::EventId;

/// The store in which a [`DedupeLayer`](crate::DedupeLayer) remembers events.
///
/// # The contract
///
/// Each key has at most one *holder*. [`claim`](Self::claim) makes the caller the holder for the length of a lease, unless
/// there already is one or the key is done. [`complete`](Self::complete) makes the key done. [`release`](Self::release)
/// makes it free.
///
/// - **`claim` is one atomic step.** Of any number of concurrent claims of a key, at most one is
///   [`Acquired`](Claim::Acquired). If two were, the handler would run twice at the same time.
/// - **Tokens fence off old holders.** Each acquired claim has its own token. A holder whose lease has expired can neither
///   complete nor release anything, even if nobody else has claimed the key since. Otherwise, a slow holder could mark the
///   key as done while another one is still handling the event; if that one then failed, the event would be lost.
/// - **A lease expires by the store's own clock**, which is the same for all replicas. If a holder crashes, its key is free
///   again once the lease has expired; until then, redeliveries are [`InFlight`](Claim::InFlight).
/// - **Done is durable** for the length of the retention, to the degree that the store promises.
///
/// # Which failures are safe
///
/// *Forgetting a done key* lets a duplicate through, which is harmless if handlers are idempotent. *Failing a claim* (an
/// error, or `InFlight` without a holder) delays an event: the sender delivers it again, for days. **Reporting an event as
/// done although it isn't is the one failure that loses it**: a store must return [`Done`](Claim::Done) only after a
/// `complete` with the token of an unexpired lease.
///
/// `testing::conformance` checks all of this for a store.
///
/// # Futures
///
/// The futures are associated types, so that a store need not box them; a store with `async` code uses [`StoreFuture`]. If
/// a request is cancelled or the layer's time-out fires, the call continues in a task, so futures must be `Unpin` and
/// `'static`. A future that has been polled is dropped early only if the runtime shuts down or the lease has passed. It
/// may or may not have had its effect by then.
///
/// # Your own store
///
/// This one is complete, except that it forgets everything when the process ends. With a database instead of the map, each
/// call is one atomic statement.
///
/// ```
/// use std::{
///     collections::{HashMap, hash_map},
///     future::{Ready, ready},
///     sync::{Arc, Mutex},
///     time::{Duration, Instant},
/// };
///
/// use tower_workos::{
///     DedupeStore,
///     dedupe::{Claim, ClaimToken, Completion, DedupeKey, StoreError},
/// };
///
/// #[derive(Clone, Default)]
/// struct MapStore {
///     entries: Arc<Mutex<HashMap<DedupeKey, Entry>>>,
/// }
///
/// struct Entry {
///     token: ClaimToken,
///     done: bool,
///     /// The end of the lease or, once done, of the retention. `None`: never.
///     until: Option<Instant>,
/// }
///
/// impl Entry {
///     fn is_live(&self) -> bool {
///         self.until.is_none_or(|until| Instant::now() < until)
///     }
/// }
///
/// impl DedupeStore for MapStore {
///     type Token = ClaimToken;
///     type ClaimFuture = Ready<Result<Claim<ClaimToken>, StoreError>>;
///     type CompleteFuture = Ready<Result<Completion, StoreError>>;
///     type ReleaseFuture = Ready<Result<(), StoreError>>;
///
///     fn claim(&self, key: &DedupeKey, lease: Duration) -> Self::ClaimFuture {
///         let token = match ClaimToken::random() {
///             Ok(token) => token,
///             Err(error) => return ready(Err(error)),
///         };
///         let mut entries = self.entries.lock().unwrap();
///         // An expired key is free.
///         entries.retain(|_, entry| entry.is_live());
///         ready(Ok(match entries.entry(key.clone()) {
///             hash_map::Entry::Vacant(free) => {
///                 // `None` if the lease is too long for the clock.
///                 let until = Instant::now().checked_add(lease);
///                 free.insert(Entry { token, done: false, until });
///                 Claim::Acquired(token)
///             }
///             hash_map::Entry::Occupied(taken) if taken.get().done => Claim::Done,
///             hash_map::Entry::Occupied(taken) => Claim::InFlight {
///                 retry_after: taken.get().until.map_or(Duration::MAX, |until| {
///                     // At least a millisecond, because it may have expired by now.
///                     until.duration_since(Instant::now()).max(Duration::from_millis(1))
///                 }),
///             },
///         }))
///     }
///
///     fn complete(
///         &self,
///         key: &DedupeKey,
///         token: &ClaimToken,
///         retention: Duration,
///     ) -> Self::CompleteFuture {
///         let mut entries = self.entries.lock().unwrap();
///         let held = |entry: &&mut Entry| entry.token == *token && (entry.done || entry.is_live());
///         ready(Ok(match entries.get_mut(key).filter(held) {
///             Some(entry) => {
///                 entry.done = true;
///                 entry.until = Instant::now().checked_add(retention);
///                 Completion::Completed
///             }
///             None => Completion::Stale,
///         }))
///     }
///
///     fn confirm(&self, key: &DedupeKey, token: &ClaimToken) -> Self::CompleteFuture {
///         let entries = self.entries.lock().unwrap();
///         let done = entries.get(key).is_some_and(|entry| entry.token == *token && entry.done);
///         ready(Ok(if done { Completion::Completed } else { Completion::Stale }))
///     }
///
///     fn release(&self, key: &DedupeKey, token: &ClaimToken) -> Self::ReleaseFuture {
///         let mut entries = self.entries.lock().unwrap();
///         if entries.get(key).is_some_and(|entry| entry.token == *token && !entry.done) {
///             entries.remove(key);
///         }
///         ready(Ok(()))
///     }
/// }
///
/// # #[cfg(feature = "testing")]
/// #[tokio::main]
/// async fn main() {
///     // In your application, this is a test.
///     tower_workos::testing::conformance::check(MapStore::default()).await;
/// }
/// # #[cfg(not(feature = "testing"))]
/// # fn main() {}
/// ```
pub trait DedupeStore: Clone + Send + Sync + 'static {
    /// Distinguishes a claim from every other claim of its key, for example [`ClaimToken`](crate::dedupe::ClaimToken).
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

    /// Tries to become the holder of a key for the length of a lease.
    fn claim(&self, key: &DedupeKey, lease: Duration) -> Self::ClaimFuture;

    /// Makes a key done for the length of a retention, if the token is its holder's and the lease has not expired. A second
    /// call with the same token is [`Completion::Completed`] too.
    fn complete(
        &self,
        key: &DedupeKey,
        token: &Self::Token,
        retention: Duration,
    ) -> Self::CompleteFuture;

    /// Checks whether a completion with this token is committed: [`Completion::Completed`] if so, otherwise
    /// [`Completion::Stale`]. Changes nothing. The layer calls this instead of [`complete`](Self::complete) if the handler
    /// completes the claim in its own transaction.
    fn confirm(&self, key: &DedupeKey, token: &Self::Token) -> Self::CompleteFuture;

    /// Makes a key free if the token is its holder's. A key that is done stays done.
    fn release(&self, key: &DedupeKey, token: &Self::Token) -> Self::ReleaseFuture;
}

/// A boxed future, for stores with `async` code, whose futures can't be named.
pub type StoreFuture<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// The result of [`DedupeStore::claim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a store must return, and the layer must handle, exactly these"
)]
#[must_use]
pub enum Claim<T> {
    /// The caller is the holder.
    Acquired(T),
    /// The key is done.
    Done,
    /// Another caller is the holder.
    InFlight {
        /// The time until that holder's lease expires. It may complete or release the key earlier.
        retry_after: Duration,
    },
}

/// The result of [`DedupeStore::complete`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[expect(
    clippy::exhaustive_enums,
    reason = "a store must return, and the layer must handle, exactly these"
)]
pub enum Completion {
    /// The key is done.
    Completed,
    /// The token is no longer the holder's. Nothing was changed.
    Stale,
}

/// The key of an event in a store: a namespace and the event's id.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DedupeKey {
    namespace: Arc<str>,
    id: EventId,
}

impl DedupeKey {
    /// Creates the key of an event. Endpoints or environments that share a store need different namespaces.
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

/// The error of a store. The driver's error is its [`source`](Error::source). The layer logs it, so it must not contain the
/// password of a connection.
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
    /// The store failed or can't be reached.
    #[must_use]
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: StoreErrorKind::Unavailable, source: Some(source.into()) }
    }

    /// The store is full of keys in flight, which it must not forget.
    #[must_use]
    pub fn full() -> Self {
        Self { kind: StoreErrorKind::Full, source: None }
    }

    /// The store's tables are missing or of another version.
    #[must_use]
    pub fn not_migrated(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: StoreErrorKind::NotMigrated, source: Some(source.into()) }
    }

    /// The store did not respond within this time.
    #[must_use]
    pub fn timeout(after: Duration) -> Self {
        Self { kind: StoreErrorKind::Timeout(after), source: None }
    }

    /// Whether the store's tables are missing or of another version.
    #[must_use]
    pub fn is_not_migrated(&self) -> bool {
        self.kind == StoreErrorKind::NotMigrated
    }

    /// Whether the store did not respond in time.
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
                "the dedupe store did not respond within {after:?}; check that it runs, can be reached and is not overloaded"
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
    fn errors_have_a_kind_and_hide_the_driver() {
        let full = StoreError::full();
        assert!(full.is_full() && full.source().is_none());
        let unavailable = StoreError::unavailable("of the driver");
        assert!(!unavailable.is_full());
        assert!(!unavailable.to_string().contains("of the driver"));
        assert_eq!(unavailable.source().unwrap().to_string(), "of the driver");
    }

    #[test]
    fn keys_consist_of_a_namespace_and_an_id() {
        let key = |namespace: &str| DedupeKey::new(namespace, EventId::from("event_1"));
        assert_eq!(key("").namespace(), "");
        assert_eq!(key("a").namespace(), "a");
        assert_ne!(key(""), key("a"));
        assert_eq!(format!("{:?}", key("a")), r#""a"/"event_1""#);
    }
}
