//! Pages of lists.

use std::{collections::BTreeMap, ops::Bound};

use super::{params::Params, problem::Problem};
use crate::world::{Id, Place};

const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: usize = 100;

/// Which page of a list a request wants.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) limit: usize,
    pub(super) order: Order,
    pub(super) cursor: Option<Cursor>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// The oldest first.
    Ascending,
    /// The newest first.
    Descending,
    /// The newest first, where `before` means older and `after` newer.
    Normal,
}

/// Where the page begins, or ends.
#[derive(Debug)]
pub(super) struct Cursor {
    place: Place,
    /// Whether the page follows the place in the order of the list.
    is_after: bool,
}

/// A page: the places of the items, and the cursors of the pages around it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) places: Vec<Place>,
    pub(super) before: Option<Id>,
    pub(super) after: Option<Id>,
}

impl Listing {
    /// Reads the parameters. `place` returns the place of an id.
    pub(super) fn read(
        params: &Params<'_>,
        place: impl Fn(&str) -> Option<Place>,
    ) -> Result<Self, Problem> {
        let limit = params.get("limit").map_or(Ok(DEFAULT_LIMIT), |limit| {
            let limit = limit.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
            limit.ok_or_else(|| Problem::invalid("limit", "limit must be from 1 to 100"))
        })?;
        let order = match params.get("order") {
            None | Some("desc") => Order::Descending,
            Some("asc") => Order::Ascending,
            Some("normal") => Order::Normal,
            Some(_) => {
                let message = "order must be one of the following values: asc, desc, normal";
                return Err(Problem::invalid("order", message));
            }
        };
        let cursor = |name, id| {
            let message = format!("{name} is not the id of an item of this list");
            let place = place(id).ok_or_else(|| Problem::invalid(name, message))?;
            let is_after = (name == "after") == (order != Order::Normal);
            Ok(Some(Cursor { place, is_after }))
        };
        let cursor = match (params.get("before"), params.get("after")) {
            (None, None) => None,
            (None, Some(id)) => cursor("after", id)?,
            (Some(id), None) => cursor("before", id)?,
            (Some(_), Some(_)) => {
                return Err(Problem::invalid("before", "before and after exclude each other"));
            }
        };
        Ok(Self { limit, order, cursor })
    }

    /// Takes the page out of a list. `created` limits the time of creation, in Unix milliseconds, without its end.
    pub(super) fn page<V>(
        &self,
        list: &BTreeMap<Place, V>,
        created: std::ops::Range<i64>,
        keep: impl Fn(&Place, &V) -> bool,
    ) -> Page {
        let first = (created.start, Id::from(""));
        let last = (created.end, Id::from(""));
        if first >= last {
            return Page::default();
        }
        let whole = (Bound::Included(first), Bound::Excluded(last));
        // Whether the list is read in the order of creation.
        let is_after = self.cursor.as_ref().is_none_or(|cursor| cursor.is_after);
        let forward = (self.order == Order::Ascending) == is_after;
        let rest = |from: Option<&Place>, forward: bool| {
            let limits = match from {
                Some(place) => narrow(&whole, place, forward),
                None => Some(whole.clone()),
            };
            let items = limits.map(|limits| list.range(limits)).into_iter().flatten();
            let items: Box<dyn Iterator<Item = (&Place, &V)>> = match forward {
                true => Box::new(items),
                false => Box::new(items.rev()),
            };
            items.filter(|(place, value)| keep(place, value)).map(|(place, _)| place)
        };
        let start = self.cursor.as_ref().map(|cursor| &cursor.place);
        let mut places: Vec<Place> = rest(start, forward).take(self.limit).cloned().collect();
        let beyond = |place: Option<&Place>, forward| {
            let place = place?;
            rest(Some(place), forward).next().map(|_| place.1.clone())
        };
        let mut before = beyond(places.first(), !forward);
        let mut after = beyond(places.last(), forward);
        if !is_after {
            places.reverse();
            std::mem::swap(&mut before, &mut after);
        }
        if self.order == Order::Normal {
            std::mem::swap(&mut before, &mut after);
        }
        Page { places, before, after }
    }
}

type Limits = (Bound<Place>, Bound<Place>);

/// The part of the limits on one side of a place. `None` if there is nothing.
fn narrow(whole: &Limits, place: &Place, forward: bool) -> Option<Limits> {
    let place_bound = Bound::Excluded(place.clone());
    let (Bound::Included(first), Bound::Excluded(last)) = whole else { return None };
    if forward {
        if place >= last {
            return None;
        }
        let start = if place < first { whole.0.clone() } else { place_bound };
        return Some((start, whole.1.clone()));
    }
    if place <= first {
        return None;
    }
    let end = if place > last { whole.1.clone() } else { place_bound };
    Some((whole.0.clone(), end))
}
