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

/// The claim under which a handler runs, in the extensions of its request.
///
/// A handler that only needs the layer to complete the claim can ignore it. With it, a handler knows the store, the key and
/// how long it may take:
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
/// If the store is in the application's own database, the handler can complete the claim in its own transaction, so that
/// its effect and the record of it are committed together: then nothing happens twice, even if the process dies right
/// after. `tower_workos_sqlx::CompleteIn` adds the method `complete_in` for that.
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
    /// The claim that this one was downcast from, which is the one that the layer has.
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

    /// The claim's token. `None` if the store failed and the handler runs although nothing is claimed.
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
        if let Some(boxed) = &self.inner.boxed {
            boxed.complete_by_handler();
        }
    }

    /// Makes the layer responsible for a claim that the handler made itself, in `complete_in`, because there was none.
    /// Does nothing if there is a token already.
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
    /// The claim in the store inside the box, if that is of this type. It is the same claim: what completes one, completes
    /// the other.
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
