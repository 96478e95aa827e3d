use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::dedupe::store::{DedupeKey, DedupeStore};

/// The claim under which a handler runs, in the extensions of its request.
///
/// If the store is in the application's own database, the handler can complete the claim in its own transaction
/// (`complete_in`), so that its effect and the record of it are committed together: then nothing happens twice, even
/// if the process dies right after.
///
/// Under [`OnStoreError::Pass`](crate::dedupe::OnStoreError::Pass) a handler can run although the store failed. It
/// still finds a `Claimed` in its request, but without a [`token`](Self::token); `complete_in` then claims the event
/// in the handler's transaction.
pub struct Claimed<St: DedupeStore> {
    inner: Arc<Inner<St>>,
}

struct Inner<St: DedupeStore> {
    store: St,
    key: DedupeKey,
    token: OnceLock<St::Token>,
    lease: Duration,
    retention: Duration,
    by_handler: AtomicBool,
}

impl<St: DedupeStore> Claimed<St> {
    pub(super) fn new(store: St, key: DedupeKey, lease: Duration, retention: Duration) -> Self {
        let (token, by_handler) = (OnceLock::new(), AtomicBool::new(false));
        Self { inner: Arc::new(Inner { store, key, token, lease, retention, by_handler }) }
    }

    /// The claimed key.
    #[must_use]
    pub fn key(&self) -> &DedupeKey {
        &self.inner.key
    }

    /// The store that holds the claim.
    #[must_use]
    pub fn store(&self) -> &St {
        &self.inner.store
    }

    /// The claim's token. `None` if the store failed and the handler runs all the same.
    #[must_use]
    pub fn token(&self) -> Option<&St::Token> {
        self.inner.token.get()
    }

    /// How long the claim was made for.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.inner.lease
    }

    /// How long the key will be remembered as done.
    #[must_use]
    pub fn retention(&self) -> Duration {
        self.inner.retention
    }

    /// Leaves the completion to the handler. From now on the layer does not complete the claim after a 2xx response:
    /// it asks the store whether it is completed ([`DedupeStore::confirm`]), and answers 503 if it isn't.
    ///
    /// A store's `complete_in` calls this before anything else, so that a transaction that is rolled back or dropped
    /// afterwards can't be mistaken for a success.
    pub fn complete_by_handler(&self) {
        self.inner.by_handler.store(true, Ordering::Release);
    }

    /// Makes the layer responsible for a claim that the handler made itself, in `complete_in`, because there was none.
    /// Does nothing if there is a token already.
    pub fn adopt(&self, token: St::Token) {
        let _ = self.inner.token.set(token);
    }

    /// Whether [`complete_by_handler`](Self::complete_by_handler) was called.
    pub(super) fn is_completed_by_handler(&self) -> bool {
        self.inner.by_handler.load(Ordering::Acquire)
    }
}

impl<St: DedupeStore> Clone for Claimed<St> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<St: DedupeStore> fmt::Debug for Claimed<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claimed").field("key", self.key()).finish_non_exhaustive()
    }
}
