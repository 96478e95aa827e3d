//! The events of a page.

use std::borrow::Cow;

use serde::Deserialize;
use tower_workos::{DirectoryEvent, ParseError, Timestamp};

use crate::{
    api::page,
    text::{id, micros},
};

/// An event of a page.
pub(super) struct Entry {
    /// `None` if it can't be a position.
    pub(super) id: Option<String>,
    /// When it happened, in microseconds, if that is known.
    pub(super) at: Option<i64>,
    pub(super) body: Result<DirectoryEvent, ParseError>,
}

impl Entry {
    pub(super) fn new(entry: page::Entry) -> Self {
        let page::Entry { id: text, json } = entry;
        let body = DirectoryEvent::parse(json);
        let at = match &body {
            Ok(event) => event.created_at(),
            Err(error) => created_at(error.raw()),
        };
        // Other ids can't be stored in every database.
        let text = text.filter(|text| matches!(id(text), Cow::Borrowed(_)));
        Self { id: text, at: at.map(micros), body }
    }
}

/// The time of a body that is not an event.
fn created_at(json: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Created<'b> {
        #[serde(borrow)]
        created_at: Cow<'b, str>,
    }

    let created: Created<'_> = serde_json::from_slice(json).ok()?;
    created.created_at.parse().ok()
}

/// How much of a page can be handled.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// This many of the first events.
    pub(super) take: usize,
    /// Whether the next event is too young: others that happened before it may not be visible yet.
    pub(super) is_young: bool,
}

impl Cut {
    /// The times are those of the events, in the order of the page. `limit` is the time of the youngest event that is old
    /// enough.
    pub(super) fn new(times: &[Option<i64>], limit: i64, is_last_page: bool) -> Self {
        let is_too_young = |at: &Option<i64>| at.is_some_and(|at| at > limit);
        let young = times.iter().position(is_too_young);
        let old = times.get(..young.unwrap_or(times.len())).unwrap_or_default();
        // An event without a time is as old as the next one whose time is known.
        let known = old.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        // A whole page without times, and more after it, is not at the end of the stream.
        let is_lost = known == 0 && young.is_none() && !is_last_page;
        Self { take: if is_lost { times.len() } else { known }, is_young: young.is_some() }
    }
}

#[cfg(test)]
mod tests {
    use super::Cut;

    #[test]
    fn nothing_young_is_taken() {
        let cut = |times: &[i64], is_last_page| {
            // 0 is an unknown time.
            let times: Vec<_> = times.iter().map(|at| (*at > 0).then_some(*at)).collect();
            let cut = Cut::new(&times, 10, is_last_page);
            (cut.take, cut.is_young)
        };
        for last in [false, true] {
            assert_eq!(cut(&[], last), (0, false));
            assert_eq!(cut(&[1, 9, 10], last), (3, false));
            assert_eq!(cut(&[1, 10, 11, 12], last), (2, true));
            assert_eq!(cut(&[11], last), (0, true));
            assert_eq!(cut(&[11, 5], last), (0, true));
            assert_eq!(cut(&[1, 0, 9], last), (3, false));
            assert_eq!(cut(&[1, 0, 0], last), (1, false));
            assert_eq!(cut(&[1, 0, 11], last), (1, true));
            assert_eq!(cut(&[0, 11], last), (0, true));
        }
        assert_eq!(cut(&[0, 0], true), (0, false));
        assert_eq!(cut(&[0, 0], false), (2, false));
    }
}
