use std::{fmt, sync::Arc, time::Duration};

use tower_layer::Layer;

use crate::dedupe::{
    config::{Config, OnStoreError},
    service::Dedupe,
};

/// Deduplicates events, so that each is handled successfully only once: see the [module docs](crate::dedupe).
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
    /// Creates a layer from this endpoint's name and the store that remembers its events.
    ///
    /// The name is the namespace of the endpoint's events in the store. **Each endpoint needs its own name**: WorkOS sends
    /// an event to every subscribed endpoint under the same id, so if two endpoints shared a store and a name, only one of
    /// them would handle the event. All replicas of an endpoint use the same name. Under a new name, the events that the
    /// endpoint has handled are forgotten.
    pub fn new(endpoint: impl Into<Arc<str>>, store: St) -> Self {
        Self { store, config: Config::new(endpoint.into()) }
    }

    /// How long a handler may take. Default: 60 s; a value below 100 ms is raised to 100 ms. If a handler takes longer, a
    /// redelivery can run it again concurrently. If the process crashes, the event is blocked for this long.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.config.lease = lease.max(Config::SHORTEST_LEASE);
        self
    }

    /// How long a handled event is remembered. Default: 7 days. Make it longer than the sender's retries (three
    /// days) and than [`Verifier::tolerance`](crate::Verifier::tolerance).
    pub fn retention(mut self, retention: Duration) -> Self {
        self.config.retention = retention;
        self
    }

    /// How long each call of the store may take: to claim, to complete or to release. Default: 2 s. After that,
    /// [`on_store_error`](Self::on_store_error) decides what happens to the event. The call continues in the background;
    /// if it claims the event, the claim is released. The time-out of a connection pool must not be longer (sqlx's
    /// `acquire_timeout` is 30 s by default); otherwise, calls pile up in the pool while the database is down.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.config.store_timeout = timeout;
        self
    }

    /// What happens to an event if the store fails. Default: [`OnStoreError::Reject`].
    pub fn on_store_error(mut self, on_store_error: OnStoreError) -> Self {
        self.config.on_store_error = on_store_error;
        self
    }

    /// Waits until no store call is running in the background.
    ///
    /// If a sender disconnects, a task finishes the store call that its request has started. A runtime that shuts down
    /// drops such tasks; the event is then blocked until its lease expires, and handled again. To avoid that, await this
    /// after the server has stopped and before `main` returns, with a time-out. No task runs longer than the lease.
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
    /// Wraps a service with the default settings of [`DedupeLayer::new`].
    pub fn new(inner: S, endpoint: impl Into<Arc<str>>, store: St) -> Self {
        DedupeLayer::new(endpoint, store).layer(inner)
    }

    /// Returns the layer that creates this service. This is the same as [`DedupeLayer::new`].
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
    fn debug_shows_the_settings() {
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
    fn a_lease_of_zero_is_raised_to_the_minimum() {
        let layer = DedupeLayer::new("workos", MemoryStore::new(1));
        assert_eq!(layer.lease(Duration::ZERO).config.lease, Duration::from_millis(100));
    }
}
