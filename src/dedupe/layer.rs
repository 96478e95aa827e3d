use std::{fmt, sync::Arc, time::Duration};

use tower_layer::Layer;

use crate::dedupe::{Dedupe, store::some_namespace};

/// Longer than a handler should take; WorkOS itself waits for seconds.
const DEFAULT_LEASE: Duration = Duration::from_secs(60);
/// Longer than WorkOS's retries, which end after three days.
const DEFAULT_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Lets each event's handler succeed once: see the [module docs](crate::dedupe).
#[derive(Clone)]
#[must_use]
pub struct DedupeLayer<St> {
    store: St,
    config: Config,
}

impl<St> DedupeLayer<St> {
    /// Takes the store to remember events in.
    pub fn new(store: St) -> Self {
        Self {
            store,
            config: Config {
                lease: DEFAULT_LEASE,
                retention: DEFAULT_RETENTION,
                namespace: None,
                on_store_error: OnStoreError::Reject,
            },
        }
    }

    /// How long a handler may take. Default: 60 s. If it takes longer, a redelivery runs it again meanwhile; if its
    /// process crashes, the event waits for this long.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.config.lease = lease;
        self
    }

    /// How long a handled event is remembered. Default: 7 days. Keep it longer than the sender's retries (three
    /// days) and than [`Verifier::tolerance`](crate::Verifier::tolerance).
    pub fn retention(mut self, retention: Duration) -> Self {
        self.config.retention = retention;
        self
    }

    /// Keeps this endpoint's or environment's events apart from others in the same store. Default: empty.
    pub fn namespace(mut self, namespace: impl Into<Arc<str>>) -> Self {
        self.config.namespace = some_namespace(namespace.into());
        self
    }

    /// What happens to an event while the store does not answer. Default: [`OnStoreError::Reject`].
    pub fn on_store_error(mut self, on_store_error: OnStoreError) -> Self {
        self.config.on_store_error = on_store_error;
        self
    }
}

impl<S, St: Clone> Layer<S> for DedupeLayer<St> {
    type Service = Dedupe<S, St>;

    fn layer(&self, inner: S) -> Dedupe<S, St> {
        Dedupe { inner, store: self.store.clone(), config: self.config.clone() }
    }
}

impl<St> fmt::Debug for DedupeLayer<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DedupeLayer").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What happens to an event while the store does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStoreError {
    /// The handler runs all the same: nothing waits, and duplicates are handled twice. For idempotent handlers.
    Pass,
    /// 503: the sender delivers the event again later.
    #[default]
    Reject,
}

#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) lease: Duration,
    pub(super) retention: Duration,
    pub(super) namespace: Option<Arc<str>>,
    pub(super) on_store_error: OnStoreError,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_defaults_and_what_was_set() {
        let layer = DedupeLayer::new(crate::MemoryStore::new(1));
        let rest = "namespace: None, on_store_error: Reject }, .. }";
        assert_eq!(
            format!("{layer:?}"),
            format!("DedupeLayer {{ config: Config {{ lease: 60s, retention: 604800s, {rest}")
        );
        let service = format!("{:?}", layer.layer(()));
        assert!(
            service.starts_with("Dedupe { inner: (), config: Config { lease: 60s"),
            "{service}"
        );
        let layer = layer
            .lease(Duration::from_secs(1))
            .retention(Duration::from_secs(2))
            .namespace("")
            .on_store_error(OnStoreError::Pass);
        let debug = format!("{layer:?}");
        assert!(debug.contains("lease: 1s, retention: 2s, namespace: None, on_store_error: Pass"));
        assert!(format!("{:?}", layer.namespace("a")).contains(r#"namespace: Some("a")"#));
    }
}
