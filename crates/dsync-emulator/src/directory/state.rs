//! Computes the state after a set of events.

use std::collections::HashMap;

use tower_workos::{
    Directory, DirectoryEvent, DirectoryGroup, DirectoryGroupId, DirectoryId, DirectoryState,
    DirectoryUser, DirectoryUserId, EventData, EventId, GroupMembership, Timestamp,
};

use super::{
    record::{DirectoryRecord, GroupRecord, MembershipRecord, UserRecord},
    snapshot::Snapshot,
};

/// The state that a correct application holds after it received some events, in any order and with any duplicates. See
/// [the rules](super#the-rules).
///
/// It remembers every deleted id and every ended membership, because an older event may still arrive. For the same reason,
/// it keeps the users and groups of a deleted directory. It takes about 0.9 KB for each user that was not deleted itself,
/// and 0.15 KB for each deleted id and each membership.
#[derive(Clone, Default)]
pub struct State {
    directories: HashMap<DirectoryId, Object<DirectoryRecord>>,
    groups: HashMap<DirectoryGroupId, Object<GroupRecord>>,
    users: HashMap<DirectoryUserId, Object<UserRecord>>,
    memberships: HashMap<DirectoryGroupId, HashMap<DirectoryUserId, Operation>>,
}

impl State {
    /// Applies an event. Events about tokens and unknown events change nothing.
    pub fn apply(&mut self, event: &DirectoryEvent) {
        match event.data() {
            EventData::DirectoryActivated(directory) => self.directory(event, directory),
            EventData::DirectoryDeleted(directory) => {
                self.directories.entry(directory.id.clone()).or_default().delete();
            }
            EventData::GroupCreated(group) => self.group(event, group, Part::OWN),
            EventData::GroupUpdated(change) => self.group(event, &change.group, Part::OWN),
            EventData::GroupDeleted(group) => {
                self.groups.entry(group.id.clone()).or_default().delete();
                self.memberships.remove(&group.id);
            }
            EventData::GroupUserAdded(membership) => self.membership(event, membership, true),
            EventData::GroupUserRemoved(membership) => self.membership(event, membership, false),
            EventData::UserCreated(user) => self.user(event, user, Part::OWN),
            EventData::UserUpdated(change) => self.user(event, &change.user, Part::OWN),
            EventData::UserDeleted(user) => {
                self.users.entry(user.id.clone()).or_default().delete();
            }
            _ => {}
        }
    }

    /// Returns the current state.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (id, directory) in self.directories.iter().filter(|(_, it)| self.exists(it)) {
            snapshot.directories.push(DirectoryRecord { id: id.to_string(), ..directory.record() });
        }
        for (id, group) in self.groups.iter().filter(|(_, it)| self.exists(it)) {
            snapshot.groups.push(GroupRecord {
                id: id.to_string(),
                directory_id: group.directory_id.as_ref().map(ToString::to_string),
                ..group.record()
            });
        }
        for (id, user) in self.users.iter().filter(|(_, it)| self.exists(it)) {
            if self.has_access(user) {
                snapshot.access.push(id.to_string());
            }
            snapshot.users.push(UserRecord {
                id: id.to_string(),
                directory_id: user.directory_id.as_ref().map(ToString::to_string),
                ..user.record()
            });
        }
        for (group_id, members) in &self.memberships {
            if !self.groups.get(group_id).is_some_and(|group| self.exists(group)) {
                continue;
            }
            for (user_id, latest) in members {
                let user = self.users.get(user_id);
                if !latest.is_removal && user.is_some_and(|user| self.exists(user)) {
                    snapshot.memberships.push(MembershipRecord {
                        group_id: group_id.to_string(),
                        user_id: user_id.to_string(),
                    });
                }
            }
        }
        snapshot.sorted()
    }

    fn exists<R>(&self, object: &Object<R>) -> bool {
        // A directory that was never seen counts as present.
        let directory = object.directory_id.as_ref().and_then(|id| self.directories.get(id));
        object.has_evidence && !object.is_deleted && !directory.is_some_and(|it| it.is_deleted)
    }

    /// Whether an existing user has access.
    fn has_access(&self, user: &Object<UserRecord>) -> bool {
        let directory = user.directory_id.as_ref().and_then(|id| self.directories.get(id));
        let of_directory = directory.and_then(|directory| directory.version.as_ref());
        user.version.as_ref().is_some_and(|version| !version.key.is_not_active)
            && !of_directory.is_some_and(|version| version.key.is_not_active)
    }

    fn directory(&mut self, event: &DirectoryEvent, directory: &Directory) {
        let known = self.directories.entry(directory.id.clone()).or_default();
        known.has_evidence = true;
        let key = Key::new(event, directory.updated_at, ends_access(event, directory));
        known.offer(key, || DirectoryRecord { id: String::new(), ..directory.into() });
    }

    fn user(&mut self, event: &DirectoryEvent, user: &DirectoryUser, part: Part<'_>) {
        let known = self.users.entry(user.id.clone()).or_default();
        known.name_directory(user.directory_id.as_ref().or(part.directory_id));
        known.has_evidence |= part.is_evidence;
        if part.is_version {
            let key = Key::new(event, user.updated_at, !user.is_active());
            known.offer(key, || UserRecord {
                id: String::new(),
                directory_id: None,
                ..user.into()
            });
        }
    }

    fn group(&mut self, event: &DirectoryEvent, group: &DirectoryGroup, part: Part<'_>) {
        let known = self.groups.entry(group.id.clone()).or_default();
        known.name_directory(group.directory_id.as_ref().or(part.directory_id));
        known.has_evidence |= part.is_evidence;
        if part.is_version {
            let key = Key::new(event, group.updated_at, false);
            known.offer(key, || GroupRecord {
                id: String::new(),
                directory_id: None,
                ..group.into()
            });
        }
    }

    fn membership(&mut self, event: &DirectoryEvent, membership: &GroupMembership, added: bool) {
        let GroupMembership { directory_id, user, group, .. } = membership;
        let part = |is_version| Part {
            directory_id: directory_id.as_ref(),
            is_evidence: added,
            is_version,
        };
        let has_state = user.state.is_some() || is_unreadable(event, "data.user.state");
        self.user(event, user, part(user.updated_at.is_some() && has_state));
        self.group(event, group, part(group.updated_at.is_some()));
        if self.groups.get(&group.id).is_some_and(|group| group.is_deleted) {
            return;
        }
        let latest = Operation { at: time(event), is_removal: !added };
        let members = self.memberships.entry(group.id.clone()).or_default();
        let known = members.entry(user.id.clone()).or_insert(latest);
        *known = latest.max(*known);
    }
}

/// Shows counts only.
impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("directories", &self.directories.len())
            .field("groups", &self.groups.len())
            .field("users", &self.users.len())
            .finish_non_exhaustive()
    }
}

/// What is known about a directory, a group or a user. Each field is a maximum, a minimum or a flag that is never cleared,
/// so the order of the events does not matter.
#[derive(Clone)]
struct Object<R> {
    /// The greatest version. Boxed to save memory, because deleted ids have none.
    version: Option<Box<Version<R>>>,
    /// The smallest directory id that an event named.
    directory_id: Option<DirectoryId>,
    has_evidence: bool,
    is_deleted: bool,
}

impl<R> Default for Object<R> {
    fn default() -> Self {
        Self { version: None, directory_id: None, has_evidence: false, is_deleted: false }
    }
}

impl<R: Clone + Default> Object<R> {
    /// The fields of the greatest version.
    fn record(&self) -> R {
        self.version.as_ref().map(|version| version.record.clone()).unwrap_or_default()
    }
}

impl<R> Object<R> {
    /// Stores a version unless a greater one is known.
    fn offer(&mut self, key: Key, record: impl FnOnce() -> R) {
        if !self.is_deleted && self.version.as_ref().is_none_or(|known| known.key < key) {
            self.version = Some(Box::new(Version { key, record: record() }));
        }
    }

    fn name_directory(&mut self, id: Option<&DirectoryId>) {
        if let Some(id) = id.filter(|_| !self.is_deleted)
            && self.directory_id.as_ref().is_none_or(|known| id < known)
        {
            self.directory_id = Some(id.clone());
        }
    }

    /// Deletes the object. Nothing else about it matters afterwards.
    fn delete(&mut self) {
        *self = Self { is_deleted: true, ..Self::default() };
    }
}

#[derive(Clone)]
struct Version<R> {
    key: Key,
    /// Without the ids of the object and of its directory.
    record: R,
}

/// The order of versions; the fields are compared from top to bottom.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// `None` is lower than any time.
    updated_at: Option<Timestamp>,
    happened_at: Timestamp,
    is_not_active: bool,
    event: EventId,
}

impl Key {
    fn new(event: &DirectoryEvent, updated_at: Option<Timestamp>, is_not_active: bool) -> Self {
        let happened_at = time(event);
        // A grant must not win because its time is unknown.
        let otherwise = is_not_active.then_some(happened_at);
        Self {
            updated_at: updated_at.or(otherwise),
            happened_at,
            is_not_active,
            event: event.id().clone(),
        }
    }
}

/// An operation on a membership. The greatest one counts, so a removal wins if the times are equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Operation {
    at: Timestamp,
    is_removal: bool,
}

/// What an event that contains a user or a group says about it.
struct Part<'a> {
    /// The directory of the event, for a user or a group that doesn't name its own.
    directory_id: Option<&'a DirectoryId>,
    is_evidence: bool,
    is_version: bool,
}

impl Part<'_> {
    /// An event about the object itself.
    const OWN: Self = Self { directory_id: None, is_evidence: true, is_version: true };
}

/// When the event happened, or the lowest time if that is unknown.
fn time(event: &DirectoryEvent) -> Timestamp {
    event.created_at().unwrap_or_else(|| Timestamp::from_unix_millis_saturating(i64::MIN))
}

/// Whether the state of a directory ends the access of its users. An absent state does not.
fn ends_access(event: &DirectoryEvent, directory: &Directory) -> bool {
    match directory.state {
        Some(
            DirectoryState::Active
            | DirectoryState::InvalidCredentials
            | DirectoryState::Validating,
        ) => false,
        Some(_) => true,
        None => is_unreadable(event, "data.state"),
    }
}

fn is_unreadable(event: &DirectoryEvent, path: &str) -> bool {
    event.unreadable_fields().iter().any(|unreadable| unreadable == path)
}
