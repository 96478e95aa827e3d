//! The queue.

use std::{fmt, marker::PhantomData, sync::Arc};

use tokio::sync::Notify;
use tower_workos::{DirectoryEvent, ParseError, Timestamp};

use crate::{
    backend::{Backend, QueueTransaction},
    batch::{Limits, Writer},
    builder::QueueBuilder,
    engine::Engine,
    error::InboxError,
    metrics,
    payload::{Item, Payload},
    status::QueueStatus,
};

/// A durable queue of items. Each item is handled at least once by a [worker](Self::worker).
///
/// The queue of events is an [`Inbox`]. Cloning a queue increments reference counts; the clones share a connection for storing.
pub struct Queue<T> {
    shared: Arc<Shared>,
    payload: PhantomData<fn() -> T>,
}

/// A queue of events: process A stores them with [`webhook`](Queue::webhook), process B handles them with a
/// [`worker`](Queue::worker). Both can also be one process.
pub type Inbox = Queue<DirectoryEvent>;

struct Shared {
    backend: Backend,
    engine: Engine,
    name: String,
    writer: Writer,
    /// Notified when there may be something new to do.
    wake: Arc<Notify>,
}

/// Whether an item was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stored {
    /// An item with this key was stored before, so nothing was stored.
    Duplicate,
    /// It was stored.
    New,
}

impl<T: Payload> Queue<T> {
    /// Creates a queue with the defaults of [`QueueBuilder`] in the application's pool, or with the application's client.
    /// [`Backend::connect`] describes the settings of a pool that matter.
    pub fn new(backend: impl Into<Backend>) -> Self {
        match Self::builder(backend).build() {
            Ok(queue) => queue,
            // The defaults are identifiers.
            Err(error) => unreachable!("{error}"),
        }
    }

    /// Returns a builder with the defaults, for other settings.
    pub fn builder(backend: impl Into<Backend>) -> QueueBuilder<T> {
        QueueBuilder::new(backend.into())
    }

    pub(crate) fn with(backend: Backend, engine: Engine, name: String, limits: Limits) -> Self {
        let wake = Arc::new(Notify::new());
        let writer = Writer::new(engine.clone(), limits, Arc::clone(&wake));
        Self {
            shared: Arc::new(Shared { backend, engine, name, writer, wake }),
            payload: PhantomData,
        }
    }

    /// Creates the tables or streams of the queue, or brings them up to date. Any number of processes can call it at the same
    /// time.
    ///
    /// # Errors
    ///
    /// If the database or the broker fails, or if a later version has created the tables.
    pub async fn migrate(&self) -> Result<(), InboxError> {
        self.shared.engine.migrate().await
    }

    /// Stores an item, and returns once it is durable. Items that are stored at the same time share a transaction.
    ///
    /// After an error, it is unknown whether the item was stored. Storing it again is safe.
    ///
    /// # Errors
    ///
    /// [`InboxError`], whose [kind](InboxError::kind) says whether to try again.
    pub async fn store(&self, item: &T) -> Result<Stored, InboxError> {
        let stored = match Item::new(item) {
            Ok(item) => self.submit(item).await,
            Err(error) => Err(error),
        };
        metrics::enqueued(&self.shared.name, metrics::stored(&stored));
        stored
    }

    /// Stores items in a transaction of the application, and returns which of them were new. They are handled after
    /// your commit. A worker on SQLite notices them after up to the
    /// [poll interval](QueueBuilder::poll_interval).
    ///
    /// # Errors
    ///
    /// [`InboxErrorKind::Transaction`](crate::InboxErrorKind::Transaction) if the queue is in NATS or in the other kind
    /// of database, or any other [`InboxError`]. After an error, roll back.
    pub async fn store_in(
        &self,
        transaction: impl Into<QueueTransaction<'_>>,
        items: &[T],
    ) -> Result<Vec<Stored>, InboxError> {
        let items = items.iter().map(Item::new).collect::<Result<Vec<_>, _>>()?;
        if items.is_empty() {
            return Ok(Vec::new());
        }
        self.shared.engine.store_in(transaction.into(), &items).await
    }

    async fn submit(&self, item: Item) -> Result<Stored, InboxError> {
        self.shared.engine.check(&item)?;
        self.shared.writer.store(item).await
    }

    /// Returns how many items are waiting, for how long, and how many are dead letters.
    ///
    /// # Errors
    ///
    /// If the database or the broker fails.
    pub async fn status(&self) -> Result<QueueStatus, InboxError> {
        self.shared.engine.status().await
    }

    /// Forgets the keys of handled items that are older than the [retention](QueueBuilder::retention). Returns how many. A running
    /// worker does this every hour. NATS does it itself, and the result is 0.
    ///
    /// # Errors
    ///
    /// If the database or the broker fails.
    pub async fn purge(&self) -> Result<u64, InboxError> {
        self.shared.engine.purge().await
    }

    /// The queue's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The pool or the client, for example for the transactions of [`store_in`](Self::store_in).
    #[must_use]
    pub fn backend(&self) -> &Backend {
        &self.shared.backend
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    pub(crate) fn shared_wake(&self) -> Arc<Notify> {
        Arc::clone(&self.shared.wake)
    }

    /// Wakes the worker of this process.
    pub(crate) fn wake(&self) {
        self.shared.wake.notify_one();
    }
}

impl Queue<DirectoryEvent> {
    /// Stores a genuine body that can't be read as an event as a dead letter, and returns once it is durable. After an
    /// upgrade, [`retry_dead_letter`](Self::retry_dead_letter) tries to read it again. [`webhook`](Self::webhook) does
    /// this.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store).
    pub async fn store_unreadable(
        &self,
        error: &ParseError,
        issued_at: Option<Timestamp>,
    ) -> Result<Stored, InboxError> {
        let stored = self.submit(Item::unreadable(error, issued_at)).await;
        let result = if stored.is_ok() { metrics::DEAD } else { metrics::FAILED };
        metrics::enqueued(&self.shared.name, result);
        stored
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), payload: PhantomData }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("name", &self.shared.name).finish_non_exhaustive()
    }
}
