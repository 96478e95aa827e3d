use std::time::Duration;

use tokio::{runtime::Handle, time::sleep};
use tower_workos::dedupe::StoreError;

use crate::{
    database::{Binds, SqlDatabase},
    error,
    store::SqlStore,
};

/// One statement deletes at most this many rows.
const BATCH: i64 = 512;
/// Between two statements, so that others can write.
const PAUSE: Duration = Duration::from_millis(10);

/// A running purge. When it ends or its task is dropped, the next one is scheduled.
struct Running<DB: SqlDatabase>(SqlStore<DB>);

impl<DB: SqlDatabase> Drop for Running<DB> {
    fn drop(&mut self) {
        self.0.schedule().finish();
    }
}

impl<DB: SqlDatabase> SqlStore<DB> {
    /// Deletes up to 512 rows whose lease or retention has expired, and returns their number.
    ///
    /// There is no need to call this: the store purges automatically when events are completed.
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
            // An error ends this purge; the next one deletes the rest.
            while running.0.purge().await.is_ok_and(|purged| i64::try_from(purged) == Ok(BATCH)) {
                sleep(PAUSE).await;
            }
        });
    }
}
