use std::{fmt, sync::Arc, time::Duration};

use tower_layer::Layer;

use crate::dedupe::{Dedupe, background::Background};

/// Longer than a handler should take; WorkOS itself waits for seconds.
const DEFAULT_LEASE: Duration = Duration::from_secs(60);
/// Longer than WorkOS's retries, which end after three days.
const DEFAULT_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A store that is up answers in milliseconds; the sender waits for a few seconds only.
const DEFAULT_STORE_TIMEOUT: Duration = Duration::from_secs(2);
/// A shorter lease could expire before the completion arrives, so that no event would ever be done.
const SHORTEST_LEASE: Duration = Duration::from_millis(100);

/// Lets each event's handler succeed once: see the [module docs](crate::dedupe).
#[derive(Clone)]
#[must_use]
pub struct DedupeLayer<St> {
    store: St,
    config: Config,
}

impl<St> DedupeLayer<St> {
    /// Takes the name of this endpoint and the store to remember its events in.
    ///
    /// The name is the namespace of the endpoint's events in the store. **Each endpoint needs a name of its own**: WorkOS
    /// sends an event with one id to each endpoint that is subscribed to it, so of two endpoints that share a store and a
    /// name, only the first would handle it. The replicas of one endpoint share a name. Renaming an endpoint forgets what
    /// it has handled.
    pub fn new(endpoint: impl Into<Arc<str>>, store: St) -> Self {
        Self {
            store,
            config: Config {
                lease: DEFAULT_LEASE,
                retention: DEFAULT_RETENTION,
                namespace: endpoint.into(),
                on_store_error: OnStoreError::Reject,
                store_timeout: DEFAULT_STORE_TIMEOUT,
                background: Background::new(),
            },
        }
    }

    /// How long a handler may take. Default: 60 s; at least 100 ms. If it takes longer, a redelivery runs it again in
    /// the meantime; if its process crashes, the event waits for this long.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.config.lease = lease.max(SHORTEST_LEASE);
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

impl<St> fmt::Debug for DedupeLayer<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DedupeLayer").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What happens to an event while the store fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStoreError {
    /// The handler runs all the same, and duplicates are handled twice. For idempotent handlers. The request still waits
    /// for up to the [time-out](DedupeLayer::store_timeout) first.
    Pass,
    /// 503: the sender delivers the event again later.
    #[default]
    Reject,
}

#[derive(Clone)]
pub(super) struct Config {
    pub(super) lease: Duration,
    pub(super) retention: Duration,
    pub(super) namespace: Arc<str>,
    pub(super) on_store_error: OnStoreError,
    pub(super) store_timeout: Duration,
    pub(super) background: Background,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("endpoint", &self.namespace)
            .field("lease", &self.lease)
            .field("retention", &self.retention)
            .field("store_timeout", &self.store_timeout)
            .field("on_store_error", &self.on_store_error)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_defaults_and_what_was_set() {
        let layer = DedupeLayer::new("workos", crate::MemoryStore::new(1));
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
        let layer = DedupeLayer::new("workos", crate::MemoryStore::new(1));
        assert_eq!(layer.lease(Duration::ZERO).config.lease, Duration::from_millis(100));
    }
}
