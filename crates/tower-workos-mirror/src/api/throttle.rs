//! Request budgets.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as SyncMutex, PoisonError},
    time::Duration,
};

use tokio::sync::Mutex;

use crate::api::timer::Timer;

/// With more lanes than this, those of idle directories are dropped.
const LANES: usize = 256;

/// Spaces the starts of requests evenly: one budget for the key, and one for each directory.
///
/// Each waiting request holds its place in the queue of its directory, and the first one of each directory holds a place in
/// the queue of the key. tokio's mutexes are fair queues. So a directory with many requests does not delay the others, and
/// a request that is dropped while it waits leaves no gap.
pub(super) struct Throttle {
    pub(super) timer: Arc<dyn Timer>,
    interval: Duration,
    interval_of_directory: Duration,
    key: Lane,
    directories: SyncMutex<HashMap<String, Arc<Lane>>>,
    /// No request starts before this time, because of the API's `Retry-After`.
    paused_until: SyncMutex<Duration>,
}

/// The earliest time of the next request.
type Lane = Mutex<Duration>;

impl Throttle {
    /// Creates budgets of this many requests in any second.
    pub(super) fn new(timer: Arc<dyn Timer>, per_second: u32, of_directory: u32) -> Self {
        Self {
            timer,
            interval: interval(per_second),
            interval_of_directory: interval(of_directory),
            key: Lane::default(),
            directories: SyncMutex::default(),
            paused_until: SyncMutex::default(),
        }
    }

    /// Waits until a request may start, and counts it as started.
    pub(super) async fn start(&self, directory: Option<&str>) {
        let lane = directory.map(|directory| self.lane(directory));
        let mut of_directory = None;
        if let Some(lane) = &lane {
            let next = lane.lock().await;
            self.wait(|| *next).await;
            of_directory = Some(next);
        }
        let mut of_key = self.key.lock().await;
        self.wait(|| self.paused_until().max(*of_key)).await;
        let now = self.timer.now();
        *of_key = now.saturating_add(self.interval);
        if let Some(next) = &mut of_directory {
            **next = now.saturating_add(self.interval_of_directory);
        }
    }

    /// Lets no request start for this long.
    pub(super) fn pause(&self, duration: Duration) {
        let until = self.timer.now().saturating_add(duration);
        let mut paused = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        *paused = until.max(*paused);
    }

    fn paused_until(&self) -> Duration {
        *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a time that can move while this waits.
    async fn wait(&self, until: impl Fn() -> Duration) {
        loop {
            let left = until().saturating_sub(self.timer.now());
            if left.is_zero() {
                return;
            }
            self.timer.sleep(left).await;
        }
    }

    #[cfg(test)]
    pub(super) fn lanes(&self) -> usize {
        self.directories.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn lane(&self, directory: &str) -> Arc<Lane> {
        let mut lanes = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(directory) {
            return Arc::clone(lane);
        }
        if lanes.len() >= LANES {
            let now = self.timer.now();
            // Only this function returns lanes, and it holds the lock. So a lane that is not in use stays unused.
            lanes.retain(|_, lane| {
                Arc::strong_count(lane) > 1 || lane.try_lock().is_ok_and(|next| *next > now)
            });
        }
        let lane = Arc::<Lane>::default();
        lanes.insert(directory.to_owned(), Arc::clone(&lane));
        lane
    }
}

/// The time from one start to the next, rounded up, so that no second contains one request too many.
fn interval(per_second: u32) -> Duration {
    let nanoseconds = 1_000_000_000_u64.div_ceil(u64::from(per_second.max(1)));
    Duration::from_nanos(nanoseconds)
}
