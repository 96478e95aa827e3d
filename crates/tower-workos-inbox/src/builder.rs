//! Settings.

use std::{marker::PhantomData, time::Duration};

use crate::{
    backend::Backend,
    batch::Limits,
    engine::{Engine, Settings},
    error::InboxError,
    names::Names,
    payload::Payload,
    queue::Queue,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Builds a [`Queue`] with settings other than the defaults.
#[derive(Debug)]
#[must_use]
pub struct QueueBuilder<T> {
    backend: Backend,
    name: String,
    schema: Option<String>,
    prefix: String,
    limits: Limits,
    settings: Settings,
    payload: PhantomData<fn() -> T>,
}

impl<T: Payload> QueueBuilder<T> {
    pub(crate) fn new(backend: Backend) -> Self {
        Self {
            backend,
            name: "inbox".to_owned(),
            schema: None,
            prefix: "workos_".to_owned(),
            limits: Limits { timeout: Duration::from_secs(4), queue: 1024, batch: 256 },
            settings: Settings {
                poll_interval: Duration::from_millis(20),
                retention: DAY * 7,
                replicas: 1,
            },
            payload: PhantomData,
        }
    }

    /// The name of the queue. Queues with different names share the tables, but nothing else. Default: `inbox`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The schema of the tables, which must exist. Only for PostgreSQL. Default: the first one in `search_path`.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// The prefix of the names of tables, or of streams. Default: `workos_`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long a delivery or [`store`](Queue::store) waits until the item is durable. Default: 4 s, which is less than
    /// WorkOS waits for a response.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// How many items can wait to be stored at most. The response to any more deliveries is 503, and WorkOS sends them
    /// again. Default: 1024.
    pub fn waiting(mut self, items: usize) -> Self {
        // tokio's limit.
        self.limits.queue = items.clamp(1, usize::MAX >> 3);
        self
    }

    /// How many items are stored in one transaction at most. Default: 256.
    pub fn batch(mut self, items: usize) -> Self {
        self.limits.batch = items.max(1);
        self
    }

    /// How often an idle worker looks for new items on SQLite. Items that this process has stored wake it at once. Default: 20 ms.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.settings.poll_interval = interval.clamp(Duration::from_millis(1), DAY);
        self
    }

    /// How long the keys of handled items are kept to recognize duplicates. It must be longer than WorkOS retries a
    /// delivery, which is three days; otherwise, an event can be handled twice. Default: 7 days.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.settings.retention = retention;
        self
    }

    /// On how many servers of the cluster NATS stores the queue when [`migrate`](Queue::migrate) creates it. With 1, a 200
    /// survives as much as the disk of one server does. Default: 1.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.settings.replicas = replicas.max(1);
        self
    }

    /// Creates the queue.
    ///
    /// # Errors
    ///
    /// [`InboxErrorKind::Config`](crate::InboxErrorKind::Config) if the name, the schema or the prefix is not a plain
    /// identifier, if a schema is set for anything but PostgreSQL, or if they are too long together: on PostgreSQL, the schema
    /// `{schema}_{prefix}{name}_graphile_worker` is created for the queue's jobs, and may have 63 characters.
    pub fn build(self) -> Result<Queue<T>, InboxError> {
        let has_schemas = self.backend.has_schemas();
        if self.schema.is_some() && !has_schemas {
            return Err(InboxError::config("only PostgreSQL has schemas: choose a prefix instead"));
        }
        let names = Names::new(self.schema, self.prefix, self.name)?;
        #[cfg(feature = "postgres")]
        if has_schemas {
            let schema = names.schema.as_deref().or(Some("public"));
            names.graphile(schema).map_err(InboxError::config)?;
        }
        let engine = Engine::new(self.backend.clone(), names.clone(), &self.settings);
        Ok(Queue::with(self.backend, engine, names.queue, self.limits))
    }
}
