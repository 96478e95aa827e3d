//! Handles changes one after another.

use std::pin::pin;

use tokio::{select, time::sleep};

use crate::{
    change::Change,
    error::MirrorErrorKind,
    feed::{consumer::Consumer, error::FeedError},
};

impl Consumer {
    /// Calls `handler` for each change in order until `shutdown` completes, and acknowledges a change if the handler
    /// returns `Ok`.
    ///
    /// If the handler fails, it is called again after a [pause](Self::retry) until it succeeds. No change is skipped,
    /// and the changes after it wait. Log the error in the handler: this method logs only the number and the kind of
    /// the change. If the handler can never succeed for a change, it must return `Ok`.
    ///
    /// After `shutdown`, a running handler completes and its change is acknowledged, then this method returns. It is
    /// also safe to drop the future instead: the change is delivered again.
    ///
    /// ```no_run
    /// # use std::{future::pending, io};
    /// # use tower_workos_mirror::{ChangeKind, FeedError, Mirror};
    /// # async fn end_sessions(user: &str) -> io::Result<()> { Ok(()) }
    /// # async fn doc(mirror: Mirror) -> Result<(), FeedError> {
    /// let handler = |change: tower_workos_mirror::Change| async move {
    ///     match (change.kind, &change.user_id) {
    ///         (ChangeKind::UserRevoked, Some(user)) => end_sessions(user.as_str()).await,
    ///         _ => Ok(()),
    ///     }
    /// };
    /// mirror.consumer("sessions").run(handler, pending()).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`FeedError::Purged`] and [`FeedError::Ahead`], after which a [recovery](Self#recovery) is needed, and
    /// [`FeedError::Mirror`] if the tables don't exist. After any other failure of the database, it tries again.
    pub async fn run<H, F, E>(
        mut self,
        mut handler: H,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), FeedError>
    where
        H: FnMut(Change) -> F,
        F: Future<Output = Result<(), E>>,
    {
        let mut shutdown = pin!(shutdown);
        let (shortest, longest) = self.retry;
        loop {
            let read = select! {
                biased;
                () = &mut shutdown => return Ok(()),
                read = self.next() => read,
            };
            let changes = match read {
                Ok(changes) => changes,
                // The next call waits before it reads.
                Err(error) if is_temporary(&error) => {
                    tracing::warn!(%error, "can't read the feed: trying again");
                    continue;
                }
                Err(error) => return Err(error),
            };
            for change in changes {
                let (seq, kind) = (change.seq, change.kind);
                let mut pause = shortest;
                let mut handled = false;
                loop {
                    handled = handled || handler(change.clone()).await.is_ok();
                    if handled {
                        match self.acknowledge(seq).await {
                            Ok(()) => break,
                            Err(error) if is_temporary(&error) => {
                                tracing::warn!(%error, seq, "can't acknowledge a change: trying again");
                            }
                            Err(error) => return Err(error),
                        }
                    } else {
                        tracing::warn!(seq, %kind, "the handler of a change failed: trying again");
                    }
                    select! {
                        biased;
                        () = &mut shutdown => return Ok(()),
                        () = sleep(pause) => {}
                    }
                    pause = pause.saturating_mul(2).min(longest);
                }
                // Also checked between two changes, because a batch can take long.
                select! {
                    biased;
                    () = &mut shutdown => return Ok(()),
                    () = std::future::ready(()) => {}
                }
            }
        }
    }
}

fn is_temporary(error: &FeedError) -> bool {
    matches!(error, FeedError::Mirror(error) if error.kind() == MirrorErrorKind::Database)
}
