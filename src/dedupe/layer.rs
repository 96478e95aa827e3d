use std::{fmt, sync::Arc, time::Duration};

use tower_layer::Layer;

use crate::dedupe::{
    config::{Config, OnStoreError},
    service::Dedupe,
};

/// Lets each event's handler succeed once: see the [module docs](crate::dedupe).
///
/// ```
/// # #[cfg(feature = "testing")]
/// # {
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_workos::{
///     DedupeLayer, MemoryStore, VerifyWebhookLayer, WebhookSecret,
///     dedupe::DedupeOutcome,
///     testing::{Signer, sample},
///     verify::VerifiedBody,
/// };
/// # use std::{convert::Infallible, time::Duration};
/// # use bytes::Bytes;
/// # use http::{Request, Response};
/// # use http_body_util::Full;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let secret = WebhookSecret::new("whsec_from_the_dashboard")?;
/// let signer = Signer::new(secret.clone());
/// let dedupe = DedupeLayer::new("workos", MemoryStore::default())
///     // Longer than the handler takes.
///     .lease(Duration::from_secs(30));
/// let app = ServiceBuilder::new()
///     .layer(VerifyWebhookLayer::new(secret))
///     .layer(dedupe)
///     .service(service_fn(|_: Request<VerifiedBody>| async {
///         Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
///     }));
///
/// for outcome in [DedupeOutcome::Completed, DedupeOutcome::Duplicate] {
///     let request = signer.sign(sample::USER_DEACTIVATED).into_request::<Full<Bytes>, _>("/")?;
///     let response = app.clone().oneshot(request).await?;
///     assert_eq!(response.status(), 200);
///     assert_eq!(response.extensions().get(), Some(&outcome));
/// }
/// # Ok(())
/// # }
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct DedupeLayer<St> {
    store: St,
    config: Config,
}

impl<St> DedupeLayer<St> {
    /// A layer with the name of this endpoint and the store in which its events are remembered.
    ///
    /// The name is the namespace of the endpoint's events in the store. **Each endpoint needs a name of its own**: WorkOS
    /// sends an event with one id to each endpoint that is subscribed to it, so of two endpoints that share a store and a
    /// name, only the first would handle it. The replicas of one endpoint share a name. Renaming an endpoint forgets what
    /// it has handled.
    pub fn new(endpoint: impl Into<Arc<str>>, store: St) -> Self {
        Self { store, config: Config::new(endpoint.into()) }
    }

    /// How long a handler may take. Default: 60 s; at least 100 ms. If it takes longer, a redelivery runs it again in
    /// the meantime; if its process crashes, the event waits for this long.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.config.lease = lease.max(Config::SHORTEST_LEASE);
        self
    }

    /// How long a handled event is remembered. Default: 7 days. Keep it longer than the sender's retries (three
    /// days) and than [`Verifier::tolerance`](crate::Verifier::tolerance).
    pub fn retention(mut self, retention: Duration) -> Self {
        self.config.retention = retention;
        self
    }

    /// How long the store may take for each call: to claim, to complete and to release. Default: 2 s. After it, the event
    /// is handled as [`on_store_error`](Self::on_store_error) says; the call continues in the background, and what it
    /// claims is released. Let a connection pool give up no later (sqlx's `acquire_timeout` is 30 s by default), or calls
    /// pile up in it while the database is away.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.config.store_timeout = timeout;
        self
    }

    /// What happens to an event while the store fails. Default: [`OnStoreError::Reject`].
    pub fn on_store_error(mut self, on_store_error: OnStoreError) -> Self {
        self.config.on_store_error = on_store_error;
        self
    }

    /// Waits until no store call continues in the background.
    ///
    /// If a sender disconnects, what its request started in the store is brought to an end in a task. A runtime that shuts
    /// down drops such tasks; the event then waits for its lease and is handled again. To avoid that, await this after the
    /// server has stopped and before `main` returns, within a time-out of your own. No task runs longer than the lease.
    pub async fn idle(&self) {
        self.config.background.idle().await;
    }
}

impl<S, St: Clone> Layer<S> for DedupeLayer<St> {
    type Service = Dedupe<S, St>;

    fn layer(&self, inner: S) -> Dedupe<S, St> {
        Dedupe { inner, store: self.store.clone(), config: Arc::new(self.config.clone()) }
    }
}

impl<S, St: Clone> Dedupe<S, St> {
    /// Wraps a service, with the defaults of [`DedupeLayer::new`].
    pub fn new(inner: S, endpoint: impl Into<Arc<str>>, store: St) -> Self {
        DedupeLayer::new(endpoint, store).layer(inner)
    }

    /// The layer that makes this service, on which settings can be changed: the same as [`DedupeLayer::new`].
    pub fn layer(endpoint: impl Into<Arc<str>>, store: St) -> DedupeLayer<St> {
        DedupeLayer::new(endpoint, store)
    }
}

impl<St> fmt::Debug for DedupeLayer<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DedupeLayer").field("config", &self.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dedupe::memory::MemoryStore;

    #[test]
    fn debug_shows_the_defaults_and_what_was_set() {
        let layer = DedupeLayer::new("workos", MemoryStore::new(1));
        let config = |endpoint, rest| format!("Config {{ endpoint: \"{endpoint}\", {rest}, .. }}");
        let defaults = "lease: 60s, retention: 604800s, store_timeout: 2s, on_store_error: Reject";
        assert_eq!(format!("{:?}", layer.config), config("workos", defaults));
        let service = format!("{:?}", layer.layer(()));
        assert!(service.starts_with("Dedupe { inner: (), config: Config {"), "{service}");
        let layer = layer
            .lease(Duration::from_secs(5))
            .retention(Duration::from_secs(6))
            .store_timeout(Duration::from_secs(7))
            .on_store_error(OnStoreError::Pass);
        let set = "lease: 5s, retention: 6s, store_timeout: 7s, on_store_error: Pass";
        assert_eq!(format!("{:?}", layer.config), config("workos", set));
    }

    #[test]
    fn a_lease_without_length_would_never_let_an_event_be_done() {
        let layer = DedupeLayer::new("workos", MemoryStore::new(1));
        assert_eq!(layer.lease(Duration::ZERO).config.lease, Duration::from_millis(100));
    }
}
