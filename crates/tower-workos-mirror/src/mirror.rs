//! The type [`Mirror`].

use std::{fmt, sync::Arc};

use tower_workos::DirectoryEvent;

use crate::{
    apply::apply,
    builder::{MirrorBuilder, Settings},
    change::Change,
    error::MirrorError,
    feed::wake::Wakeup,
    pool::{MirrorPool, MirrorTransaction},
    sql::{
        names::Names,
        transaction::{Transaction, lock},
    },
    writer::{Writer, deadline, within},
};

/// Directories, groups, users and memberships as tables in the application's database.
///
/// Cloning it increments a reference count.
#[derive(Clone)]
pub struct Mirror {
    pub(crate) shared: Arc<Shared>,
    /// Not in [`Shared`], which the writer's task owns: the task ends when the last mirror is dropped.
    pub(crate) writer: Arc<Writer>,
}

pub(crate) struct Shared {
    pub(crate) pool: MirrorPool,
    pub(crate) names: Names,
    pub(crate) settings: Settings,
    pub(crate) wakeup: Wakeup,
}

impl Mirror {
    /// Creates a mirror in the pool's database, with the defaults of [`MirrorBuilder`].
    /// [`migrate`](Self::migrate) creates its tables.
    #[must_use]
    pub fn new(pool: impl Into<MirrorPool>) -> Self {
        Self::with(pool.into(), Names::default(), Settings::default())
    }

    /// Returns a builder for a mirror with other settings.
    pub fn builder(pool: impl Into<MirrorPool>) -> MirrorBuilder {
        MirrorBuilder::new(pool.into())
    }

    pub(crate) fn with(pool: MirrorPool, names: Names, settings: Settings) -> Self {
        let shared = Arc::new(Shared { pool, names, settings, wakeup: Wakeup::default() });
        Self { shared, writer: Arc::default() }
    }

    /// The pool that the mirror uses.
    #[must_use]
    pub fn pool(&self) -> &MirrorPool {
        &self.shared.pool
    }

    /// Applies an event in a transaction of its own, and returns what it changed: nothing, if the event is late, stale or
    /// repeated.
    ///
    /// # Errors
    ///
    /// If the database fails. The event may have been committed nevertheless. Apply it again: applying it twice changes
    /// nothing.
    pub async fn apply(&self, event: &DirectoryEvent) -> Result<Vec<Change>, MirrorError> {
        let deadline = deadline(self.shared.settings.timeout);
        within(deadline, self.apply_all(std::slice::from_ref(event))).await
    }

    /// Applies events in one transaction, in any order, and returns the net changes. For more than about 100 000 events,
    /// call it several times: it holds all of them in memory at once, and other deliveries wait.
    ///
    /// Unlike [`apply`](Self::apply), it has no time limit of its own once it has the lock.
    ///
    /// # Errors
    ///
    /// Like [`apply`](Self::apply).
    pub async fn apply_all(&self, events: &[DirectoryEvent]) -> Result<Vec<Change>, MirrorError> {
        let Shared { pool, names, settings, .. } = &*self.shared;
        let mut transaction = Transaction::begin(pool, names, settings.timeout).await?;
        let changes = apply(&mut transaction.conn(), &self.shared, events).await?;
        transaction.commit().await.map_err(MirrorError::at_commit)?;
        self.shared.committed(&changes);
        Ok(changes)
    }

    /// Applies an event as part of the application's transaction, so that both are committed or neither is.
    ///
    /// **It acquires the mirror's lock, and holds it until the transaction ends.** All other deliveries, of all
    /// replicas, wait until then: do nothing slow in between, and call no other service. PostgreSQL's `lock_timeout` or
    /// SQLite's `busy_timeout` determines how long this call waits for the lock.
    ///
    /// - On PostgreSQL, the transaction must be `READ COMMITTED`. If that is not the default, begin it with
    ///   `pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED")`.
    /// - On SQLite, begin it with `pool.begin_with("BEGIN IMMEDIATE")`. The connection keeps the setting `secure_delete`.
    /// - After an error, roll the transaction back.
    /// - The returned changes can still be rolled back. Readers of the feed in this process learn of them when they
    ///   next poll, or, on PostgreSQL, by a notification.
    ///
    /// # Errors
    ///
    /// [`MirrorErrorKind::Transaction`](crate::MirrorErrorKind::Transaction) if the transaction can't be used, and other
    /// kinds if the database fails.
    pub async fn apply_in(
        &self,
        transaction: impl Into<MirrorTransaction<'_>>,
        event: &DirectoryEvent,
    ) -> Result<Vec<Change>, MirrorError> {
        let mut conn = transaction.into().0;
        lock(&mut conn, &self.shared.names).await?;
        apply(&mut conn, &self.shared, std::slice::from_ref(event)).await
    }
}

impl Shared {
    /// Called after each commit, with the changes that the commit made visible.
    pub(crate) fn committed(&self, changes: &[Change]) {
        if !changes.is_empty() {
            self.wakeup.wake();
        }
    }
}

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror").field("pool", &self.shared.pool).finish_non_exhaustive()
    }
}
