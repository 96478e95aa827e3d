//! Pages.

use serde::Serialize;

/// The maximum number of items in a page.
const MOST: usize = 1000;

/// Which part of a list to read: the items after an id, up to a number.
///
/// A page is found by the id before it (keyset pagination). So the last page is as fast as the first one, and an item that
/// appears or disappears in between does not shift other items to another page.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<I> {
    /// The id before the page; `None` for the first page. An item with this id does not have to exist.
    pub after: Option<I>,
    /// How many items the page has at most. Values outside 1 to 1000 count as the nearest of these.
    pub limit: usize,
}

impl<I> Page<I> {
    /// The first page, with at most this many items.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { after: None, limit }
    }

    /// The page after this id.
    #[must_use]
    pub fn after(self, id: impl Into<I>) -> Self {
        Self { after: Some(id.into()), ..self }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.clamp(1, MOST)
    }
}

/// The first 100 items.
impl<I> Default for Page<I> {
    fn default() -> Self {
        Self::new(100)
    }
}

/// A page of items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Listing<T, I> {
    /// The items, sorted by id.
    pub items: Vec<T>,
    /// The next page; `None` if this is the last one. In JSON: the id after which it begins, or `null`.
    #[serde(serialize_with = "only_id", bound(serialize = "I: Serialize"))]
    pub next: Option<Page<I>>,
}

fn only_id<I: Serialize, S: serde::Serializer>(
    next: &Option<Page<I>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    next.as_ref().and_then(|page| page.after.as_ref()).serialize(serializer)
}
