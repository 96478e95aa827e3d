use std::{future::Future, sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::watch, time::timeout};

/// Store calls that continue after their caller has stopped waiting for them.
///
/// Clones share the count of running tasks.
#[derive(Clone, Debug)]
pub(super) struct Background {
    running: Arc<watch::Sender<usize>>,
}

impl Background {
    pub(super) fn new() -> Self {
        Self { running: Arc::new(watch::Sender::new(0)) }
    }

    /// Whether there is a current runtime, which tasks need.
    pub(super) fn is_possible(&self) -> bool {
        Handle::try_current().is_ok()
    }

    /// Runs a future in a task of the current runtime, for at most `limit`. Outside a runtime, the future is dropped.
    pub(super) fn spawn<F>(&self, limit: Duration, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Ok(runtime) = Handle::try_current() else { return };
        let running = Running::new(&self.running);
        runtime.spawn(async move {
            // After a time-out, the lease has expired too, so nothing is left to do.
            let _ = timeout(limit, future).await.is_ok();
            drop(running);
        });
    }

    /// Waits until nothing is running.
    pub(super) async fn idle(&self) {
        // `self` owns the sender, so the channel is open.
        let _ = self.running.subscribe().wait_for(|running| *running == 0).await.is_ok();
    }
}

/// Counts a task as running until it ends or its runtime shuts down.
struct Running(Arc<watch::Sender<usize>>);

impl Running {
    fn new(running: &Arc<watch::Sender<usize>>) -> Self {
        running.send_modify(|running| *running = running.saturating_add(1));
        Self(Arc::clone(running))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running = running.saturating_sub(1));
    }
}
