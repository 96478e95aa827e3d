use std::{any::Any, fmt, sync::Arc, time::Duration};

use crate::dedupe::store::{Claim, Completion, DedupeKey, DedupeStore, StoreError, StoreFuture};

/// A store of any type, for applications that choose their store at run time.
///
/// ```
/// # #[cfg(feature = "redis")]
/// use tower_workos::RedisStore;
/// use tower_workos::{BoxStore, DedupeLayer, MemoryStore, dedupe::StoreError};
///
/// /// The store that a setting names: `memory`, or the address of a Redis server.
/// async fn store(setting: &str) -> Result<BoxStore, StoreError> {
///     match setting {
///         "memory" => Ok(BoxStore::new(MemoryStore::default())),
///         # #[cfg(feature = "redis")]
///         redis if redis.starts_with("redis://") => {
///             Ok(BoxStore::new(RedisStore::connect(redis).await?))
///         }
///         other => Err(StoreError::unavailable(format!("{other:?} is not a store"))),
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), StoreError> {
/// let setting = std::env::var("DEDUPE_STORE").unwrap_or_else(|_| "memory".to_owned());
/// let dedupe = DedupeLayer::new("workos", store(&setting).await?);
/// # let _ = dedupe;
/// # Ok(())
/// # }
/// ```
///
/// Clones share the store. Each call allocates its future, and each claim allocates its token. Compared with a network
/// round trip, that costs little.
///
/// # Completing a claim in a transaction
///
/// A handler's request contains a [`Claimed<BoxStore>`](crate::dedupe::Claimed).
/// [`Claimed::downcast`](crate::dedupe::Claimed::downcast) returns the claim in the store that was chosen. The handler can
/// complete it in its own transaction as if the store were not boxed.
#[derive(Clone)]
pub struct BoxStore {
    store: Arc<dyn AnyStore>,
}

impl BoxStore {
    /// Boxes a store.
    #[must_use]
    pub fn new<St: DedupeStore>(store: St) -> Self {
        Self { store: Arc::new(Typed(store)) }
    }

    /// The inner store, if its type is `St`.
    #[must_use]
    pub fn downcast_ref<St: DedupeStore>(&self) -> Option<&St> {
        self.store.as_any().downcast_ref()
    }
}

impl DedupeStore for BoxStore {
    type Token = BoxToken;
    type ClaimFuture = StoreFuture<Claim<BoxToken>>;
    type CompleteFuture = StoreFuture<Completion>;
    type ReleaseFuture = StoreFuture<()>;

    fn claim(&self, key: &DedupeKey, lease: Duration) -> Self::ClaimFuture {
        self.store.claim(key, lease)
    }

    fn complete(
        &self,
        key: &DedupeKey,
        token: &BoxToken,
        retention: Duration,
    ) -> Self::CompleteFuture {
        self.store.complete(key, token, retention)
    }

    fn confirm(&self, key: &DedupeKey, token: &BoxToken) -> Self::CompleteFuture {
        self.store.confirm(key, token)
    }

    fn release(&self, key: &DedupeKey, token: &BoxToken) -> Self::ReleaseFuture {
        self.store.release(key, token)
    }
}

impl fmt::Debug for BoxStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxStore").finish_non_exhaustive()
    }
}

/// The token of a claim in a [`BoxStore`]. In a store other than the one that made it, it is stale.
#[derive(Clone)]
pub struct BoxToken {
    token: Arc<dyn Any + Send + Sync>,
}

impl BoxToken {
    pub(super) fn new<T: Send + Sync + 'static>(token: T) -> Self {
        Self { token: Arc::new(token) }
    }

    /// The inner token, if its type is `T`.
    #[must_use]
    pub fn downcast_ref<T: 'static>(&self) -> Option<&T> {
        self.token.downcast_ref()
    }
}

impl fmt::Debug for BoxToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxToken(..)")
    }
}

/// [`DedupeStore`] without associated types.
trait AnyStore: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn claim(&self, key: &DedupeKey, lease: Duration) -> StoreFuture<Claim<BoxToken>>;
    fn complete(
        &self,
        key: &DedupeKey,
        token: &BoxToken,
        retention: Duration,
    ) -> StoreFuture<Completion>;
    fn confirm(&self, key: &DedupeKey, token: &BoxToken) -> StoreFuture<Completion>;
    fn release(&self, key: &DedupeKey, token: &BoxToken) -> StoreFuture<()>;
}

struct Typed<St>(St);

impl<St: DedupeStore> AnyStore for Typed<St> {
    fn as_any(&self) -> &dyn Any {
        &self.0
    }

    fn claim(&self, key: &DedupeKey, lease: Duration) -> StoreFuture<Claim<BoxToken>> {
        let claim = self.0.claim(key, lease);
        Box::pin(async move {
            Ok(match claim.await? {
                Claim::Acquired(token) => Claim::Acquired(BoxToken::new(token)),
                Claim::Done => Claim::Done,
                Claim::InFlight { retry_after } => Claim::InFlight { retry_after },
            })
        })
    }

    fn complete(
        &self,
        key: &DedupeKey,
        token: &BoxToken,
        retention: Duration,
    ) -> StoreFuture<Completion> {
        match token.downcast_ref() {
            Some(token) => Box::pin(self.0.complete(key, token, retention)),
            None => ready(Completion::Stale),
        }
    }

    fn confirm(&self, key: &DedupeKey, token: &BoxToken) -> StoreFuture<Completion> {
        match token.downcast_ref() {
            Some(token) => Box::pin(self.0.confirm(key, token)),
            None => ready(Completion::Stale),
        }
    }

    fn release(&self, key: &DedupeKey, token: &BoxToken) -> StoreFuture<()> {
        match token.downcast_ref() {
            Some(token) => Box::pin(self.0.release(key, token)),
            None => ready(()),
        }
    }
}

fn ready<T: Send + 'static>(value: T) -> StoreFuture<T> {
    Box::pin(std::future::ready(Ok::<T, StoreError>(value)))
}
