//! Follows the Events API into a service.

use std::{
    error::Error,
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use tokio::time::sleep;
use tower_service::Service;
use tower_workos::{DirectoryEvent, ParseError};

use crate::{
    api::client::ApiClient,
    poller::{
        batch::Entry,
        cursor::{CursorStore, EventsCursor},
        drain::{Drain, Draining, Handled, Settings, Sink},
        error::PollError,
        health::Health,
        stop::{Stop, never},
    },
};

/// Follows WorkOS's Events API, and calls a service for each event. It does not need the tables of the mirror.
///
/// - **Order:** events are delivered one after another, in the order in which they happened.
/// - **At least once:** the position moves past an event only after the service returned `Ok` for it and for all events
///   before it. An event is delivered again if the process ends in between, if another process polls the same stream, and
///   sometimes after a long pause. So the service must be idempotent.
/// - **Failures:** if the service fails, the stream stops at that event, which is delivered again at the next drain. If the
///   service can never handle an event, it must return `Ok`.
/// - **Webhooks** can be handled at the same time. They must not move the position.
///
/// An event from the API has no [`signature`](DirectoryEvent::signature). The position stays
/// [a minute](Self::margin) behind the present, because the API shows new events only after some seconds, and not necessarily
/// in their order. The stream begins with the first drain, without the events before.
///
/// ```no_run
/// use std::{convert::Infallible, future::ready, task::{Context, Poll}};
/// use std::{future::Ready, time::Duration};
///
/// use tower_service::Service;
/// use tower_workos::{AccessChange, DirectoryEvent};
/// use tower_workos_mirror::{ApiClient, MemoryCursor, ServicePoller};
///
/// #[derive(Clone)]
/// struct EndSessions;
///
/// impl Service<DirectoryEvent> for EndSessions {
///     type Response = ();
///     type Error = Infallible;
///     type Future = Ready<Result<(), Infallible>>;
///
///     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
///         Poll::Ready(Ok(()))
///     }
///
///     fn call(&mut self, event: DirectoryEvent) -> Self::Future {
///         if let Some(AccessChange::Revoked(user)) = event.access_change() {
///             println!("end the sessions of {}", user.id);
///         }
///         ready(Ok(()))
///     }
/// }
///
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// // An application stores the position in its database instead.
/// let store = MemoryCursor::new();
/// let mut poller = ServicePoller::new(EndSessions, store, ApiClient::from_env()?);
/// let drain = poller.drain().await?;
/// println!("{} events", drain.events);
/// // Until Ctrl-C:
/// let shutdown = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
/// poller.run(Duration::from_secs(60), shutdown).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct ServicePoller<S, C> {
    sink: ServiceSink<S, C>,
    api: ApiClient,
    settings: Settings,
    on_drain: Arc<dyn Fn(&Drain) + Send + Sync>,
}

impl<S, C> ServicePoller<S, C> {
    /// Creates a poller.
    pub fn new(service: S, store: C, api: ApiClient) -> Self {
        Self {
            sink: ServiceSink { service, store, on_unreadable: Arc::new(|_| {}) },
            api,
            settings: Settings::default(),
            on_drain: Arc::new(|_| {}),
        }
    }

    /// How far the position stays behind the API's clock. Default: 60 s. An event that the API begins to show only after a
    /// longer time can be lost.
    pub fn margin(mut self, margin: Duration) -> Self {
        self.settings.margin = margin;
        self
    }

    /// How long the API keeps events. If the position is older, the stream starts over, with a [gap](Drain::gap).
    /// Default: 90 days, as WorkOS documents.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.settings.retention = retention;
        self
    }

    /// A function that [`run`](Self::run) calls after each drain that succeeded. It must not block.
    pub fn on_drain(mut self, function: impl Fn(&Drain) + Send + Sync + 'static) -> Self {
        self.on_drain = Arc::new(function);
        self
    }

    /// A function that is called for each body that can't be read as an event, before the position moves past it. It can
    /// keep the body for a later version. It must not block. A body can be passed to it several times.
    pub fn on_unreadable(mut self, function: impl Fn(&ParseError) + Send + Sync + 'static) -> Self {
        self.sink.on_unreadable = Arc::new(function);
        self
    }
}

impl<S, C> ServicePoller<S, C>
where
    S: Service<DirectoryEvent> + Send,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send,
    S::Response: Send,
    S::Future: Send,
    C: CursorStore,
    C::Error: Send,
{
    /// Delivers all events that are older than the [margin](Self::margin).
    ///
    /// # Errors
    ///
    /// If the API, the service or the store fails. The next call continues after the last event that was handled.
    pub async fn drain(&mut self) -> Result<Drain, PollError> {
        let mut never = pin!(never());
        self.drain_unless(&mut Stop::new(never.as_mut())).await
    }

    /// Drains the stream again and again, with a pause of `interval`, until `shutdown` completes.
    ///
    /// A temporary failure is logged, and the stream is drained again after the interval. After `shutdown`, a call of the
    /// service that is under way is completed, and the position is stored.
    ///
    /// # Errors
    ///
    /// A failure that is not temporary: see [`PollError::is_temporary`].
    pub async fn run(
        mut self,
        interval: Duration,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), PollError> {
        let mut shutdown = pin!(shutdown);
        let mut stop = Stop::new(shutdown.as_mut());
        let mut health = Health::new();
        loop {
            match self.drain_unless(&mut stop).await {
                Ok(drain) => {
                    health.succeeded(&drain);
                    (self.on_drain)(&drain);
                }
                Err(error) => health.failed(error)?,
            }
            if stop.unless(sleep(interval)).await.is_none() {
                return Ok(());
            }
        }
    }

    async fn drain_unless<F: Future<Output = ()> + Send>(
        &mut self,
        stop: &mut Stop<'_, F>,
    ) -> Result<Drain, PollError> {
        Draining::new(&self.api, &self.settings, &mut self.sink, stop).run().await
    }
}

impl<S, C> fmt::Debug for ServicePoller<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServicePoller").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct ServiceSink<S, C> {
    service: S,
    store: C,
    on_unreadable: Arc<dyn Fn(&ParseError) + Send + Sync>,
}

impl<S, C> Sink for ServiceSink<S, C>
where
    S: Service<DirectoryEvent> + Send,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send,
    S::Response: Send,
    S::Future: Send,
    C: CursorStore,
    C::Error: Send,
{
    async fn load(&mut self) -> Result<Option<EventsCursor>, PollError> {
        self.store.load().await.map_err(PollError::store)
    }

    async fn handle<F: Future<Output = ()> + Send>(
        &mut self,
        from: Option<&EventsCursor>,
        entries: Vec<Entry>,
        to: &EventsCursor,
        stop: &mut Stop<'_, F>,
    ) -> Result<Option<Handled>, PollError> {
        let mut handled = Handled { events: 0, letters: 0, is_whole: true };
        let mut failure = None;
        let mut reached = from.cloned();
        for entry in entries {
            if stop.is_requested().await {
                handled.is_whole = false;
                break;
            }
            match &entry.body {
                Ok(event) => {
                    if let Err(error) = self.deliver(event.clone()).await {
                        failure = Some(PollError::service(event.id(), error));
                        handled.is_whole = false;
                        break;
                    }
                    handled.events += 1;
                }
                Err(error) => {
                    tracing::warn!(target: "tower_workos_mirror::poller", %error, "an event can't be read");
                    (self.on_unreadable)(error);
                    handled.letters += 1;
                }
            }
            if let Some(cursor) = &mut reached {
                cursor.advance(&entry);
            }
        }
        let reached = if handled.is_whole { Some(to) } else { reached.as_ref() };
        let mut is_ours = true;
        if let Some(reached) = reached.filter(|it| Some(*it) != from) {
            is_ours = self.store.compare_and_set(from, reached).await.map_err(PollError::store)?;
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(is_ours.then_some(handled)),
        }
    }
}

impl<S, C> ServiceSink<S, C>
where
    S: Service<DirectoryEvent>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
{
    async fn deliver(&mut self, event: DirectoryEvent) -> Result<(), Box<dyn Error + Send + Sync>> {
        poll_fn(|cx| self.service.poll_ready(cx)).await.map_err(Into::into)?;
        self.service.call(event).await.map(drop).map_err(Into::into)
    }
}
