//! The queues.

use std::borrow::Cow;

use tower_workos::Timestamp;
use tower_workos_inbox::{
    Backend, InboxError, InboxErrorKind, Payload, Queue, QueueTransaction, Stored,
};

use crate::{
    change::Change,
    error::{MirrorError, MirrorErrorKind},
    mirror::{Mirror, Shared},
    pool::MirrorPool,
    sql::{conn::Conn, transaction::Transaction, write::outboxes},
    text::micros,
};

/// How many changes are stored at once, so that those of a first sync are not in memory a second time.
const AT_ONCE: usize = 1024;

impl Mirror {
    /// Returns the queue with this name, and registers it in the mirror's database: from then on, each change is also a job of
    /// this queue. [`Queue::worker`] handles the jobs.
    ///
    /// **Every process stores the jobs**, whether or not it has called this method: webhooks, repairs, replays of dead letters,
    /// and transactions of [`apply_in`](Self::apply_in). A job is stored in the transaction that writes the change, so
    /// neither can exist without the other. If a process can't store the jobs, for example because it was compiled without
    /// the feature `outbox`, it can't write the change either, and the response to a delivery is 503.
    ///
    /// The queue is in the mirror's database, with its schema and prefix; this method creates the tables, and, on PostgreSQL, a
    /// schema for graphile_worker. Choose a name that no other queue with these tables has. Any number of processes can call
    /// it, and run workers.
    ///
    /// **A job says that something happened, not what is true now.** It can be handled late, twice, and before an earlier one.
    /// So the handler asks the mirror, such as [`has_access_by`](Self::has_access_by), before it ends a session. The example
    /// `sessions` shows it.
    ///
    /// **Changes from before the registration are not in the queue.** So register it first, then compare what your application
    /// has with the tables once: for example, end the sessions of all users without access. What changes in the meantime is
    /// in the queue.
    ///
    /// Jobs wait until a worker handles them, however long it takes, even if the feed was purged in the meantime. If you no
    /// longer need the queue, [remove](Self::remove_outbox) it.
    ///
    /// ```no_run
    /// # #[cfg(feature = "sqlite")]
    /// # async fn doc(mirror: tower_workos_mirror::Mirror) -> Result<(), Box<dyn std::error::Error>> {
    /// use tower::service_fn;
    /// use tower_workos_mirror::{Change, ChangeKind};
    ///
    /// let outbox = mirror.outbox("welcome").await?;
    /// let handler = service_fn(async |change: Change| {
    ///     if change.kind == ChangeKind::UserCreated {
    ///         println!("welcome, {:?}", change.user_id);
    ///     }
    ///     Ok::<_, std::io::Error>(())
    /// });
    /// let stop = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    /// outbox.worker(handler).run_until(stop).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`MirrorErrorKind::Config`] if the name is not a plain identifier of at most 30 characters,
    /// [`MirrorErrorKind::NotMigrated`] if the mirror was not [migrated](Self::migrate), and other kinds if the database fails.
    pub async fn outbox(&self, name: impl Into<String>) -> Result<Queue<Change>, MirrorError> {
        let name = name.into();
        let shared = &*self.shared;
        let queue = queue(shared, &name).map_err(|error| failed(&name, error))?;
        // Before the registration, because others could not write without the tables.
        queue.migrate().await.map_err(|error| failed(&name, error))?;
        let known = outboxes(&mut shared.pool.acquire().await?.conn(), &shared.names).await?;
        // Usually it is, and a process that starts does not wait for the lock.
        if !known.contains(&name) {
            let sql = "INSERT INTO {p}mirror_outbox (name, registered_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            let now = micros(Timestamp::now());
            self.execute_locked(sql, &[name.as_str().into(), now.into()]).await?;
        }
        Ok(queue)
    }

    /// Ends the registration of a queue: from then on, changes are no longer stored in it. Returns whether it was registered.
    ///
    /// The jobs that it contains and its tables remain. Stop calling [`outbox`](Self::outbox) first, because it registers the queue again.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn remove_outbox(&self, name: &str) -> Result<bool, MirrorError> {
        let sql = "DELETE FROM {p}mirror_outbox WHERE name = $1";
        Ok(self.execute_locked(sql, &[name.into()]).await? > 0)
    }

    /// Executes a statement under the mirror's lock, so that each other transaction sees it or has ended before.
    async fn execute_locked(
        &self,
        sql: &str,
        arguments: &[crate::sql::value::Value],
    ) -> Result<u64, MirrorError> {
        let Shared { pool, names, settings, .. } = &*self.shared;
        let mut transaction = Transaction::begin(pool, names, settings.timeout).await?;
        let rows = transaction.conn().execute(names.sql(sql), arguments).await?;
        transaction.commit().await.map_err(MirrorError::at_commit)?;
        Ok(rows)
    }
}

/// Stores changes in a queue.
pub(super) async fn store_in(
    conn: &mut Conn<'_>,
    shared: &Shared,
    name: &str,
    changes: &[Change],
) -> Result<(), MirrorError> {
    let queue = queue(shared, name).map_err(|error| failed(name, error))?;
    for changes in changes.chunks(AT_ONCE) {
        let transaction: QueueTransaction<'_> = match conn {
            #[cfg(feature = "postgres")]
            Conn::Postgres(connection) => (&mut **connection).into(),
            #[cfg(feature = "sqlite")]
            Conn::Sqlite(connection) => (&mut **connection).into(),
        };
        let stored = queue.store_in(transaction, changes).await;
        let stored = stored.map_err(|error| failed(name, error))?;
        // The keys are new. If the database has ignored a row nevertheless, such as by a trigger, nothing may be lost.
        if stored.iter().any(|it| *it != Stored::New) {
            let hint = format!("the outbox {name:?} did not store a change");
            return Err(MirrorError::new(MirrorErrorKind::Database, hint));
        }
    }
    Ok(())
}

/// The queue in the mirror's database. Creating it is cheap; on PostgreSQL without a schema in the settings, its first use asks for
/// the schema.
fn queue(shared: &Shared, name: &str) -> Result<Queue<Change>, InboxError> {
    let backend = match &shared.pool {
        #[cfg(feature = "postgres")]
        MirrorPool::Postgres(pool) => Backend::from(pool.clone()),
        #[cfg(feature = "sqlite")]
        MirrorPool::Sqlite(pool) => Backend::from(pool.clone()),
    };
    let (schema, prefix) = shared.names.parts();
    let builder = Queue::builder(backend).name(name).prefix(prefix);
    match schema {
        Some(schema) => builder.schema(schema).build(),
        None => builder.build(),
    }
}

/// An event is never the cause, so the kind is never [`MirrorErrorKind::Data`], which would acknowledge the event as a dead
/// letter.
fn failed(name: &str, error: InboxError) -> MirrorError {
    let (kind, hint) = match error.kind() {
        InboxErrorKind::Config => {
            (MirrorErrorKind::Config, format!("the outbox {name:?}: {error}"))
        }
        InboxErrorKind::NotMigrated => (
            MirrorErrorKind::NotMigrated,
            format!(
                "the tables of the outbox {name:?} are missing: call Mirror::outbox at start-up"
            ),
        ),
        _ => (MirrorErrorKind::Database, format!("the outbox {name:?} failed")),
    };
    MirrorError::new(kind, hint).caused(error)
}

impl Payload for Change {
    /// The number and the time. The number alone could occur again if only the mirror's tables were restored or created again,
    /// and a job with a known key would not be stored.
    fn key(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{}-{}", self.seq, micros(self.recorded_at)))
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.kind.as_str())
    }
}
