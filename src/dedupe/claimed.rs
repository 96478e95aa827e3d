use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::dedupe::{
    boxed::{BoxStore, BoxToken},
    store::{DedupeKey, DedupeStore},
};

/// The claim that a handler runs under, in the extensions of its request.
///
/// Most handlers can ignore it, because the layer completes the claim. It contains the store, the key and the lease:
///
/// ```
/// # #[cfg(all(feature = "axum", feature = "testing"))]
/// # {
/// use axum::{Extension, Router, body::Body, http::StatusCode, routing::post};
/// use tower::{ServiceBuilder, ServiceExt};
/// use tower_workos::{
///     DedupeLayer, DirectoryEvent, MemoryStore, VerifyWebhookLayer, WebhookSecret,
///     dedupe::Claimed,
///     testing::{Signer, sample},
/// };
///
/// async fn on_event(
///     Extension(claimed): Extension<Claimed<MemoryStore>>,
///     event: DirectoryEvent,
/// ) -> StatusCode {
///     assert_eq!(claimed.key().namespace(), "workos");
///     assert_eq!(claimed.key().id(), event.id());
///     // Give up before another delivery runs this handler again.
///     match tokio::time::timeout(claimed.lease() / 2, end_sessions(&event)).await {
///         Ok(()) => StatusCode::OK,
///         Err(_) => StatusCode::SERVICE_UNAVAILABLE,
///     }
/// }
///
/// async fn end_sessions(_: &DirectoryEvent) {}
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let secret = WebhookSecret::new("whsec_from_the_dashboard")?;
/// let delivery = Signer::new(secret.clone()).sign(sample::USER_DEACTIVATED);
/// let app = Router::new().route("/", post(on_event)).route_layer(
///     ServiceBuilder::new()
///         .layer(VerifyWebhookLayer::new(secret))
///         .layer(DedupeLayer::new("workos", MemoryStore::default())),
/// );
/// let request = delivery.into_request::<Body, _>("/")?;
/// assert_eq!(app.oneshot(request).await?.status(), 200);
/// # Ok(())
/// # }
/// # }
/// ```
///
/// If the store is in the application's own database, the handler can complete the claim in its own transaction. The
/// handler's changes and the record of the event are then committed together, so the changes can't happen twice, even if
/// the process dies right after the commit. `tower_workos_sqlx::CompleteIn` adds the method `complete_in` for that.
///
/// With [`OnStoreError::Pass`](crate::dedupe::OnStoreError::Pass), a handler runs even if the store failed. Its request
/// still contains a `Claimed`, but without a [`token`](Self::token); `complete_in` then claims the event in the handler's
/// transaction.
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
    /// The layer's own claim, if this one was downcast from it.
    boxed: Option<Claimed<BoxStore>>,
}

impl<St: DedupeStore> Claimed<St> {
    pub(super) fn new(store: St, key: DedupeKey, lease: Duration, retention: Duration) -> Self {
        let (token, by_handler) = (OnceLock::new(), AtomicBool::new(false));
        let boxed = None;
        Self { inner: Arc::new(Inner { store, key, token, lease, retention, by_handler, boxed }) }
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

    /// The claim's token. `None` if the store failed and the handler runs without a claim.
    #[must_use]
    pub fn token(&self) -> Option<&St::Token> {
        self.inner.token.get()
    }

    /// How long the claim lasts, from when it was made.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.inner.lease
    }

    /// How long the key is remembered once it is done.
    #[must_use]
    pub fn retention(&self) -> Duration {
        self.inner.retention
    }

    /// Leaves the completion to the handler. From now on, the layer does not complete the claim after a 2xx response.
    /// Instead, it asks the store whether the claim is completed ([`DedupeStore::confirm`]), and responds with 503 if it
    /// isn't.
    ///
    /// A store's `complete_in` calls this before anything else, so that a transaction that is rolled back or dropped
    /// afterwards can't be mistaken for a success.
    pub fn complete_by_handler(&self) {
        self.inner.by_handler.store(true, Ordering::Release);
        if let Some(boxed) = &self.inner.boxed {
            boxed.complete_by_handler();
        }
    }

    /// Gives the layer a claim that the handler made in `complete_in` because there was none. Does nothing if there already
    /// is a token.
    pub fn adopt(&self, token: St::Token) {
        if let Some(boxed) = &self.inner.boxed {
            boxed.adopt(BoxToken::new(token.clone()));
        }
        let _ = self.inner.token.set(token);
    }

    /// Whether [`complete_by_handler`](Self::complete_by_handler) was called.
    pub(super) fn is_completed_by_handler(&self) -> bool {
        self.inner.by_handler.load(Ordering::Acquire)
    }
}

impl Claimed<BoxStore> {
    /// The claim in the inner store, if the type of that store is `St`. It is the same claim: completing one completes the
    /// other.
    ///
    /// ```
    /// use tower_workos::{BoxStore, MemoryStore, dedupe::Claimed};
    ///
    /// fn is_in_memory(claimed: &Claimed<BoxStore>) -> bool {
    ///     claimed.downcast::<MemoryStore>().is_some()
    /// }
    /// ```
    #[must_use]
    pub fn downcast<St: DedupeStore>(&self) -> Option<Claimed<St>> {
        let store = self.store().downcast_ref::<St>()?.clone();
        let token = match self.token() {
            Some(token) => OnceLock::from(token.downcast_ref::<St::Token>()?.clone()),
            None => OnceLock::new(),
        };
        let inner = Inner {
            store,
            key: self.key().clone(),
            token,
            lease: self.lease(),
            retention: self.retention(),
            by_handler: AtomicBool::new(self.is_completed_by_handler()),
            boxed: Some(self.clone()),
        };
        Some(Claimed { inner: Arc::new(inner) })
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
