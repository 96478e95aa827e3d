//! The feed as a stream.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
    vec,
};

use futures_core::Stream;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    change::Change,
    feed::{error::FeedError, page::Position, wake::Signal},
    mirror::Mirror,
};

/// How often a reader that notifications wake looks for changes anyway, because notifications can get lost.
pub(crate) const RARELY: Duration = Duration::from_secs(30);
/// How many changes a stream reads at once.
const PAGE: u32 = 256;

impl Mirror {
    /// Returns the changes that follow this position, in order: those that are stored, then new ones as they are committed.
    ///
    /// The position is the [`seq`](Change::seq) of the last change that was handled, or one of
    /// [`feed_range`](Self::feed_range). [`consumer`](Self::consumer) stores it.
    ///
    /// No change is skipped: transactions of the mirror commit in the order of their numbers, because each acquires the
    /// mirror's lock before it takes a number.
    ///
    /// # Waiting
    ///
    /// While there are no new changes, the stream waits until a clone of this `Mirror` commits some. The changes of other
    /// processes, and of [`apply_in`](Self::apply_in), arrive like this:
    ///
    /// - In PostgreSQL, by `NOTIFY`. All streams and consumers of a mirror share one `LISTEN`, which uses one connection of
    ///   the pool while there are any. A connection pooler such as PgBouncer can swallow notifications, so the mirror sends
    ///   one to itself. If it does not arrive, or if the pool has only one connection, streams poll.
    /// - In SQLite, by polling.
    ///
    /// [`poll_interval`](crate::MirrorBuilder::poll_interval) sets how often they poll. Without a stream or a consumer,
    /// nothing listens or polls.
    ///
    /// # Errors
    ///
    /// An item is an error if the database fails. The next item is read again from the same position, after a pause. The
    /// stream never ends, except after [`FeedError::Purged`] and [`FeedError::Ahead`].
    pub fn changes(&self, after: i64) -> Changes {
        Changes {
            page: Vec::new().into_iter(),
            state: State::Idle(Reader::new(self.clone()), after),
        }
    }
}

/// The changes that follow a position: see [`Mirror::changes`].
#[must_use = "streams do nothing unless polled"]
pub struct Changes {
    page: vec::IntoIter<Change>,
    state: State,
}

enum State {
    Idle(Reader, i64),
    Reading(Pin<Box<dyn Future<Output = Read> + Send>>),
    Ended,
}

struct Read {
    reader: Reader,
    after: i64,
    page: Result<Vec<Change>, FeedError>,
}

impl Changes {
    /// The next change, or an error: see [`Mirror::changes`]. `None` if the stream has ended.
    ///
    /// No change is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Change, FeedError>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

#[cfg(feature = "page")]
impl Changes {
    /// The changes that have already been read.
    pub(crate) fn ready(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.page).collect()
    }
}

impl Stream for Changes {
    type Item = Result<Change, FeedError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(change) = this.page.next() {
                return Poll::Ready(Some(Ok(change)));
            }
            match &mut this.state {
                State::Reading(reading) => {
                    let Read { reader, after, page } = ready!(reading.as_mut().poll(context));
                    this.state = State::Idle(reader, after);
                    match page {
                        Ok(page) => this.page = page.into_iter(),
                        Err(error) => {
                            if !error.is_transient() {
                                this.state = State::Ended;
                            }
                            return Poll::Ready(Some(Err(error)));
                        }
                    }
                }
                State::Ended => return Poll::Ready(None),
                State::Idle(..) => {
                    let State::Idle(reader, after) =
                        std::mem::replace(&mut this.state, State::Ended)
                    else {
                        return Poll::Ready(None);
                    };
                    this.state = State::Reading(Box::pin(read(reader, after)));
                }
            }
        }
    }
}

async fn read(mut reader: Reader, after: i64) -> Read {
    let page = reader.next(&Position::After(after), PAGE).await;
    let page = page.map(|page| page.unwrap_or_default().1);
    let last = page.as_ref().ok().and_then(|page| page.last());
    let after = last.map_or(after, |change| change.seq);
    Read { reader, after, page }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}

/// Reads pages, and waits for them.
pub(crate) struct Reader {
    pub(crate) mirror: Mirror,
    signal: watch::Receiver<Signal>,
    /// Whether the last read failed, so that the next one must wait.
    failed: bool,
    #[cfg(feature = "postgres")]
    listener: Option<std::sync::Arc<crate::feed::listen::Listener>>,
}

impl Reader {
    pub(crate) fn new(mirror: Mirror) -> Self {
        let signal = mirror.shared.wakeup.signal.subscribe();
        Self {
            mirror,
            signal,
            failed: false,
            #[cfg(feature = "postgres")]
            listener: None,
        }
    }

    /// Waits for changes after this position, and returns it with them. `None` if there is no such consumer.
    pub(crate) async fn next(
        &mut self,
        position: &Position,
        limit: u32,
    ) -> Result<Option<(i64, Vec<Change>)>, FeedError> {
        let poll_interval = self.mirror.shared.settings.poll_interval;
        if std::mem::take(&mut self.failed) {
            sleep(poll_interval).await;
        }
        loop {
            #[cfg(feature = "postgres")]
            crate::feed::listen::listen(&self.mirror.shared, &mut self.listener);
            // Called before the page is read, so that any later commit wakes the reader.
            let hears_others = self.signal.borrow_and_update().hears_others;
            match self.mirror.read_page(position, limit).await {
                Ok(None) => return Ok(None),
                Ok(Some((_, page))) if page.is_empty() => {}
                Ok(Some(read)) => return Ok(Some(read)),
                Err(error) => {
                    self.failed = error.is_transient();
                    return Err(error);
                }
            }
            let pause = if hears_others { RARELY } else { poll_interval };
            // It fails only if the mirror is dropped, which this reader prevents.
            let _ = timeout(pause, self.signal.changed()).await;
        }
    }
}
