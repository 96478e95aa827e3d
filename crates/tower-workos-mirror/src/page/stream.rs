//! Live updates: the change feed as server-sent events.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    extract::{Query, State},
    http::{
        HeaderMap, HeaderName, StatusCode,
        header::{CACHE_CONTROL, RETRY_AFTER},
    },
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_core::Stream;
use serde::Deserialize;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, sleep_until},
};

use crate::{
    change::Change,
    feed::stream::Changes,
    mirror::Mirror,
    page::{builder::PageState, handlers::Failure, load::labels_of, view},
};

/// A browser that is further behind loads the page again.
const FURTHEST: i64 = 1000;
/// After more changes at once than this, there may be many more.
const MANY: usize = 100;
/// How often a stream without changes sends something, so that proxies don't close it and a lost client is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How soon a browser opens another stream after one has ended.
const RETRY: Duration = Duration::from_secs(1);
/// How soon it tries again if there were too many.
const LATER: &str = "15";

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Parameters {
    /// The number of the latest change that the page shows.
    after: Option<i64>,
}

/// The header with which a browser continues after an interruption.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(super) async fn events(
    State(page): State<Arc<PageState>>,
    headers: HeaderMap,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Failure> {
    let Ok(permit) = Arc::clone(&page.streams).try_acquire_owned() else {
        let text = "Too many browsers receive live updates.\n";
        return Ok((StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, LATER)], text).into_response());
    };
    let last = headers.get(LAST_EVENT_ID).and_then(|last| last.to_str().ok()?.parse().ok());
    let range = page.mirror.feed_range().await?;
    let after = last.or(parameters.after).unwrap_or(range.end);
    let mut pending = VecDeque::from([Event::default().retry(RETRY)]);
    let is_behind = after < range.start || range.end.saturating_sub(after) > FURTHEST;
    let step = if is_behind {
        pending.push_back(lagged());
        None
    } else {
        let source = Source {
            changes: page.mirror.changes(after),
            mirror: page.mirror.clone(),
            is_closed: page.is_closed.subscribe(),
            ends_at: Instant::now() + page.stream_duration,
            _permit: permit,
        };
        Some(boxed(source))
    };
    let sse = Sse::new(Live { pending, step })
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive"));
    // nginx would collect the response before it passes it on. axum's own header lets a cache store it.
    let headers =
        [(HeaderName::from_static("x-accel-buffering"), "no"), (CACHE_CONTROL, "no-store")];
    Ok((headers, sse).into_response())
}

/// Tells the browser to load the page again: the changes in between are too many, or were purged.
fn lagged() -> Event {
    Event::default().event("lagged").data("reload")
}

/// A stream of events.
struct Live {
    pending: VecDeque<Event>,
    /// `None` at the end.
    step: Option<Step>,
}

type Step = Pin<Box<dyn Future<Output = (Vec<Event>, Option<Source>)> + Send>>;

impl Stream for Live {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            let Some(step) = &mut self.step else { return Poll::Ready(None) };
            let (events, source) = ready!(step.as_mut().poll(cx));
            self.pending.extend(events);
            self.step = source.map(boxed);
        }
    }
}

fn boxed(source: Source) -> Step {
    Box::pin(source.step())
}

struct Source {
    changes: Changes,
    mirror: Mirror,
    is_closed: watch::Receiver<bool>,
    ends_at: Instant,
    /// Counts this stream until it ends.
    _permit: OwnedSemaphorePermit,
}

impl Source {
    /// The next events, and the rest of the stream if it has not ended.
    async fn step(mut self) -> (Vec<Event>, Option<Self>) {
        let change = tokio::select! {
            biased;
            _ = self.is_closed.wait_for(|is_closed| *is_closed) => return (Vec::new(), None),
            () = sleep_until(self.ends_at) => return (Vec::new(), None),
            change = self.changes.next() => change,
        };
        let mut changes = match change {
            Some(Ok(change)) => vec![change],
            Some(Err(error)) if error.is_transient() => return (Vec::new(), Some(self)),
            Some(Err(_)) | None => return (vec![lagged()], None),
        };
        changes.extend(self.changes.ready());
        if changes.len() > MANY && is_behind(&self.mirror, &changes).await {
            return (vec![lagged()], None);
        }
        // Without the names, the rows show ids.
        let labels = labels_of(&self.mirror, &changes).await.unwrap_or_default();
        let event = |change: &Change| {
            let row = view::change_row(change, &labels).0;
            // A row has no line breaks, except perhaps in a name.
            let row = row.replace(['\r', '\n'], " ");
            Event::default().event("change").id(change.seq.to_string()).data(row)
        };
        (changes.iter().map(event).collect(), Some(self))
    }
}

/// Whether more changes follow these than a browser should receive one by one.
async fn is_behind(mirror: &Mirror, changes: &[Change]) -> bool {
    let last = changes.last().map_or(i64::MAX, |change| change.seq);
    let range = mirror.feed_range().await;
    range.is_ok_and(|range| range.end.saturating_sub(last) > FURTHEST)
}
