//! Removes data that is too old or belongs to something deleted, in small transactions.

mod bite;

#[cfg(feature = "page")]
pub(crate) use self::bite::DELETED_BY;

use std::time::Duration;

use tokio::time::sleep;
use tower_workos::Timestamp;

use crate::{
    error::MirrorError,
    mirror::{Mirror, Shared},
    sql::transaction::Transaction,
    text::micros,
    upkeep::bite::Bite,
};

/// The pause between two transactions, so that others can write: SQLite's lock is not fair.
const PAUSE: Duration = Duration::from_millis(5);

/// What [`Mirror::upkeep`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upkeep {
    /// Directories, groups and users that had been absent from the API for so long that they now count as deleted. Everything
    /// except their ids was erased.
    pub absences: u64,
    /// Changes that were purged from the feed.
    pub changes: u64,
    /// Dead letters that were deleted because of their age.
    pub dead_letters: u64,
    /// Groups of deleted directories whose names and attributes were erased. Their ids remain.
    pub erased_groups: u64,
    /// Users of deleted directories whose personal data was erased. Their ids remain.
    pub erased_users: u64,
    /// Events that were removed from the history. The history contains no payloads.
    pub events: u64,
    /// Removed memberships: those of deleted users, groups and directories.
    pub memberships: u64,
}

impl Mirror {
    /// Removes data that is too old or belongs to deleted directories. Returns when nothing is left to remove.
    ///
    /// A mirror that receives deliveries through [`webhook`](Self::webhook) or [`layer`](Self::layer) does this
    /// automatically: after the deletion of a directory, and every ten minutes while deliveries arrive. Call it, or
    /// [`run_upkeep`](Self::run_upkeep), if events arrive in another way, or so rarely that the retention matters.
    ///
    /// - The feed and the history of events are purged after [`retention`](crate::MirrorBuilder::retention), and dead
    ///   letters after [`dead_letter_retention`](crate::MirrorBuilder::dead_letter_retention).
    /// - When a user or a group is deleted, its names and attributes are erased in the same transaction. After
    ///   `dsync.deleted`, the views no longer show anything of the directory, but the rows of its users and groups
    ///   still have their contents. This method erases them. The ids remain, because they show that a late event is
    ///   late.
    /// - What a run of a `Reconciler` did not find in the API counts as deleted after
    ///   [`absence_retention`](crate::MirrorBuilder::absence_retention), and is erased. Until then it can come back. The feed
    ///   reported it when it became absent, and reports nothing more.
    /// - Memberships of what was deleted are removed.
    ///
    /// In SQLite, the mirror sets `secure_delete` on the connections with which it writes, so that erased contents are
    /// overwritten in the file. A few traces can remain in pages that were split, until `VACUUM` removes them, and in
    /// the write-ahead log until its next checkpoint. In PostgreSQL, erased contents remain in the files until the
    /// table is vacuumed. Neither affects backups.
    ///
    /// A dead letter may be about a deleted person. It is kept until its own retention ends.
    ///
    /// It works in transactions of at most a few hundred rows, so that writers wait only briefly, and finds its work through
    /// indexes: if there is none, it runs one short query. Any number of replicas can call it concurrently.
    ///
    /// # Errors
    ///
    /// If the database fails. What was removed before stays removed; call it again for the rest.
    pub async fn upkeep(&self) -> Result<Upkeep, MirrorError> {
        let mut done = Upkeep::default();
        while bite(&self.shared, &mut done).await? {
            sleep(PAUSE).await;
        }
        Ok(done)
    }

    /// Calls [`upkeep`](Self::upkeep) now and after each interval, until `shutdown` completes. A failure is logged, and
    /// the next call does the rest.
    ///
    /// ```no_run
    /// # use std::{future::pending, time::Duration};
    /// # fn doc(mirror: tower_workos_mirror::Mirror) {
    /// tokio::spawn(async move { mirror.run_upkeep(Duration::from_secs(60), pending()).await });
    /// # }
    /// ```
    pub async fn run_upkeep(&self, interval: Duration, shutdown: impl Future<Output = ()>) {
        let work = async {
            loop {
                if let Err(error) = self.upkeep().await {
                    tracing::warn!(%error, "the upkeep of the mirror failed: trying again");
                }
                sleep(interval).await;
            }
        };
        tokio::select! {
            () = shutdown => {}
            () = work => {}
        }
    }
}

/// Does a small part of the upkeep in one transaction, if there is anything to do. Returns whether there was.
pub(crate) async fn bite(shared: &Shared, done: &mut Upkeep) -> Result<bool, MirrorError> {
    let Shared { pool, names, settings, .. } = shared;
    let now = micros(Timestamp::now());
    let before =
        |age: Duration| now.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
    let bite = Bite {
        names,
        now,
        kept_since: before(settings.retention),
        dead_letters_kept_since: before(settings.dead_letter_retention),
        absences_kept_since: before(settings.absence_retention),
    };
    // Reads without the lock, because usually there is nothing to do.
    let Some(task) = bite.find(&mut pool.acquire().await?.conn()).await? else {
        return Ok(false);
    };
    let mut transaction = Transaction::begin(pool, names, settings.timeout).await?;
    let mut removed = *done;
    bite.perform(task, &mut transaction.conn(), &mut removed).await?;
    transaction.commit().await?;
    *done = removed;
    Ok(true)
}
