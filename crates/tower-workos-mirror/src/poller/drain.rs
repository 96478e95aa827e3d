//! Reads the events that are old enough.

use std::{future::Future, time::Duration};

use crate::{
    api::{
        client::ApiClient,
        error::{ApiError, ApiErrorKind},
        page::{EventPage, Pages},
        request::EventsFrom,
    },
    metrics,
    poller::{
        batch::{Cut, Entry},
        cursor::EventsCursor,
        error::PollError,
        stop::Stop,
    },
    text::{micros, timestamp},
};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 24 * 60 * 60 * SECOND;
/// The API answers queries of at most 30 days.
const WINDOW: i64 = 29 * DAY;
/// If no event happened for this long, the position is a time instead of the last event: the API counts the 30 days from that
/// event, and forgets it after 90 days.
const QUIET: i64 = 25 * DAY;

/// What a poller did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drain {
    /// How many events were handled. Some of them may have been handled before.
    pub events: u64,
    /// How many bodies can't be read as an event, or can't be stored.
    pub letters: u64,
    /// Whether the stream started over, because there was no position, or because the API no longer has the events after it.
    /// Earlier events were not read: run a [`Reconciler`](crate::Reconciler) after each call that returns `true`.
    pub gap: bool,
    /// How far the position is behind the API's clock now. All older events were handled. It is the margin if nothing is left
    /// to do, and zero if the poller was stopped before the API responded.
    pub lag: Duration,
}

/// What a poller does with events.
pub(super) trait Sink: Send {
    fn load(&mut self) -> impl Future<Output = Result<Option<EventsCursor>, PollError>> + Send;

    /// Handles events in their order, and moves the position from `from` to `to`. Returns `None` if another process has moved
    /// it: then the events count as not handled.
    fn handle<F: Future<Output = ()> + Send>(
        &mut self,
        from: Option<&EventsCursor>,
        entries: Vec<Entry>,
        to: &EventsCursor,
        stop: &mut Stop<'_, F>,
    ) -> impl Future<Output = Result<Option<Handled>, PollError>> + Send;
}

/// How much of a page was handled.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Handled {
    pub(super) events: u64,
    pub(super) letters: u64,
    /// Whether that is all of it. If not, the signal was given.
    pub(super) is_whole: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) margin: Duration,
    pub(super) retention: Duration,
    /// How long before the first call the stream begins.
    pub(super) backfill: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            margin: Duration::from_secs(60),
            retention: Duration::from_secs(90 * 24 * 60 * 60),
            backfill: Duration::ZERO,
        }
    }
}

impl Settings {
    fn margin(&self) -> i64 {
        in_micros(self.margin)
    }

    /// Longer than the margin, or a new position would already be too old.
    fn retention(&self) -> i64 {
        in_micros(self.retention).max(self.margin().saturating_add(DAY))
    }

    /// The time before which everything was handled.
    fn resume(&self, cursor: &EventsCursor) -> i64 {
        // The day is a reserve in case the margin was longer at that time.
        let drained = cursor.drained_at.map(|at| micros(at) - self.margin() - DAY);
        let event = cursor.event_at().map(|at| at - self.margin());
        let started = micros(cursor.started_at);
        [drained, event].into_iter().flatten().fold(started, i64::max)
    }
}

/// A drain that is under way.
pub(super) struct Draining<'d, 's, S, F> {
    pub(super) api: &'d ApiClient,
    pub(super) settings: &'d Settings,
    pub(super) sink: &'d mut S,
    pub(super) stop: &'d mut Stop<'s, F>,
    /// The API's clock, once there was a response.
    date: Option<i64>,
    done: Drain,
}

enum Outcome {
    /// The API does not accept the position.
    Gone,
    /// Another process has moved the position.
    Lost,
    /// Everything was handled, or the signal was given.
    Over,
}

impl<'d, 's, S: Sink, F: Future<Output = ()> + Send> Draining<'d, 's, S, F> {
    pub(super) fn new(
        api: &'d ApiClient,
        settings: &'d Settings,
        sink: &'d mut S,
        stop: &'d mut Stop<'s, F>,
    ) -> Self {
        Self { api, settings, sink, stop, date: None, done: Drain::default() }
    }

    pub(super) async fn run(mut self) -> Result<Drain, PollError> {
        let mut by_time = false;
        loop {
            let Some(cursor) = self.sink.load().await? else {
                if !self.begin(None).await? {
                    return Ok(self.done);
                }
                continue;
            };
            match self.follow(cursor.clone(), by_time).await? {
                Outcome::Over => return Ok(self.done),
                Outcome::Lost => {}
                Outcome::Gone => {
                    let Some(date) = self.now().await? else { return Ok(self.done) };
                    if date - self.settings.resume(&cursor) > self.settings.retention() {
                        self.begin(Some(&cursor)).await?;
                        by_time = false;
                    } else if by_time {
                        let message = "the API does not accept a position that it has just returned: try again later";
                        return Err(ApiError::new(ApiErrorKind::Cursor, message).into());
                    } else {
                        by_time = true;
                    }
                }
            }
        }
    }

    /// Starts the stream now, unless another process has done so. Returns `false` if the signal was given.
    async fn begin(&mut self, from: Option<&EventsCursor>) -> Result<bool, PollError> {
        let Some(date) = self.now().await? else { return Ok(false) };
        let backfill = if from.is_none() { in_micros(self.settings.backfill) } else { 0 };
        let to = EventsCursor::new(date - self.settings.margin() - backfill);
        self.done.gap |= self.sink.handle(from, Vec::new(), &to, self.stop).await?.is_some();
        Ok(true)
    }

    /// The API's clock. `None` if the signal was given.
    async fn now(&mut self) -> Result<Option<i64>, PollError> {
        let Some(page) = self.stop.unless(self.api.directories(None)).await else {
            return Ok(None);
        };
        let date = micros(page?.date.ok_or_else(PollError::no_date)?);
        self.date = Some(date);
        Ok(Some(date))
    }

    /// Handles all events after a position that are old enough.
    async fn follow(
        &mut self,
        mut cursor: EventsCursor,
        by_time: bool,
    ) -> Result<Outcome, PollError> {
        let resume = self.settings.resume(&cursor);
        let mut query = match (&cursor.after, cursor.event_at()) {
            (Some(id), Some(at)) if !by_time && resume - at <= QUIET => {
                Query::after(id.clone(), at)
            }
            _ => Query::since(resume, self.date),
        };
        let mut is_first = true;
        loop {
            let events = self.api.events(query.from.borrowed(), query.until.map(timestamp));
            let page = match self.stop.unless(events).await {
                None => return Ok(Outcome::Over),
                Some(Err(error)) if error.kind() == ApiErrorKind::Cursor => {
                    return Ok(Outcome::Gone);
                }
                Some(page) => page?,
            };
            let date = micros(page.date.ok_or_else(PollError::no_date)?);
            self.date = Some(date);
            if std::mem::take(&mut is_first) {
                if date - resume > self.settings.retention() {
                    return Ok(Outcome::Gone);
                }
                if query.until.is_none() && date - query.start > WINDOW {
                    query.until = Some(query.start + WINDOW);
                    continue;
                }
            }
            match self.page(&mut cursor, query, page, date).await? {
                Step::Next(next) => query = next,
                Step::Drained | Step::Stopped => return Ok(Outcome::Over),
                Step::Lost => return Ok(Outcome::Lost),
            }
        }
    }

    async fn page(
        &mut self,
        cursor: &mut EventsCursor,
        query: Query,
        page: EventPage,
        date: i64,
    ) -> Result<Step, PollError> {
        let limit = date - self.settings.margin();
        let mut entries: Vec<_> = page.entries.into_iter().map(Entry::new).collect();
        for entry in &mut entries {
            // Otherwise, one wrong time would stop the stream until then.
            entry.at = entry.at.filter(|at| *at <= date + DAY);
        }
        let times: Vec<_> = entries.iter().map(|entry| entry.at).collect();
        let cut = Cut::new(&times, limit, page.after.is_none());
        let is_all = cut.take == entries.len();
        entries.truncate(cut.take);
        let mut to = cursor.clone();
        entries.iter().for_each(|entry| to.advance(entry));
        let next = match (page.after, query.until) {
            _ if cut.is_young => None,
            (Some(after), _) => {
                let last = if is_all { None } else { to.after.clone() };
                Some(query.next(last.unwrap_or(after))?)
            }
            // It is not documented whether the limits of a query are part of it.
            (None, Some(until)) if until < limit => Some(Query::since(until - SECOND, Some(date))),
            (None, _) => None,
        };
        if next.is_none() {
            to.drained_at = Some(timestamp(date));
        }
        self.reached(cursor, date);
        if !entries.is_empty() || to != *cursor {
            let handled = self.sink.handle(Some(cursor), entries, &to, self.stop).await?;
            let Some(handled) = handled else { return Ok(Step::Lost) };
            self.done.events += handled.events;
            self.done.letters += handled.letters;
            if !handled.is_whole {
                return Ok(Step::Stopped);
            }
            *cursor = to;
        }
        self.reached(cursor, date);
        Ok(next.map_or(Step::Drained, Step::Next))
    }
}

impl<S, F> Draining<'_, '_, S, F> {
    /// Computes the lag of a position.
    fn reached(&mut self, cursor: &EventsCursor, date: i64) {
        let started = micros(cursor.started_at);
        let drained = cursor.drained_at.map(|at| micros(at) - self.settings.margin());
        let position = [cursor.event_at(), drained].into_iter().flatten().fold(started, i64::max);
        self.done.lag = Duration::from_micros(u64::try_from(date - position).unwrap_or(0));
        metrics::poller_lag(self.done.lag);
    }
}

enum Step {
    Drained,
    Lost,
    Next(Query),
    Stopped,
}

/// What to ask the API for.
struct Query {
    from: Origin,
    until: Option<i64>,
    /// When it begins.
    start: i64,
    pages: Pages,
}

enum Origin {
    After(String),
    Since(i64),
}

impl Origin {
    fn borrowed(&self) -> EventsFrom<'_> {
        match self {
            Self::After(id) => EventsFrom::After(id),
            Self::Since(time) => EventsFrom::Since(timestamp(*time)),
        }
    }
}

impl Query {
    /// The events after one that happened at this time.
    fn after(id: String, at: i64) -> Self {
        Self { from: Origin::After(id), until: None, start: at, pages: Pages::new(usize::MAX) }
    }

    /// The events from a time on, for as long as the API allows.
    fn since(start: i64, date: Option<i64>) -> Self {
        let is_short = date.is_some_and(|date| date - start <= WINDOW);
        let until = (!is_short).then_some(start + WINDOW);
        Self { from: Origin::Since(start), until, start, pages: Pages::new(usize::MAX) }
    }

    /// The next page of the same query.
    fn next(mut self, after: String) -> Result<Self, ApiError> {
        self.pages.advance(Some(after.clone()))?;
        self.from = Origin::After(after);
        Ok(self)
    }
}

/// At most a century, so that no sum overflows.
fn in_micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX).min(36_500 * DAY)
}
