//! What an event says, as facts that can be merged.

use tower_workos::{
    Directory, DirectoryEvent, DirectoryGroup, DirectoryId, DirectoryUser, EventData,
    GroupMembership, Timestamp,
};

use crate::{
    rules::{
        batch::Batch,
        document::{Document, ObjectKind},
        member::{Member, Operation},
        object::{EventVersion, LOWEST, Object, UNKNOWN, ends_access},
    },
    text::{id, micros},
};

/// A state that was sent but can't be read. No directory state of WorkOS has this name, so it ends access.
pub(crate) const UNREADABLE: &str = "unreadable";

/// Adds the facts of an event to a batch. Events about tokens and unknown events contain none.
pub(crate) fn add(batch: &mut Batch, event: &DirectoryEvent) {
    let facts = Facts {
        at: event.created_at().map_or(UNKNOWN, micros),
        id: id(event.id().as_str()).into_owned(),
        event,
    };
    match event.data() {
        EventData::DirectoryActivated(directory) => {
            facts.directory(batch, directory);
        }
        EventData::DirectoryDeleted(directory) => {
            batch.object(ObjectKind::Directory, facts.deletion(directory.id.as_str(), None));
        }
        EventData::GroupCreated(group) => facts.group(batch, group),
        EventData::GroupUpdated(it) => facts.group(batch, &it.group),
        EventData::GroupDeleted(group) => batch.object(
            ObjectKind::Group,
            facts.deletion(group.id.as_str(), group.directory_id.as_ref()),
        ),
        EventData::GroupUserAdded(membership) => facts.membership(batch, membership, false),
        EventData::GroupUserRemoved(membership) => facts.membership(batch, membership, true),
        EventData::UserCreated(user) => facts.user(batch, user),
        EventData::UserUpdated(it) => facts.user(batch, &it.user),
        EventData::UserDeleted(user) => batch
            .object(ObjectKind::User, facts.deletion(user.id.as_str(), user.directory_id.as_ref())),
        _ => {}
    }
}

/// The state of a directory, or a state that ends access if there is one that can't be read.
pub(crate) fn readable_state<'a>(
    event: &DirectoryEvent,
    directory: &'a Directory,
) -> Option<&'a str> {
    let unreadable = is_unreadable(event, "data.state").then_some(UNREADABLE);
    let state = directory.state.as_ref().map(|state| state.as_str()).or(unreadable);
    // An empty text is stored as NULL, which would not end access.
    state.map(|state| if state.is_empty() { UNREADABLE } else { state })
}

fn is_unreadable(event: &DirectoryEvent, path: &str) -> bool {
    event.unreadable_fields().iter().any(|it| it == path)
}

struct Facts<'a> {
    /// The event's time.
    at: i64,
    id: String,
    event: &'a DirectoryEvent,
}

impl Facts<'_> {
    fn directory(&self, batch: &mut Batch, directory: &Directory) {
        let state = readable_state(self.event, directory);
        let mut object = self.owned(directory.id.as_str(), None);
        object.evidence_at = Some(self.at);
        let version = self.version(directory.updated_at, ends_access(state));
        let document = || Document::of_directory(directory, state);
        self.add(batch, ObjectKind::Directory, object, Some(version), document);
    }

    fn group(&self, batch: &mut Batch, group: &DirectoryGroup) {
        let mut object = self.owned(group.id.as_str(), group.directory_id.as_ref());
        object.evidence_at = Some(self.at);
        let version = Some(self.version(group.updated_at, false));
        self.add(batch, ObjectKind::Group, object, version, || Document::of_group(group));
    }

    fn user(&self, batch: &mut Batch, user: &DirectoryUser) {
        let mut object = self.owned(user.id.as_str(), user.directory_id.as_ref());
        object.evidence_at = Some(self.at);
        let version = Some(self.version(user.updated_at, !user.is_active()));
        self.add(batch, ObjectKind::User, object, version, || Document::of_user(user));
    }

    fn add(
        &self,
        batch: &mut Batch,
        kind: ObjectKind,
        mut object: Object,
        version: Option<EventVersion>,
        document: impl FnOnce() -> Document,
    ) {
        let version = version.filter(|version| !batch.is_beaten(kind, &object.id, version));
        object.event = version.map(|version| (version, document()));
        batch.object(kind, object);
    }

    fn deletion(&self, object: &str, directory: Option<&DirectoryId>) -> Object {
        let mut object = self.owned(object, directory);
        object.deleted = Some((self.at, self.id.clone()));
        object
    }

    /// The user and the group inside are versions too, if they can be compared with others. Leaving a group is not evidence
    /// that either exists.
    fn membership(&self, batch: &mut Batch, membership: &GroupMembership, removed: bool) {
        let GroupMembership { user, group, .. } = membership;
        let evidence = (!removed).then_some(self.at);
        let directory = membership.directory_id.as_ref();

        let mut facts = self.owned(user.id.as_str(), user.directory_id.as_ref().or(directory));
        facts.evidence_at = evidence;
        let has_state = user.state.is_some() || is_unreadable(self.event, "data.user.state");
        let version = (has_state && user.updated_at.is_some())
            .then(|| self.version(user.updated_at, !user.is_active()));
        self.add(batch, ObjectKind::User, facts, version, || Document::of_user(user));

        let mut facts = self.owned(group.id.as_str(), group.directory_id.as_ref().or(directory));
        facts.evidence_at = evidence;
        let version = group.updated_at.is_some().then(|| self.version(group.updated_at, false));
        self.add(batch, ObjectKind::Group, facts, version, || Document::of_group(group));

        let operation = Operation { at: self.at, removed, event: self.id.clone() };
        batch.member(
            id(group.id.as_str()).into_owned(),
            id(user.id.as_str()).into_owned(),
            Member { operation: Some(operation), absent_at: None },
        );
    }

    fn version(&self, updated_at: Option<Timestamp>, inactive: bool) -> EventVersion {
        let otherwise = if inactive { self.at } else { LOWEST };
        let updated = updated_at.map_or(otherwise, micros);
        EventVersion { updated, at: self.at, inactive, event: self.id.clone() }
    }

    fn owned(&self, object: &str, directory: Option<&DirectoryId>) -> Object {
        let mut object = Object::new(id(object));
        object.directory_id = directory.map(|directory| id(directory.as_str()).into_owned());
        object.cause = Some((self.at, self.id.clone()));
        object
    }
}
