//! Applies events that arrive at the same time in one transaction.

mod chores;
mod task;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};
use tower_workos::DirectoryEvent;

use crate::{
    change::Change,
    dead_letter::letter::Letter,
    error::{MirrorError, MirrorErrorKind},
    metrics,
    mirror::{Mirror, Shared},
    sql::transaction::{Ended, Transaction},
    writer::task::Task,
};

/// Something to store.
#[derive(Clone)]
pub(crate) enum Work {
    Event(DirectoryEvent),
    Letter(Letter),
}

impl Work {
    /// The event's name, if it is known.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Event(event) => Some(event.name()),
            Self::Letter(letter) => letter.name.as_deref(),
        }
    }
}

/// What was committed.
#[derive(Debug)]
pub(crate) enum Done {
    Applied(Vec<Change>),
    /// It was stored in the table of dead letters.
    DeadLetter,
}

struct Request {
    work: Work,
    deadline: Instant,
    reply: oneshot::Sender<Result<Done, MirrorError>>,
}

/// The queue of the task that writes. The task is spawned when it is first needed, and again if it has ended because its
/// runtime ended or it panicked.
#[derive(Default)]
pub(crate) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Request>>>,
}

impl Mirror {
    /// Stores something in a transaction that it shares with everything else that is waiting, and waits for the commit.
    pub(crate) async fn submit(&self, work: Work) -> Result<Done, MirrorError> {
        let result = self.queued(work.clone()).await;
        if result.is_err() {
            metrics::applied(work.name(), metrics::FAILED);
        }
        result
    }

    async fn queued(&self, work: Work) -> Result<Done, MirrorError> {
        let deadline = deadline(self.shared.settings.timeout);
        let (reply, answer) = oneshot::channel();
        self.writer.send(&self.shared, Request { work, deadline, reply })?;
        match timeout_at(deadline, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) if Instant::now() < deadline => {
                let hint = "the task that applies events ended before it answered";
                Err(MirrorError::new(MirrorErrorKind::Database, hint))
            }
            Ok(Err(_)) | Err(_) => Err(late()),
        }
    }
}

impl Writer {
    fn send(&self, shared: &Arc<Shared>, request: Request) -> Result<(), MirrorError> {
        // Nothing panics while the mutex is locked.
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let open = queue.take().filter(|sender| !sender.is_closed());
        let sender = match open {
            Some(sender) => sender,
            None => spawn(shared)?,
        };
        let sender = queue.insert(sender);
        let sent = sender.try_send(request);
        metrics::queue_depth(sender.max_capacity() - sender.capacity());
        sent.map_err(|_| {
            let hint = "too many deliveries are waiting to be applied";
            MirrorError::new(MirrorErrorKind::Overloaded, hint)
        })
    }
}

fn spawn(shared: &Arc<Shared>) -> Result<mpsc::Sender<Request>, MirrorError> {
    let runtime = Handle::try_current().map_err(|error| {
        MirrorError::new(MirrorErrorKind::Database, "the mirror needs a tokio runtime")
            .caused(error)
    })?;
    let (sender, receiver) = mpsc::channel(shared.settings.queue);
    runtime.spawn(Task::new(Arc::clone(shared), receiver).run());
    Ok(sender)
}

/// Returns the time after this duration.
pub(crate) fn deadline(after: Duration) -> Instant {
    let now = Instant::now();
    // The longest time that tokio itself waits.
    now.checked_add(after).unwrap_or(now + Duration::from_secs(30 * 365 * 24 * 60 * 60))
}

/// Begins a transaction, with the lock, before the deadline.
pub(crate) async fn begin(
    shared: &Shared,
    reuse: Option<Ended>,
    deadline: Instant,
) -> Result<Transaction, MirrorError> {
    let patience = deadline.saturating_duration_since(Instant::now());
    let Shared { pool, names, .. } = shared;
    within(deadline, Transaction::begin_again(pool, reuse, names, patience)).await
}

/// Runs part of a transaction. If it is not done before the deadline, the transaction has to be dropped.
pub(crate) async fn within<T, E>(
    deadline: Instant,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, MirrorError>
where
    MirrorError: From<E>,
{
    timeout_at(deadline, future).await.map_err(|_| late())?.map_err(MirrorError::from)
}

fn late() -> MirrorError {
    MirrorError::new(MirrorErrorKind::Database, "the database did not confirm this in time")
}
