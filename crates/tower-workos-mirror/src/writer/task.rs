//! The task that writes.

use std::{
    any::Any,
    collections::HashMap,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    slice,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tower_workos::EventId;

use crate::{
    apply::apply,
    change::Change,
    dead_letter::letter::{self, Letter},
    error::{MirrorError, MirrorErrorKind},
    metrics,
    mirror::Shared,
    sql::transaction::{Ended, Transaction},
    text::id,
    writer::{Done, Request, Work, begin, chores::Chores, deadline, within},
};

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a request that fails inside a transaction is attempted. It is small because other requests wait.
const ATTEMPTS: u32 = 3;
/// How long a rollback may take. After that, the connection is closed.
const ROLLBACK: Duration = Duration::from_millis(500);

pub(super) struct Task {
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Request>,
    /// The batch.
    requests: Vec<Request>,
    /// The connection of the last batch, while the queue is not empty.
    idle: Option<Ended>,
    chores: Chores,
    /// Whether the last attempt to begin a transaction failed, so that only the first failure is logged.
    is_failing: bool,
}

enum Failure {
    /// Nothing was done.
    Begin(MirrorError),
    /// The transaction was rolled back, or it is unknown whether it was committed.
    Inside(MirrorError),
}

impl Task {
    pub(super) fn new(shared: Arc<Shared>, queue: mpsc::Receiver<Request>) -> Self {
        Self {
            shared,
            queue,
            requests: Vec::new(),
            idle: None,
            chores: Chores::default(),
            is_failing: false,
        }
    }

    /// Serves requests until the last mirror is dropped and the queue is empty.
    pub(super) async fn run(mut self) {
        while let Some(first) = self.next().await {
            // The sender of a late request has given up. After an outage, the queue may be full of such requests.
            if !first.is_late() {
                self.requests.push(first);
                self.serve().await;
            }
        }
    }

    /// Waits for the next request. While there is none, does what is left of the upkeep.
    async fn next(&mut self) -> Option<Request> {
        while self.chores.is_due(!self.queue.is_empty()) && !self.queue.is_closed() {
            self.idle = None;
            let chores = self.chores.perform(&self.shared);
            let chores = async {
                chores.await;
                Ok(())
            };
            // A panic is ignored: the chores remember when they began, and try again later.
            let _ = caught(chores).await.is_ok();
        }
        if let Ok(next) = self.queue.try_recv() {
            return Some(next);
        }
        self.idle = None;
        self.queue.recv().await
    }

    /// Applies the batch in one transaction. If that fails, applies each request in a transaction of its own.
    async fn serve(&mut self) {
        while !self.requests.is_empty() {
            let result = caught(self.together()).await;
            self.log(&result);
            match result {
                Ok(()) => {}
                Err(Failure::Begin(_)) => {
                    sleep(PAUSE).await;
                    self.requests.retain(|request| !request.is_late());
                }
                Err(Failure::Inside(_)) => {
                    for request in mem::take(&mut self.requests) {
                        alone(&self.shared, request).await;
                    }
                }
            }
        }
    }

    /// Begins a transaction, then takes all waiting requests: more have arrived while this task waited for the lock.
    async fn together(&mut self) -> Result<(), Failure> {
        let start = Instant::now();
        // Not the deadline of the first request: later requests would have to begin again if it passed.
        let deadline = deadline(self.shared.settings.timeout);
        let idle = self.idle.take();
        let transaction = begin(&self.shared, idle, deadline).await.map_err(Failure::Begin)?;
        while self.requests.len() < self.shared.settings.batch {
            let Ok(request) = self.queue.try_recv() else { break };
            self.requests.push(request);
        }
        metrics::queue_depth(self.queue.len());
        let works: Vec<_> = self.requests.iter().map(|request| request.work.clone()).collect();
        let (changes, ended) =
            store(&self.shared, transaction, &works).await.map_err(Failure::Inside)?;
        self.idle = Some(ended);
        self.chores.committed(&changes);
        metrics::batch(start.elapsed());
        let mut changes = by_event(changes);
        for request in self.requests.drain(..) {
            let done = request.work.done(&mut changes);
            request.answer(Ok(done));
        }
        Ok(())
    }

    fn log(&mut self, result: &Result<(), Failure>) {
        match result {
            Err(Failure::Begin(_)) if self.is_failing => {}
            Err(Failure::Begin(error)) => {
                self.is_failing = true;
                let error = error.without_payload();
                tracing::warn!(target: "tower_workos_mirror::writer", %error, "events can't be applied");
            }
            Err(Failure::Inside(error)) => {
                let (error, count) = (error.without_payload(), self.requests.len());
                tracing::warn!(
                    target: "tower_workos_mirror::writer", %error, count,
                    "a batch failed: its events are applied one by one"
                );
            }
            Ok(()) if self.is_failing => {
                self.is_failing = false;
                tracing::info!(target: "tower_workos_mirror::writer", "events are applied again");
            }
            Ok(()) => {}
        }
    }
}

/// Applies one request. If the database can't store the event, keeps it as a dead letter.
async fn alone(shared: &Shared, mut request: Request) {
    let mut attempts = 0;
    while !request.is_late() {
        let start = Instant::now();
        let attempt = async {
            let transaction =
                begin(shared, None, request.deadline).await.map_err(Failure::Begin)?;
            let works = slice::from_ref(&request.work);
            store(shared, transaction, works).await.map_err(Failure::Inside)
        };
        let error = match caught(attempt).await {
            Ok((changes, _)) => {
                metrics::batch(start.elapsed());
                let done = request.work.done(&mut by_event(changes));
                return request.answer(Ok(done));
            }
            Err(Failure::Begin(_)) => {
                sleep(PAUSE).await;
                continue;
            }
            Err(Failure::Inside(error)) => error,
        };
        attempts += 1;
        match (error.kind(), &request.work) {
            (MirrorErrorKind::Data, Work::Event(event)) => {
                request.work = Work::Letter(Letter::of_event(event, error.without_payload()));
            }
            (MirrorErrorKind::Database, _) if attempts < ATTEMPTS => sleep(PAUSE).await,
            _ => return request.answer(Err(error)),
        }
    }
}

/// Applies the events and stores the letters.
async fn store(
    shared: &Shared,
    mut transaction: Transaction,
    works: &[Work],
) -> Result<(Vec<Change>, Ended), MirrorError> {
    let deadline = deadline(shared.settings.timeout);
    let mut events = Vec::with_capacity(works.len());
    let mut letters = Vec::new();
    for work in works {
        match work {
            Work::Event(event) => events.push(event.clone()),
            Work::Letter(letter) => letters.push(letter),
        }
    }
    let mut conn = transaction.conn();
    let writing = async {
        let changes = match events.as_slice() {
            [] => Vec::new(),
            events => apply(&mut conn, shared, events).await?,
        };
        for letter in letters {
            letter::insert(&mut conn, &shared.names, letter).await?;
        }
        Ok::<_, MirrorError>(changes)
    };
    match within(deadline, writing).await {
        Ok(changes) => {
            let ended = within(deadline, async {
                transaction.commit().await.map_err(MirrorError::at_commit)
            })
            .await?;
            shared.committed(&changes);
            Ok((changes, ended))
        }
        Err(error) => {
            // If the rollback fails, dropping the transaction closes the connection.
            let _ = within(self::deadline(ROLLBACK), transaction.rollback()).await.is_ok();
            Err(error)
        }
    }
}

impl Work {
    /// Returns the outcome in a transaction with these changes. If an event occurs twice in a batch, only one
    /// occurrence gets the changes.
    fn done(&self, changes: &mut HashMap<EventId, Vec<Change>>) -> Done {
        match self {
            Self::Event(event) => {
                let id = EventId::from(id(event.id().as_str()).into_owned());
                let changes = changes.remove(&id).unwrap_or_default();
                metrics::event(event, &changes);
                Done::Applied(changes)
            }
            Self::Letter(_) => {
                metrics::applied(self.name(), metrics::DEAD_LETTER);
                Done::DeadLetter
            }
        }
    }
}

impl Request {
    fn is_late(&self) -> bool {
        self.deadline <= Instant::now()
    }

    fn answer(self, result: Result<Done, MirrorError>) {
        // The receiver may have been dropped.
        let _ = self.reply.send(result).is_ok();
    }
}

fn by_event(changes: Vec<Change>) -> HashMap<EventId, Vec<Change>> {
    let mut by_event: HashMap<_, Vec<_>> = HashMap::new();
    for change in changes {
        if let Some(id) = change.event_id.clone() {
            by_event.entry(id).or_default().push(change);
        }
    }
    by_event
}

/// Turns a panic into an error. A panic in the database's driver or in the rules must not end the task: the requests
/// that are waiting would fail with it.
async fn caught<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        let poll = || future.as_mut().poll(cx);
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(poll) => poll,
            Err(panic) => {
                // The message could contain anything, and the panic hook has already shown it.
                let _: Box<dyn Any + Send> = panic;
                let hint = "a panic interrupted the transaction";
                let error = MirrorError::new(MirrorErrorKind::Database, hint);
                Poll::Ready(Err(Failure::Inside(error)))
            }
        }
    })
    .await
}
