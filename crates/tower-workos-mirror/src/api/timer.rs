//! The clock of the request budgets.

use std::{future::Future, pin::Pin, time::Duration};

use tokio::time::Instant;

/// The clock with which an [`ApiClient`](crate::ApiClient) keeps its request budgets and waits before retries.
///
/// The default is tokio's clock. A test can use one that does not really wait. The
/// [time-out](crate::ApiClientBuilder::timeout) of a request always uses tokio's clock.
pub trait Timer: Send + Sync + 'static {
    /// The time since an arbitrary but fixed start. It never decreases.
    fn now(&self) -> Duration;

    /// Waits for this long. It may wait longer. If it waits for less, it is called again.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// tokio's clock.
pub(super) struct TokioTimer(Instant);

impl TokioTimer {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Timer for TokioTimer {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(duration))
    }
}
