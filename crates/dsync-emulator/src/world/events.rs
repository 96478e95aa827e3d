//! The events that the Events API still knows.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;

use super::item::{Id, Place};

/// Events by time, then id.
#[derive(Default)]
pub(crate) struct EventLog {
    events: BTreeMap<Place, LoggedEvent>,
    times: HashMap<Id, i64>,
}

#[derive(Clone)]
pub(crate) struct LoggedEvent {
    pub(crate) name: Box<str>,
    pub(crate) organization: Option<Id>,
    pub(crate) body: Bytes,
    /// Whether the body says `"object":"event"`.
    pub(crate) has_object: bool,
}

impl LoggedEvent {
    /// The event in the format of the API, which differs from a webhook's body by `object`.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let body = self.body.trim_ascii();
        match body.strip_suffix(b"}").filter(|_| !self.has_object) {
            Some(members) => {
                out.extend_from_slice(members);
                out.extend_from_slice(br#","object":"event"}"#);
            }
            None => out.extend_from_slice(body),
        }
    }
}

impl EventLog {
    pub(super) fn insert(&mut self, id: Id, happened_at: i64, event: LoggedEvent) {
        self.times.insert(Arc::clone(&id), happened_at);
        self.events.insert((happened_at, id), event);
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.times.contains_key(id)
    }

    /// Removes the event. Returns whether there was one.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let removed = self.times.remove_entry(id);
        removed.is_some_and(|(id, at)| self.events.remove(&(at, id)).is_some())
    }

    /// Forgets what happened before this time.
    pub(super) fn forget(&mut self, before: i64) {
        while let Some(first) = self.events.first_entry().filter(|first| first.key().0 < before) {
            let ((_, id), _) = first.remove_entry();
            self.times.remove(&id);
        }
    }

    pub(crate) fn events(&self) -> &BTreeMap<Place, LoggedEvent> {
        &self.events
    }

    /// The place of an event that is still known.
    pub(crate) fn place(&self, id: &str) -> Option<Place> {
        self.times.get_key_value(id).map(|(id, at)| (*at, Arc::clone(id)))
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }
}
