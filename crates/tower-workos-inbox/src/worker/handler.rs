//! One attempt to handle an item, for any engine.

use std::{
    error::Error,
    future::poll_fn,
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
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
    S: Service<Job<T>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn handle(self: Arc<Self>, delivery: Delivery) -> BoxFuture<'static, Outcome> {
        Box::pin(async move {
            let (key, name) = (delivery.key.clone(), delivery.name.clone());
            let attempts = delivery.attempts;
            let outcome = self.attempt(delivery).await;
            let label = match &outcome {
                Outcome::Done => "done",
                Outcome::Retry { .. } => "retry",
                Outcome::Dead { .. } => "dead",
            };
            metrics::job(&self.queue, label);
            let queue = &self.queue;
            // The error can contain personal data: `dead_letters` shows it.
            match &outcome {
                Outcome::Done => tracing::debug!(
                    target: "tower_workos_inbox::worker", queue, key, name, attempts, "handled"
                ),
                Outcome::Retry { after, .. } => tracing::warn!(
                    target: "tower_workos_inbox::worker", queue, key, name, attempts, ?after,
                    "the handler failed: trying again"
                ),
                Outcome::Dead { .. } => tracing::error!(
                    target: "tower_workos_inbox::worker", queue, key, name, attempts,
                    "the item can't be handled: kept as a dead letter"
                ),
            }
            outcome
        })
    }
}

impl<T, S> Handler<T, S>
where
    T: Payload,
    S: Service<Job<T>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Waits until this is the only suspect that runs, in a random order.
    async fn alone(&self) -> Option<SemaphorePermit<'_>> {
        let random = getrandom::u32().unwrap_or(0);
        sleep(SHUFFLE.mul_f64(f64::from(random) / f64::from(u32::MAX))).await;
        let mut cancelled = self.cancelled.clone();
        select! {
            // Never closed.
            permit = self.suspects.acquire() => permit.ok(),
            _ = cancelled.wait_for(|it| *it) => None,
        }
    }

    async fn attempt(&self, delivery: Delivery) -> Outcome {
        let Delivery { key, body, attempts, cut_short, stored_at, claim, .. } = delivery;
        let age = age(stored_at);
        let _suspect = if cut_short > 0 { self.alone().await } else { None };
        if cut_short > 0 && self.retry.is_last(attempts - 1, age) {
            let error = "the process ended each time while it handled the item".to_owned();
            return Outcome::Dead { error };
        }
        let item = match serde_json::from_slice(&body) {
            Ok(item) => item,
            Err(error) => {
                let error = format!("this version can't read the item: {error}");
                return Outcome::Dead { error };
            }
        };
        let job = Job::new(item, key, attempts, stored_at, claim);
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
                result = call => Some(result.map(|_| ())),
                // The sender is dropped with the worker.
                _ = cancelled.wait_for(|it| *it) => None,
            }
        });
        let (class, error) = match call.join_next().await.unwrap_or(Ok(None)) {
            Ok(Some(Ok(()))) => return Outcome::Done,
            Ok(Some(Err(error))) => {
                let error: Box<dyn Error + Send + Sync> = error;
                classify(&*error)
            }
            Ok(None) => {
                let error = "the worker was stopped".to_owned();
                return Outcome::Retry { after: Duration::ZERO, error };
            }
            Err(_) => (Class::Transient(None), "the handler panicked".to_owned()),
        };
        match class {
            Class::Permanent => Outcome::Dead { error },
            Class::Transient(_) if self.retry.is_last(attempts, age) => Outcome::Dead { error },
            Class::Transient(Some(after)) => Outcome::Retry { after, error },
            Class::Transient(None) => {
                let random = getrandom::u32().unwrap_or(0);
                Outcome::Retry { after: self.retry.after(attempts, random), error }
            }
        }
    }
}
