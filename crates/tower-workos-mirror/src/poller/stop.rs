//! The signal that ends a poller.

use std::{
    future::{Future, pending, ready},
    pin::Pin,
};

use tokio::select;

/// A signal that can be asked for several times.
pub(super) struct Stop<'s, F> {
    signal: Pin<&'s mut F>,
    is_stopped: bool,
}

impl<'s, F: Future<Output = ()>> Stop<'s, F> {
    pub(super) fn new(signal: Pin<&'s mut F>) -> Self {
        Self { signal, is_stopped: false }
    }

    async fn wait(&mut self) {
        if !self.is_stopped {
            self.signal.as_mut().await;
            self.is_stopped = true;
        }
    }

    /// Whether the signal was given.
    pub(super) async fn is_requested(&mut self) -> bool {
        self.unless(ready(())).await.is_none()
    }

    /// Runs a future that can be dropped at any time. Returns `None` if the signal comes first.
    pub(super) async fn unless<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        select! {
            biased;
            () = self.wait() => None,
            output = future => Some(output),
        }
    }
}

/// The signal that is never given.
pub(super) type Never = std::future::Pending<()>;

pub(super) fn never() -> Never {
    pending()
}
