//! Handles changes one after the other.

use std::pin::pin;

use tokio::{select, time::sleep};

use crate::{
    change::Change,
    error::MirrorErrorKind,
    feed::{consumer::Consumer, error::FeedError},
};

impl Consumer {
    /// Calls `handler` for each change in order, and acknowledges each one that it returns `Ok` for, until `shutdown`
    /// completes.
    ///
    /// A change that fails is handled again after a [pause](Self::retry), as often as it takes: it is never skipped, and
    /// the changes after it wait. Log the error in the handler; here, only the change's number is logged. A handler that
    /// can never succeed must return `Ok`.
    ///
    /// After `shutdown`, a running handler completes and its change is acknowledged, then this returns. It is also safe to
    /// drop the future instead: the change is delivered again.
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
    /// [`FeedError::Mirror`] if the tables don't exist. While the database fails otherwise, it tries again.
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
                // Between two changes, too: a batch can take long.
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
