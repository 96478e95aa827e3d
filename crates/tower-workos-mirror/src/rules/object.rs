//! The cells of a directory, a group or a user.

use std::borrow::Cow;

use crate::rules::document::{Document, ObjectKind};

/// The version that an event contains. The greatest one counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EventVersion {
    /// The object's `updated_at`. If it has none, the event's time for an object that is not active, so that access
    /// ends, and the lowest value for an active one.
    pub(crate) updated: i64,
    /// The event's time.
    pub(crate) at: i64,
    /// If both times are equal, the version that gives no access wins.
    pub(crate) inactive: bool,
    pub(crate) event: String,
}

/// The version that a list of the API contained. The greatest one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ListVersion {
    /// The fence of the list.
    pub(crate) at: i64,
    /// The object's `updated_at`.
    pub(crate) updated: i64,
}

/// The `updated_at` of an active object that has none: below all others, even below an unknown time.
pub(crate) const LOWEST: i64 = i64::MIN;
/// The time of an event whose time is unknown: earlier than any time that [`micros`](crate::text::micros) returns.
pub(crate) const UNKNOWN: i64 = LOWEST + 1;

/// What is known about an object, as cells. The facts of an event have the same form, with few cells set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) id: String,
    /// Set once. If events disagree, which WorkOS never sends, the smallest id counts.
    pub(crate) directory_id: Option<String>,
    pub(crate) event: Option<(EventVersion, Document)>,
    pub(crate) list: Option<(ListVersion, Document)>,
    /// The latest time at which the object certainly existed. Removals are not evidence.
    pub(crate) evidence_at: Option<i64>,
    /// The latest time at which it was certainly absent from the API.
    pub(crate) absent_at: Option<i64>,
    /// The fence of the latest complete list of a directory's users and groups, or of a group's members. What has no later
    /// evidence is absent, even if the tables learn of it only afterwards.
    pub(crate) listed_at: Option<i64>,
    /// The environment of WorkOS whose list contained this directory. Set once.
    pub(crate) environment: Option<String>,
    /// The first known deletion: its time and its event.
    pub(crate) deleted: Option<(i64, String)>,
    /// The latest event of a batch that says something about this object. It is not stored.
    pub(crate) cause: Option<Cause>,
}

/// The time and the id of an event.
pub(crate) type Cause = (i64, String);

impl Object {
    pub(crate) fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            directory_id: None,
            event: None,
            list: None,
            evidence_at: None,
            absent_at: None,
            listed_at: None,
            environment: None,
            deleted: None,
            cause: None,
        }
    }

    /// Adds what `other` knows about the same object.
    pub(crate) fn merge(&mut self, other: Self) {
        lesser(&mut self.directory_id, other.directory_id);
        lesser(&mut self.deleted, other.deleted);
        self.evidence_at = self.evidence_at.max(other.evidence_at);
        self.absent_at = self.absent_at.max(other.absent_at);
        self.forget_refuted_absence();
        self.listed_at = self.listed_at.max(other.listed_at);
        lesser(&mut self.environment, other.environment);
        greater(&mut self.event, other.event);
        greater(&mut self.list, other.list);
        self.cause = self.cause.take().max(other.cause);
        if self.deleted.is_some() {
            self.erase();
        }
    }

    /// Forgets everything except the ids and the deletion. The rest is never shown again, and can be about a person.
    pub(crate) fn erase(&mut self) {
        self.event = None;
        self.list = None;
        self.evidence_at = None;
        self.absent_at = None;
        self.listed_at = None;
        self.environment = None;
    }

    /// Applies the list of what contains this object: it lacked the object if there is no later evidence.
    pub(crate) fn compare_with_list(&mut self, listed_at: Option<i64>) {
        if self.evidence_at.is_some() && self.evidence_at < listed_at {
            self.absent_at = self.absent_at.max(listed_at);
        }
    }

    /// Forgets an absence that is not later than the evidence. Evidence never becomes older, so that absence can't matter
    /// again, and the index of absences contains only what is absent.
    fn forget_refuted_absence(&mut self) {
        if self.absent_at <= self.evidence_at {
            self.absent_at = None;
        }
    }

    /// Forgets the contents of the versions, except the state. The directory is deleted, and the rest can be about a
    /// person.
    ///
    /// The cells remain, because an event that contradicts the others can still move the object to another directory.
    pub(crate) fn erase_documents(&mut self, kind: ObjectKind) {
        let event = self.event.as_mut().map(|(_, document)| document);
        let list = self.list.as_mut().map(|(_, document)| document);
        for document in event.into_iter().chain(list) {
            document.erase(kind);
        }
    }

    /// The version that is shown: the list's if its fence is later than the event, otherwise the greater one.
    pub(crate) fn document(&self) -> Option<&Document> {
        match (&self.event, &self.list) {
            (Some((event, document)), Some((list, listed))) => {
                if shows_list(event, list) {
                    Some(listed)
                } else {
                    Some(document)
                }
            }
            (Some((_, document)), None) | (None, Some((_, document))) => Some(document),
            (None, None) => None,
        }
    }

    /// [`document`](Self::document) with the columns that lists lack: those of the event remain.
    pub(crate) fn shown(&self, kind: ObjectKind) -> Option<Cow<'_, Document>> {
        let shown = self.document()?;
        match &self.event {
            Some((_, event)) if kind == ObjectKind::Directory && self.is_list_shown() => {
                let mut shown = shown.clone();
                shown.copy_unlisted(event);
                Some(Cow::Owned(shown))
            }
            _ => Some(Cow::Borrowed(shown)),
        }
    }

    /// Whether the version that is shown comes from a list.
    pub(crate) fn is_list_shown(&self) -> bool {
        match (&self.event, &self.list) {
            (Some((event, _)), Some((list, _))) => shows_list(event, list),
            (None, Some(_)) => true,
            _ => false,
        }
    }

    /// Whether it exists, regardless of its directory: there is evidence that is not older than any absence.
    pub(crate) fn is_present(&self) -> bool {
        self.deleted.is_none() && self.evidence_at.is_some() && self.evidence_at >= self.absent_at
    }

    /// Whether a directory is gone, and its users and groups with it. A directory that was never seen is not gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.deleted.is_some() || self.absent_at > self.evidence_at
    }

    /// The state that is shown.
    pub(crate) fn state(&self, kind: ObjectKind) -> Option<&str> {
        self.document()?.state(kind)
    }
}

fn shows_list(event: &EventVersion, list: &ListVersion) -> bool {
    list.at > event.at || (list.updated, list.at) > (event.updated, event.at)
}

fn lesser<T: Ord>(cell: &mut Option<T>, other: Option<T>) {
    match (&*cell, &other) {
        (_, None) => {}
        (Some(known), Some(new)) if known <= new => {}
        _ => *cell = other,
    }
}

fn greater<V: Ord>(cell: &mut Option<(V, Document)>, other: Option<(V, Document)>) {
    let is_greater = match (&*cell, &other) {
        (Some((known, _)), Some((new, _))) => new > known,
        (None, Some(_)) => true,
        (_, None) => false,
    };
    if is_greater {
        *cell = other;
    }
}

/// Whether the state of a directory ends the access of its users: `inactive`, `deleting` and any state that this version
/// does not know. A directory without a state, or one that was never seen, doesn't.
pub(crate) fn ends_access(directory_state: Option<&str>) -> bool {
    !matches!(
        directory_state,
        None | Some("active" | "invalid_credentials" | "linked" | "validating")
    )
}
