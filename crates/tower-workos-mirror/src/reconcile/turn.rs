//! The transactions of a run take turns, and leave time for others.

use std::time::Duration;

use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

/// The limits of the pause after a transaction.
const PAUSE: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(100)];

/// One transaction at a time. Deliveries write to the same tables, and they must not wait for many transactions of a run.
#[derive(Default)]
pub(super) struct Turns(Mutex<()>);

impl Turns {
    /// Runs a transaction when it is its turn, then pauses for as long as it took, but at most 100 ms. So others have time to
    /// write: SQLite's lock is not fair, and a connection that waits for it only looks from time to time.
    pub(super) async fn take<T>(&self, transaction: impl Future<Output = T>) -> T {
        let _turn = self.0.lock().await;
        let start = Instant::now();
        let result = transaction.await;
        let [shortest, longest] = PAUSE;
        sleep(start.elapsed().clamp(shortest, longest)).await;
        result
    }
}
