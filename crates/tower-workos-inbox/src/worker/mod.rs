//! Runs a handler for each item.

mod handler;
pub(crate) mod items;
pub(crate) mod retry;

use std::{error::Error, fmt, pin::pin, sync::Arc, time::Duration};

use tokio::{
    select,
    sync::watch,
    time::{MissedTickBehavior, interval, sleep},
};
use tower_service::Service;

use crate::{
    engine::Run,
    error::InboxError,
    job::Job,
    metrics,
    payload::Payload,
    queue::Queue,
    worker::{handler::Handler, items::Items, retry::Retry},
};

/// How often the gauges are set.
const FIGURES: Duration = Duration::from_secs(10);
/// How often old keys are forgotten.
const PURGE: Duration = Duration::from_secs(60 * 60);

/// Runs a service for each item of a queue: see [`Queue::worker`].
#[must_use = "a worker does nothing until it runs"]
pub struct Worker<T, S> {
    queue: Queue<T>,
    service: S,
    retry: Retry,
    concurrency: usize,
    lease: Duration,
    grace: Option<Duration>,
}

impl<T: Payload> Queue<T> {
    /// Returns a worker that calls this service once for each item, and again for each item for which it fails.
    ///
    /// The service can be any tower service, such as a [`service_fn`] or a stack with layers of tower: time-outs, limits
    /// and so on. An item is only passed to it after [`poll_ready`](Service::poll_ready), so a service that is not ready
    /// makes the worker wait. Each item gets a clone of the service. (`ServiceBuilder::rate_limit` is not `Clone`: add `buffer` outside
    /// it.)
    ///
    /// - If it returns `Ok`, the item is done.
    /// - If it returns an error or panics, the item is delivered again: see [`Retry`]. The others don't wait for it.
    /// - If the error is [`Permanent`](crate::Permanent), the item becomes a [dead letter](crate::DeadLetter).
    ///
    /// An item whose process was killed is delivered again, so the handler must be idempotent, or use
    /// [`job_worker`](Self::job_worker) with [`Job::complete_in`]. Items are not handled in order.
    ///
    /// ```no_run
    /// # #[cfg(feature = "sqlite")]
    /// # async fn doc() -> Result<(), tower_workos_inbox::InboxError> {
    /// use std::time::Duration;
    ///
    /// use tower::{ServiceBuilder, service_fn};
    /// use tower_workos::DirectoryEvent;
    /// use tower_workos_inbox::Inbox;
    ///
    /// let inbox = Inbox::connect("sqlite:app.db").await?;
    /// inbox.migrate().await?;
    /// let handler = ServiceBuilder::new()
    ///     .timeout(Duration::from_secs(30))
    ///     .service(service_fn(async |event: DirectoryEvent| {
    ///         println!("{} {}", event.name(), event.id());
    ///         Ok::<_, std::io::Error>(())
    ///     }));
    /// let stop = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    /// inbox.worker(handler).run_until(stop).await
    /// # }
    /// ```
    ///
    /// [`service_fn`]: https://docs.rs/tower/latest/tower/fn.service_fn.html
    pub fn worker<S>(&self, service: S) -> Worker<T, Items<S>>
    where
        S: Service<T, Response = ()> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        self.job_worker(Items::new(service))
    }

    /// Like [`worker`](Self::worker), for a service that gets the [`Job`]: with the number of the attempt, and with a way to
    /// complete it in a transaction of the application.
    pub fn job_worker<S>(&self, service: S) -> Worker<T, S>
    where
        S: Service<Job<T>, Response = ()> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Worker {
            queue: self.clone(),
            service,
            retry: Retry::default(),
            concurrency: 16,
            lease: Duration::from_secs(30),
            grace: None,
        }
    }
}

impl<T, S> Worker<T, S> {
    /// How many items are handled at the same time at most. Default: 16.
    pub fn concurrency(mut self, items: usize) -> Self {
        self.concurrency = items.clamp(1, 10_000);
        self
    }

    /// When a failed item is attempted again.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// After how long the items of a process that was killed are delivered again. It is renewed while an item is being handled, so
    /// a handler may take longer; but a handler that blocks its thread for longer may be run twice at the same time. All workers of a
    /// queue must have the same. At least 1 s, and at most a day. Default: 30 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.clamp(Duration::from_secs(1), Duration::from_secs(24 * 60 * 60));
        self
    }

    /// How long handlers may run after the shutdown began. Then they are dropped, and their items are delivered again.
    /// Default: until they return.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }
}

impl<T, S> Worker<T, S>
where
    T: Payload,
    S: Service<Job<T>, Response = ()> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Handles items until `shutdown` is ready, then returns after the handlers that are running have returned. If the
    /// future is dropped, nothing is lost: their items are delivered again.
    ///
    /// Any number of processes can run workers of the same queue. They share the items. If the database or the broker
    /// fails, the worker tries again until it works.
    ///
    /// # Errors
    ///
    /// If trying again is useless: the queue was not [migrated](Queue::migrate).
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), InboxError> {
        let Self { queue, service, retry, concurrency, lease, grace } = self;
        let (stop, stopping) = watch::channel(false);
        let (cancel, cancelled) = watch::channel(false);
        let handle = Handler::new(queue.name().to_owned(), service, retry, cancelled);
        let run = Run {
            handle: Arc::new(handle),
            concurrency,
            lease,
            wake: queue.shared_wake(),
            stop: stopping,
        };
        let mut running = pin!(queue.engine().run(run));
        select! {
            result = &mut running => return result,
            () = shutdown => {}
            // Dropped at the shutdown, so that it does not keep a connection.
            () = chores(&queue) => {}
        }
        // The receivers may be gone.
        let _ = stop.send(true).is_ok();
        let limit = async {
            match grace {
                Some(grace) => sleep(grace).await,
                None => std::future::pending().await,
            }
        };
        select! {
            result = &mut running => return result,
            () = limit => {}
        }
        let _ = cancel.send(true).is_ok();
        running.await
    }
}

/// Sets the gauges, and forgets old keys. Never returns.
async fn chores<T: Payload>(queue: &Queue<T>) {
    let mut figures = interval(FIGURES);
    let mut purge = interval(PURGE);
    figures.set_missed_tick_behavior(MissedTickBehavior::Delay);
    purge.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        select! {
            _ = figures.tick(), if cfg!(feature = "metrics") => {
                if let Ok(status) = queue.status().await {
                    metrics::status(queue.name(), &status);
                }
            }
            _ = purge.tick() => {
                if let Err(error) = queue.purge().await {
                    let error = error.without_payload();
                    tracing::warn!(target: "tower_workos_inbox::worker", %error, "old keys can't be purged: trying again in an hour");
                }
            }
        }
    }
}

impl<T, S> fmt::Debug for Worker<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("queue", &self.queue)
            .field("retry", &self.retry)
            .field("concurrency", &self.concurrency)
            .field("lease", &self.lease)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}
