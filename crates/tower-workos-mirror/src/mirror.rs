//! The mirror.

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
    writer::Writer,
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

    /// Creates a mirror with other settings.
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
    /// If the database fails. Apply the event again in that case: it may have been committed or not, and applying it twice
    /// changes nothing.
    pub async fn apply(&self, event: &DirectoryEvent) -> Result<Vec<Change>, MirrorError> {
        self.apply_all(std::slice::from_ref(event)).await
    }

    /// Applies events in one transaction, in any order, and returns the net changes.
    ///
    /// # Errors
    ///
    /// Like [`apply`](Self::apply).
    pub async fn apply_all(&self, events: &[DirectoryEvent]) -> Result<Vec<Change>, MirrorError> {
        let Shared { pool, names, settings, .. } = &*self.shared;
        let mut transaction = Transaction::begin(pool, names, settings.timeout).await?;
        let changes = apply(&mut transaction.conn(), names, events).await?;
        transaction.commit().await?;
        self.shared.committed(&changes);
        Ok(changes)
    }

    /// Applies an event as part of the application's transaction.
    ///
    /// # Errors
    ///
    /// If the database fails, or the transaction can't be used.
    pub async fn apply_in(
        &self,
        transaction: impl Into<MirrorTransaction<'_>>,
        event: &DirectoryEvent,
    ) -> Result<Vec<Change>, MirrorError> {
        let mut conn = transaction.into().0;
        lock(&mut conn, &self.shared.names).await?;
        apply(&mut conn, &self.shared.names, std::slice::from_ref(event)).await
    }
}

impl Shared {
    /// Called after each commit with the changes that it made visible.
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
