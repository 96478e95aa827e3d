use std::time::Duration;

use tokio::{runtime::Handle, time::sleep};
use tower_workos::dedupe::StoreError;

use crate::{
    database::{Binds, SqlDatabase},
    error,
    store::SqlStore,
};

/// The most rows that one statement deletes.
const BATCH: i64 = 512;
/// Lets others write in between.
const PAUSE: Duration = Duration::from_millis(10);

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
    pub(crate) fn completed(&self) {
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
