//! The responses of the API.

use std::{borrow::Cow, collections::HashSet};

use bytes::Bytes;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use tower_workos::Timestamp;

use crate::api::error::{ApiError, ApiErrorKind};

/// A page of a list.
pub(crate) struct ListPage {
    pub(crate) items: Vec<Item>,
    /// How many items have no readable id.
    pub(crate) unreadable: usize,
    /// The position of the next page; `None` after the last one.
    pub(crate) after: Option<String>,
    /// The header `Date`.
    pub(crate) date: Option<Timestamp>,
}

/// An object.
pub(crate) struct Item {
    pub(crate) id: String,
    /// The object as it was sent.
    pub(crate) json: Bytes,
}

/// One object, or the fact that the API does not know it.
pub(crate) struct Found {
    pub(crate) item: Option<Item>,
    pub(crate) date: Option<Timestamp>,
}

/// A page of events, in their order.
pub(crate) struct EventPage {
    pub(crate) entries: Vec<Entry>,
    pub(crate) after: Option<String>,
    pub(crate) date: Option<Timestamp>,
}

/// An event.
pub(crate) struct Entry {
    /// `None` if it can't be read.
    pub(crate) id: Option<String>,
    /// The event as it was sent.
    pub(crate) json: Bytes,
}

/// The body of a response has another format than expected.
pub(super) struct Unreadable;

#[derive(Deserialize)]
struct Body<'b> {
    #[serde(borrow)]
    data: Vec<&'b RawValue>,
    // Without it, it would be unknown whether this is the last page.
    #[serde(borrow)]
    list_metadata: &'b RawValue,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    after: Option<String>,
}

#[derive(Deserialize)]
struct Identified<'b> {
    #[serde(borrow)]
    id: Cow<'b, str>,
}

impl ListPage {
    pub(super) fn read(body: &Bytes, date: Option<Timestamp>) -> Result<Self, Unreadable> {
        let EventPage { entries, after, date } = EventPage::read(body, date)?;
        let all = entries.len();
        let items: Vec<_> = entries
            .into_iter()
            .filter_map(|entry| Some(Item { id: entry.id?, json: entry.json }))
            .collect();
        Ok(Self { unreadable: all - items.len(), items, after, date })
    }
}

impl EventPage {
    pub(super) fn read(body: &Bytes, date: Option<Timestamp>) -> Result<Self, Unreadable> {
        // A byte that is not UTF-8 must not hide the other items.
        let text = String::from_utf8_lossy(body);
        let Body { data, list_metadata } = object(&text)?;
        let Metadata { after } = object(list_metadata.get())?;
        if after.as_deref() == Some("") {
            return Err(Unreadable);
        }
        let entries = data
            .into_iter()
            .map(|item| Entry {
                id: id(item.get()),
                json: Bytes::copy_from_slice(item.get().as_bytes()),
            })
            .collect();
        Ok(Self { entries, after, date })
    }
}

impl Found {
    /// Reads the object with this id.
    pub(super) fn read(
        body: &Bytes,
        wanted: &str,
        date: Option<Timestamp>,
    ) -> Result<Self, Unreadable> {
        let text = String::from_utf8_lossy(body);
        let id = id(&text).filter(|id| id == wanted).ok_or(Unreadable)?;
        let json = Bytes::copy_from_slice(text.trim().as_bytes());
        Ok(Self { item: Some(Item { id, json }), date })
    }

    /// Reads the body of a 404. A 404 in HTML comes from a proxy or another server, and does not prove that the object does
    /// not exist.
    pub(super) fn read_missing(body: &Bytes, date: Option<Timestamp>) -> Result<Self, Unreadable> {
        object::<IgnoredAny>(&String::from_utf8_lossy(body))?;
        Ok(Self { item: None, date })
    }
}

fn id(json: &str) -> Option<String> {
    let Identified { id } = object(json).ok()?;
    (!id.is_empty()).then(|| id.into_owned())
}

/// Reads a JSON object. serde would also read an array of the fields.
fn object<'j, T: Deserialize<'j>>(json: &'j str) -> Result<T, Unreadable> {
    if !json.trim_start().starts_with('{') {
        return Err(Unreadable);
    }
    serde_json::from_str(json).map_err(|_| Unreadable)
}

/// Guards a walk through the pages of a list against a list that never ends.
pub(crate) struct Pages {
    seen: HashSet<String>,
    max: usize,
}

impl Pages {
    /// A walk of at most this many pages.
    pub(crate) fn new(max: usize) -> Self {
        Self { seen: HashSet::new(), max }
    }

    /// Call it with the position after each page. Returns the same position.
    pub(crate) fn advance(&mut self, after: Option<String>) -> Result<Option<String>, ApiError> {
        let Some(after) = after else { return Ok(None) };
        // The first page has no position.
        if self.seen.len() + 1 >= self.max {
            let message = format!("the list has more than {} pages: raise max_pages", self.max);
            return Err(ApiError::new(ApiErrorKind::TooManyPages, message));
        }
        if !self.seen.insert(after.clone()) {
            let message = "the API returned the same position in a list twice: try again later";
            return Err(ApiError::new(ApiErrorKind::Cursor, message));
        }
        Ok(Some(after))
    }
}
