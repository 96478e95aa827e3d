//! Settings.

use std::time::Duration;

use crate::{error::ConfigError, mirror::Mirror, pool::MirrorPool, sql::names::Names};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) timeout: Duration,
    pub(crate) queue: usize,
    pub(crate) batch: usize,
    pub(crate) retention: Duration,
    pub(crate) dead_letter_retention: Duration,
    pub(crate) absence_retention: Duration,
    pub(crate) poll_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(4),
            queue: 1024,
            batch: 256,
            retention: DAY * 30,
            dead_letter_retention: DAY * 90,
            absence_retention: DAY * 30,
            poll_interval: Duration::from_secs(1),
        }
    }
}

/// Builds a [`Mirror`] with settings other than the defaults.
#[derive(Clone, Debug)]
#[must_use]
pub struct MirrorBuilder {
    pool: MirrorPool,
    schema: Option<String>,
    prefix: String,
    settings: Settings,
}

impl MirrorBuilder {
    pub(crate) fn new(pool: MirrorPool) -> Self {
        let (schema, prefix) = (None, "workos_".to_owned());
        Self { pool, schema, prefix, settings: Settings::default() }
    }

    /// The schema of the tables and views, which must exist. Only for PostgreSQL. Default: the first one in `search_path`.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// The prefix of the names of the tables and views. Default: `workos_`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long a delivery or [`apply`](Mirror::apply) waits for the event to be committed. Default: 4 s, which is less
    /// than WorkOS waits for a response.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// How many deliveries can wait at most. The response to any more is 503, and WorkOS sends them again. Default: 1024.
    pub fn queue(mut self, deliveries: usize) -> Self {
        // tokio's limit.
        self.settings.queue = deliveries.clamp(1, usize::MAX >> 3);
        self
    }

    /// How many waiting deliveries share a transaction at most. Default: 256.
    pub fn batch(mut self, deliveries: usize) -> Self {
        self.settings.batch = deliveries.max(1);
        self
    }

    /// How long the change feed and the history of events are kept. Default: 30 days.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.settings.retention = retention;
        self
    }

    /// How long dead letters are kept. They contain personal data. Default: 90 days.
    pub fn dead_letter_retention(mut self, retention: Duration) -> Self {
        self.settings.dead_letter_retention = retention;
        self
    }

    /// How long the data of an object is kept that a run of a `Reconciler` did not find in the API. Until then, the views don't
    /// show the object, but it can come back. Afterwards it counts as deleted, and its data is erased. Default: 30 days.
    pub fn absence_retention(mut self, retention: Duration) -> Self {
        self.settings.absence_retention = retention;
        self
    }

    /// How often a waiting reader of the feed looks for changes of other processes if the database can't notify it: see
    /// [`Mirror::changes`]. Default: 1 s.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.settings.poll_interval = interval;
        self
    }

    /// Creates the mirror.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the schema or the prefix is not a plain identifier, or if a schema is set for SQLite.
    pub fn build(self) -> Result<Mirror, ConfigError> {
        if self.schema.is_some() && !self.pool.is_postgres() {
            return Err(ConfigError::new("SQLite has no schemas: choose a prefix instead"));
        }
        let names = Names::new(self.schema.as_deref(), &self.prefix)?;
        Ok(Mirror::with(self.pool, names, self.settings))
    }
}
