//! The settings of the page.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use axum::{
    Router, extract::Request, middleware::map_response, response::IntoResponse, routing::Route,
};
use tokio::sync::{Semaphore, watch};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    mirror::Mirror,
    page::{assets::Asset, handlers, headers::secure, queue::Queues},
};

/// How many browsers receive live updates at most.
const MAX_STREAMS: usize = 64;
/// How many pages are read at the same time. The others wait, so that most of the pool's connections stay free for deliveries.
const READS: usize = 2;
/// How long they receive them before the guard is asked again.
const LONG: Duration = Duration::from_secs(15 * 60);
/// The same, if nothing ends them when the server shuts down.
const SHORT: Duration = Duration::from_secs(10);

impl Mirror {
    /// Returns the [page](crate::page) as a router that can be nested under any path. The guard is a layer that lets only
    /// those in who may see it.
    ///
    /// [`DirectoryPage`] has settings, such as the queues that it shows.
    #[cfg_attr(docsrs, doc(cfg(feature = "page")))]
    pub fn page<L>(&self, guard: L) -> Router
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        DirectoryPage::new(self.clone()).router(guard)
    }
}

/// A page that shows the state of a [`Mirror`]: see the [module](crate::page).
#[derive(Clone)]
#[must_use]
pub struct DirectoryPage {
    mirror: Mirror,
    title: String,
    queues: Queues,
    max_streams: usize,
    is_closed: Arc<watch::Sender<bool>>,
    is_closed_at_shutdown: Arc<std::sync::atomic::AtomicBool>,
}

impl DirectoryPage {
    /// Creates a page with the default settings.
    pub fn new(mirror: Mirror) -> Self {
        Self {
            mirror,
            title: "Directory Sync".to_owned(),
            queues: Queues::default(),
            max_streams: MAX_STREAMS,
            is_closed: Arc::new(watch::Sender::new(false)),
            is_closed_at_shutdown: Arc::default(),
        }
    }

    /// The name in the header, for example that of the application. Default: `Directory Sync`.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Shows a queue: an inbox, or an outbox of the mirror. Call it for each queue.
    #[cfg(feature = "outbox")]
    #[cfg_attr(docsrs, doc(cfg(feature = "outbox")))]
    pub fn queue<T: tower_workos_inbox::Payload>(
        mut self,
        queue: &tower_workos_inbox::Queue<T>,
    ) -> Self {
        self.queues.add(queue);
        self
    }

    /// The maximum number of streams of live updates, one for each visible tab. The response to any more is 503, and the browser
    /// tries again later. Default: 64.
    pub fn max_streams(mut self, streams: usize) -> Self {
        self.max_streams = streams.min(Semaphore::MAX_PERMITS);
        self
    }

    /// Returns a handle that ends all live updates. Call [`close`](LiveUpdates::close) when the shutdown begins; otherwise the
    /// shutdown can take 15 minutes.
    #[must_use]
    pub fn live_updates(&self) -> LiveUpdates {
        self.is_closed_at_shutdown.store(true, std::sync::atomic::Ordering::Relaxed);
        LiveUpdates { is_closed: Arc::clone(&self.is_closed) }
    }

    /// Returns the page as a router that can be nested under any path. The guard is a layer that lets only those in who
    /// may see it.
    pub fn router<L>(self, guard: L) -> Router
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        let is_closed_at_shutdown =
            self.is_closed_at_shutdown.load(std::sync::atomic::Ordering::Relaxed);
        let (style, script) = (Asset::style(), Asset::script());
        let state = Arc::new(PageState {
            mirror: self.mirror,
            title: self.title,
            queues: self.queues,
            style: style.name.clone(),
            script: script.name.clone(),
            streams: Arc::new(Semaphore::new(self.max_streams)),
            reads: Semaphore::new(READS),
            stream_duration: if is_closed_at_shutdown { LONG } else { SHORT },
            is_closed: self.is_closed,
        });
        let router = script.route(style.route(handlers::routes(&state)));
        // The guard is outermost. A layer also applies to the fallback.
        router.with_state(state).layer(map_response(secure)).layer(guard)
    }
}

impl fmt::Debug for DirectoryPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryPage")
            .field("mirror", &self.mirror)
            .field("title", &self.title)
            .field("queues", &self.queues)
            .field("max_streams", &self.max_streams)
            .finish_non_exhaustive()
    }
}

/// Ends the live updates of a [`DirectoryPage`], so that a graceful shutdown does not wait for them.
#[derive(Clone)]
pub struct LiveUpdates {
    is_closed: Arc<watch::Sender<bool>>,
}

impl LiveUpdates {
    /// Ends them all. A browser that asks for them from now on receives an empty stream.
    pub fn close(&self) {
        self.is_closed.send_replace(true);
    }
}

impl fmt::Debug for LiveUpdates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveUpdates").field("is_closed", &*self.is_closed.borrow()).finish()
    }
}

/// What the handlers need.
pub(super) struct PageState {
    pub(super) mirror: Mirror,
    pub(super) title: String,
    pub(super) queues: Queues,
    pub(super) style: String,
    pub(super) script: String,
    pub(super) streams: Arc<Semaphore>,
    pub(super) reads: Semaphore,
    pub(super) stream_duration: Duration,
    pub(super) is_closed: Arc<watch::Sender<bool>>,
}
