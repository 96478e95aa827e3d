//! One attempt to handle an item, for any engine.

use std::{
    error::Error,
    future::poll_fn,
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::{
    select,
    sync::{Semaphore, SemaphorePermit, watch},
    task::JoinSet,
    time::sleep,
};
use tower_service::Service;

use crate::{
    engine::{BoxFuture, Delivery, Handle, Outcome},
    job::Job,
    metrics,
    payload::Payload,
    time::age,
    worker::retry::{Class, Retry, classify},
};

/// The longest wait of an item whose process ended before.
const SHUFFLE: Duration = Duration::from_millis(200);

/// How long such an item waits for another one at most.
const PATIENCE: Duration = Duration::from_secs(5);
/// The wait after a transaction that was not committed, which is a bug of the handler.
const UNCOMMITTED: Duration = Duration::from_secs(60);

pub(super) struct Handler<T, S> {
    queue: String,
    /// Locked only to clone it, so that it need not be `Sync`.
    service: Mutex<S>,
    retry: Retry,
    /// Lets items whose process ended before run one at a time, so that the one that is to blame does not end the process for
    /// the others, too.
    suspects: Semaphore,
    /// Becomes `true` when the handlers have to end.
    cancelled: watch::Receiver<bool>,
    payload: PhantomData<fn() -> T>,
}

impl<T, S> Handler<T, S> {
    pub(super) fn new(
        queue: String,
        service: S,
        retry: Retry,
        cancelled: watch::Receiver<bool>,
    ) -> Self {
        let suspects = Semaphore::new(1);
        let service = Mutex::new(service);
        Self { queue, service, retry, suspects, cancelled, payload: PhantomData }
    }
}

impl<T, S> Handle for Handler<T, S>
where
    T: Payload,
    S: Service<Job<T>, Response = ()> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn handle(self: Arc<Self>, delivery: Delivery) -> BoxFuture<'static, Outcome> {
        Box::pin(async move {
            let (key, name) = (delivery.key.clone(), delivery.name.clone());
            let attempts = delivery.attempts;
            let end = self.attempt(delivery).await;
            metrics::job(&self.queue, end.label());
            let queue = &self.queue;
            // The error can contain personal data: `dead_letters` shows it.
            match &end {
                End::Done | End::Completed => tracing::debug!(
                    target: "tower_workos_inbox::worker", queue, key, name, attempts, "handled"
                ),
                End::Stopped => tracing::warn!(
                    target: "tower_workos_inbox::worker", queue, key, name, attempts,
                    "the worker stopped before the handler returned: the item is delivered again"
                ),
                End::Failed { after, .. } => tracing::warn!(
                    target: "tower_workos_inbox::worker", queue, key, name, attempts, ?after,
                    "the handler failed: trying again"
                ),
                End::Dead { .. } => tracing::error!(
                    target: "tower_workos_inbox::worker", queue, key, name, attempts,
                    "the item can't be handled: kept as a dead letter"
                ),
            }
            end.into()
        })
    }
}

/// What became of an attempt.
enum End {
    Done,
    /// The handler says that its transaction has ended the job.
    Completed,
    Stopped,
    Failed {
        after: Duration,
        error: String,
    },
    Dead {
        error: String,
    },
}

impl End {
    fn label(&self) -> &'static str {
        match self {
            Self::Done | Self::Completed => "done",
            Self::Stopped => "stopped",
            Self::Failed { .. } => "retry",
            Self::Dead { .. } => "dead",
        }
    }
}

impl From<End> for Outcome {
    fn from(end: End) -> Self {
        let retry = |after, error: &str| Self::Retry { after, error: error.to_owned() };
        match end {
            End::Done => Self::Done,
            // This changes nothing if the transaction was committed: then the claim has ended.
            End::Completed => retry(
                UNCOMMITTED,
                "the handler returned `Ok`, but its transaction with `complete_in` was not committed",
            ),
            End::Stopped => retry(Duration::ZERO, "the worker was stopped"),
            End::Failed { after, error } => Self::Retry { after, error },
            End::Dead { error } => Self::Dead { error },
        }
    }
}

impl<T, S> Handler<T, S>
where
    T: Payload,
    S: Service<Job<T>, Response = ()> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Waits for some time until this is the only suspect that runs, in a random order.
    async fn alone(&self) -> Option<SemaphorePermit<'_>> {
        let random = getrandom::u32().unwrap_or(0);
        sleep(SHUFFLE.mul_f64(f64::from(random) / f64::from(u32::MAX))).await;
        let mut cancelled = self.cancelled.clone();
        select! {
            // Never closed.
            permit = self.suspects.acquire() => permit.ok(),
            // The other one may hang, and must not stop everything.
            () = sleep(PATIENCE) => None,
            _ = cancelled.wait_for(|it| *it) => None,
        }
    }

    async fn attempt(&self, delivery: Delivery) -> End {
        let Delivery { key, body, attempts, cut_short, stored_at, claim, .. } = delivery;
        let age = age(stored_at);
        let _suspect = if cut_short > 0 { self.alone().await } else { None };
        if self.retry.is_over(attempts, age, cut_short > 0) {
            let error = "the process ended while it handled the item".to_owned();
            return End::Dead { error };
        }
        let item = match serde_json::from_slice(&body) {
            Ok(item) => item,
            Err(error) => {
                let error = format!("this version can't read the item: {error}");
                return End::Dead { error };
            }
        };
        let job = Job::new(item, key, attempts, stored_at, claim);
        let is_completed = job.is_completed();
        let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut cancelled = self.cancelled.clone();
        // In a task of its own, so that a panic is an error. The set aborts it when this future is dropped.
        let mut call = JoinSet::new();
        call.spawn(async move {
            let call = async {
                poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
                service.call(job).await.map_err(Into::into)
            };
            select! {
                result = call => Some(result),
                // The sender is dropped with the worker.
                _ = cancelled.wait_for(|it| *it) => None,
            }
        });
        let (class, error) = match call.join_next().await.unwrap_or(Ok(None)) {
            Ok(Some(Ok(()))) if is_completed.load(Ordering::Relaxed) => return End::Completed,
            Ok(Some(Ok(()))) => return End::Done,
            Ok(Some(Err(error))) => {
                let error: Box<dyn Error + Send + Sync> = error;
                classify(&*error)
            }
            Ok(None) => return End::Stopped,
            Err(_) => (Class::Transient(None), "the handler panicked".to_owned()),
        };
        match class {
            Class::Permanent => End::Dead { error },
            Class::Transient(_) if self.retry.is_last(attempts, age) => End::Dead { error },
            Class::Transient(Some(after)) => {
                End::Failed { after: after.min(self.retry.longest()), error }
            }
            Class::Transient(None) => {
                let random = getrandom::u32().unwrap_or(0);
                End::Failed { after: self.retry.after(attempts, random), error }
            }
        }
    }
}
