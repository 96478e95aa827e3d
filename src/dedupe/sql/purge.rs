use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, time::sleep};

use crate::dedupe::{
    StoreError,
    sql::{
        SqlStore,
        database::{Binds, SqlDatabase},
        error,
    },
};

/// The most rows that one statement deletes.
const BATCH: i64 = 512;
/// Lets others write in between.
const PAUSE: Duration = Duration::from_millis(10);

/// When the next purge is due: after a number of completions or, at the first one after it, a time. Both are random,
/// so that the replicas don't purge at the same moment.
#[derive(Debug)]
pub(super) struct Schedule(Mutex<Next>);

#[derive(Debug)]
struct Next {
    completions: u32,
    at: Instant,
    running: bool,
}

impl Schedule {
    pub(super) fn new() -> Self {
        // Soon, for processes that don't live long.
        let completions = 1 + u32::from(random() % 32);
        Self(Mutex::new(Next { completions, at: next_time(), running: false }))
    }

    /// Counts a completion. `true` if the caller has to purge.
    fn count(&self) -> bool {
        let mut next = self.lock();
        next.completions = next.completions.saturating_sub(1);
        let due = !next.running && (next.completions == 0 || next.at <= Instant::now());
        next.running |= due;
        due
    }

    fn finish(&self) {
        *self.lock() =
            Next { completions: 128 + u32::from(random()), at: next_time(), running: false };
    }

    fn lock(&self) -> MutexGuard<'_, Next> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn next_time() -> Instant {
    Instant::now() + Duration::from_secs(60) + Duration::from_millis(u64::from(random()) * 250)
}

fn random() -> u8 {
    let mut byte = [0];
    // If there is no randomness, the replicas may purge at the same moment.
    let _ = getrandom::fill(&mut byte).is_ok();
    let [byte] = byte;
    byte
}

/// A purge that runs; at its end, or if its task is dropped, the next one is scheduled.
struct Running<DB: SqlDatabase>(SqlStore<DB>);

impl<DB: SqlDatabase> Drop for Running<DB> {
    fn drop(&mut self) {
        self.0.schedule().finish();
    }
}

impl<DB: SqlDatabase> SqlStore<DB> {
    /// Deletes up to 512 rows whose lease or retention has ended, and returns their number.
    ///
    /// The store purges automatically, while events are completed: there is no need to call this.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn purge(&self) -> Result<u64, StoreError> {
        let binds =
            Binds { namespace: "".into(), id: "".into(), token: &[], number: BATCH, alone: true };
        let rows = self.alone(DB::PURGE, &binds).await.map_err(error::alone::<DB>)?;
        let purged: i64 = rows.iter().map(|(_, rows)| rows).sum();
        Ok(u64::try_from(purged).unwrap_or_default())
    }

    /// Counts a completion, and starts a purge if one is due.
    pub(super) fn completed(&self) {
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.schedule().count() {
            return;
        }
        let running = Running(self.clone());
        runtime.spawn(async move {
            // An error ends it; the next purge does the rest.
            while running.0.purge().await.is_ok_and(|purged| i64::try_from(purged) == Ok(BATCH)) {
                sleep(PAUSE).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_purge_at_a_time_is_due_after_some_completions() {
        let schedule = Schedule::new();
        let first = (1..=100).find(|_| schedule.count()).unwrap();
        assert!(first <= 32);
        assert!((0..1000).all(|_| !schedule.count()), "while one runs");
        schedule.finish();
        let second = (1..=1000).find(|_| schedule.count()).unwrap();
        assert!((128..384).contains(&second), "{second}");
    }

    #[test]
    fn a_purge_is_due_after_a_time() {
        let schedule = Schedule::new();
        schedule.finish();
        schedule.lock().at = Instant::now();
        assert!(schedule.count());
    }
}
