//! The progress of a run.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use tokio::sync::watch;

/// The progress of a run, for a progress bar or a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReconcileProgress {
    /// How many directories the API listed; 0 until it is known.
    pub directories: u64,
    /// How many of these directories were compared.
    pub done: u64,
    /// How many groups, users and memberships were read.
    pub read: u64,
    /// How many of these objects were merged. Merging begins after a directory was read completely.
    pub merged: u64,
    /// How many requests the client and its clones have sent, also before the run.
    pub requests: u64,
    /// Whether a run is under way.
    pub is_running: bool,
}

/// A run that is under way, until it is dropped.
pub(super) struct Running(watch::Sender<ReconcileProgress>);

impl Running {
    pub(super) fn begin(progress: &watch::Sender<ReconcileProgress>) -> Self {
        progress.send_replace(ReconcileProgress { is_running: true, ..Default::default() });
        Self(progress.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|it| it.is_running = false);
    }
}

/// A stream of [`ReconcileProgress`]. It yields the current value, then the latest one after each change, and ends when the
/// [`Reconciler`](crate::Reconciler) and its clones are dropped.
pub struct ReconcileProgressStream {
    next: Next,
}

type Receiver = watch::Receiver<ReconcileProgress>;
type Next = Pin<Box<dyn Future<Output = Option<Receiver>> + Send>>;

impl ReconcileProgressStream {
    pub(super) fn new(mut receiver: Receiver) -> Self {
        receiver.mark_changed();
        Self { next: Box::pin(changed(receiver)) }
    }
}

async fn changed(mut receiver: Receiver) -> Option<Receiver> {
    receiver.changed().await.ok().map(|()| receiver)
}

impl Stream for ReconcileProgressStream {
    type Item = ReconcileProgress;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(mut receiver) = ready!(self.next.as_mut().poll(cx)) else {
            self.next = Box::pin(std::future::ready(None));
            return Poll::Ready(None);
        };
        let progress = *receiver.borrow_and_update();
        self.next = Box::pin(changed(receiver));
        Poll::Ready(Some(progress))
    }
}

impl fmt::Debug for ReconcileProgressStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReconcileProgressStream").finish_non_exhaustive()
    }
}
