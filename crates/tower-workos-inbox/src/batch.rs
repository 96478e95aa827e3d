//! Stores items that arrive at the same time together.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc, oneshot},
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    engine::Engine,
    error::{InboxError, InboxErrorKind},
    payload::Item,
    queue::Stored,
};

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    /// How many items can wait.
    pub(crate) queue: usize,
    pub(crate) batch: usize,
}

struct Request {
    item: Item,
    deadline: Instant,
    reply: oneshot::Sender<Result<Stored, InboxError>>,
}

/// The queue of the task that stores. The task is spawned when it is first needed, and again if it has ended because its
/// runtime ended.
pub(crate) struct Writer {
    engine: Engine,
    limits: Limits,
    /// Notified after something new was stored.
    wake: Arc<Notify>,
    sender: Mutex<Option<mpsc::Sender<Request>>>,
}

impl Writer {
    pub(crate) fn new(engine: Engine, limits: Limits, wake: Arc<Notify>) -> Self {
        Self { engine, limits, wake, sender: Mutex::default() }
    }

    /// Stores an item with everything else that is waiting, and waits until it is durable.
    pub(crate) async fn store(&self, item: Item) -> Result<Stored, InboxError> {
        let now = Instant::now();
        // The longest time that tokio itself waits.
        let deadline = now
            .checked_add(self.limits.timeout)
            .unwrap_or(now + Duration::from_secs(30 * 365 * 24 * 60 * 60));
        let (reply, answer) = oneshot::channel();
        self.send(Request { item, deadline, reply })?;
        match timeout_at(deadline, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(InboxError::storage("the task that stores items ended")),
            Err(_) => Err(late()),
        }
    }

    fn send(&self, request: Request) -> Result<(), InboxError> {
        // Nothing panics while the mutex is locked.
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let open = sender.take().filter(|sender| !sender.is_closed());
        let open = match open {
            Some(open) => open,
            None => self.spawn()?,
        };
        sender.insert(open).try_send(request).map_err(|_| {
            InboxError::new(InboxErrorKind::Overloaded, "too many items are waiting to be stored")
        })
    }

    fn spawn(&self) -> Result<mpsc::Sender<Request>, InboxError> {
        let runtime = Handle::try_current().map_err(|error| {
            InboxError::storage("the queue needs a tokio runtime").caused(error)
        })?;
        let (sender, receiver) = mpsc::channel(self.limits.queue);
        let task = Task {
            engine: self.engine.clone(),
            batch: self.limits.batch,
            timeout: self.limits.timeout,
            wake: Arc::clone(&self.wake),
            receiver,
            is_failing: false,
        };
        runtime.spawn(task.run());
        Ok(sender)
    }
}

struct Task {
    engine: Engine,
    batch: usize,
    timeout: Duration,
    wake: Arc<Notify>,
    receiver: mpsc::Receiver<Request>,
    /// Whether the last attempt failed, so that only the first failure is logged.
    is_failing: bool,
}

impl Task {
    /// Serves requests until the last queue is dropped and nothing is waiting.
    async fn run(mut self) {
        let mut requests = Vec::new();
        while self.receiver.recv_many(&mut requests, self.batch).await > 0 {
            // Their senders have given up. After an outage, the channel may be full of them.
            requests.retain(|request| request.deadline > Instant::now());
            while !requests.is_empty() {
                let items: Vec<_> = requests.iter().map(|request| request.item.clone()).collect();
                match self.attempt(items).await {
                    Ok(stored) => {
                        if stored.contains(&Stored::New) {
                            self.wake.notify_one();
                        }
                        for (request, stored) in requests.drain(..).zip(stored) {
                            request.answer(Ok(stored));
                        }
                    }
                    Err(error) => self.failed(&mut requests, &error).await,
                }
            }
        }
    }

    async fn attempt(&mut self, items: Vec<Item>) -> Result<Vec<Stored>, InboxError> {
        let engine = self.engine.clone();
        // In a task of its own: a panic in a driver must not end this one, because the requests that wait would fail, too.
        let mut storing = tokio::spawn(async move { engine.store(&items).await });
        let Ok(result) = timeout(self.timeout, &mut storing).await else {
            storing.abort();
            return Err(late());
        };
        let stored = result
            .unwrap_or_else(|error| Err(InboxError::storage("storing panicked").caused(error)))?;
        if self.is_failing {
            self.is_failing = false;
            tracing::info!(target: "tower_workos_inbox::store", "items are stored again");
        }
        Ok(stored)
    }

    /// Keeps the requests that have time for another attempt. Storing an item again is safe.
    async fn failed(&mut self, requests: &mut Vec<Request>, error: &InboxError) {
        if !self.is_failing {
            self.is_failing = true;
            let error = error.without_payload();
            tracing::warn!(target: "tower_workos_inbox::store", %error, "items can't be stored");
        }
        sleep(PAUSE).await;
        let is_hopeless = error.kind() != InboxErrorKind::Storage;
        for request in std::mem::take(requests) {
            if !is_hopeless && request.deadline > Instant::now() {
                requests.push(request);
            } else {
                let error = InboxError::new(error.kind(), error.without_payload());
                request.answer(Err(error));
            }
        }
    }
}

impl Request {
    fn answer(self, result: Result<Stored, InboxError>) {
        // The receiver may have been dropped.
        let _ = self.reply.send(result).is_ok();
    }
}

fn late() -> InboxError {
    InboxError::storage("the queue's storage did not confirm this in time")
}
