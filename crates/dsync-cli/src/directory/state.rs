//! Computes the state after a set of events.

use std::{
    collections::{HashMap, hash_map},
    hash::Hash,
};

use tower_workos::{
    Directory, DirectoryEvent, DirectoryGroup, DirectoryGroupId, DirectoryId, DirectoryUser,
    DirectoryUserId, EventData, EventId, GroupMembership, Timestamp,
};

use super::{
    record::{DirectoryRecord, GroupRecord, MembershipRecord, UserRecord},
    snapshot::Snapshot,
};

/// The state that a correct application holds after it received some events, in any order and with any duplicates. See
/// [the rules](super#the-rules).
///
/// It remembers every deleted id and every ended membership, because an older event may still arrive. It takes about
/// 1.1 KB for each existing user, and 0.15 KB for each deleted id and each membership.
#[derive(Clone, Default)]
pub struct State {
    directories: HashMap<DirectoryId, Slot<DirectoryRecord>>,
    groups: HashMap<DirectoryGroupId, Slot<GroupRecord>>,
    users: HashMap<DirectoryUserId, Slot<UserRecord>>,
    memberships: HashMap<DirectoryGroupId, HashMap<DirectoryUserId, Membership>>,
}

impl State {
    /// Applies an event. Events about tokens and unknown events change nothing.
    pub fn apply(&mut self, event: &DirectoryEvent) {
        match event.data() {
            EventData::DirectoryActivated(directory) => self.directory(event, directory),
            EventData::DirectoryDeleted(directory) => self.end_directory(&directory.id),
            EventData::GroupCreated(group) => self.group(event, group, None),
            EventData::GroupUpdated(change) => self.group(event, &change.group, None),
            EventData::GroupDeleted(group) => self.end_group(&group.id),
            EventData::GroupUserAdded(membership) => self.membership(event, membership, true),
            EventData::GroupUserRemoved(membership) => self.membership(event, membership, false),
            EventData::UserCreated(user) => self.user(event, user, None),
            EventData::UserUpdated(change) => self.user(event, &change.user, None),
            EventData::UserDeleted(user) => {
                self.users.insert(user.id.clone(), Slot::Gone);
            }
            _ => {}
        }
    }

    /// Returns the current state.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot {
            directories: live(&self.directories),
            groups: live(&self.groups),
            users: live(&self.users),
            ..Snapshot::default()
        };
        for (group, members) in &self.memberships {
            for (user, membership) in members {
                // Deleting a user does not remove its memberships here.
                if membership.joined && matches!(self.users.get(user), Some(Slot::There { .. })) {
                    snapshot.memberships.push(MembershipRecord {
                        group_id: group.to_string(),
                        user_id: user.to_string(),
                    });
                }
            }
        }
        snapshot.finish()
    }

    fn directory(&mut self, event: &DirectoryEvent, directory: &Directory) {
        let version = Version::of(event, directory.updated_at);
        put(&mut self.directories, &directory.id, version, || directory.into());
    }

    fn user(&mut self, event: &DirectoryEvent, user: &DirectoryUser, owner: Option<&DirectoryId>) {
        let owner = user.directory_id.as_ref().or(owner);
        if self.is_directory_gone(owner) {
            // Remember the id, because an older event may not name the directory.
            self.users.insert(user.id.clone(), Slot::Gone);
            return;
        }
        let version = Version::of(event, user.updated_at);
        let known = put(&mut self.users, &user.id, version, || user.into());
        if let Some(known) = known {
            own(&mut known.directory_id, owner);
        }
    }

    fn group(
        &mut self,
        event: &DirectoryEvent,
        group: &DirectoryGroup,
        owner: Option<&DirectoryId>,
    ) {
        let owner = group.directory_id.as_ref().or(owner);
        if self.is_directory_gone(owner) {
            self.end_group(&group.id);
            return;
        }
        let version = Version::of(event, group.updated_at);
        let known = put(&mut self.groups, &group.id, version, || group.into());
        if let Some(known) = known {
            own(&mut known.directory_id, owner);
        }
    }

    fn membership(&mut self, event: &DirectoryEvent, membership: &GroupMembership, joined: bool) {
        let owner = event.directory_id();
        self.user(event, &membership.user, owner);
        self.group(event, &membership.group, owner);
        if matches!(self.groups.get(&membership.group.id), Some(Slot::Gone)) {
            return;
        }
        let version = Version::of(event, None);
        let members = self.memberships.entry(membership.group.id.clone()).or_default();
        match members.entry(membership.user.id.clone()) {
            hash_map::Entry::Vacant(entry) => {
                entry.insert(Membership { version, joined });
            }
            hash_map::Entry::Occupied(mut entry) if entry.get().version < version => {
                entry.insert(Membership { version, joined });
            }
            hash_map::Entry::Occupied(_) => {}
        }
    }

    fn end_group(&mut self, id: &DirectoryGroupId) {
        self.groups.insert(id.clone(), Slot::Gone);
        self.memberships.remove(id);
    }

    fn end_directory(&mut self, id: &DirectoryId) {
        self.directories.insert(id.clone(), Slot::Gone);
        let belongs = |owner: Option<&str>| owner == Some(id.as_str());
        for slot in self.users.values_mut() {
            if matches!(slot, Slot::There { record, .. } if belongs(record.directory_id.as_deref()))
            {
                *slot = Slot::Gone;
            }
        }
        for (group, slot) in &mut self.groups {
            if matches!(slot, Slot::There { record, .. } if belongs(record.directory_id.as_deref()))
            {
                *slot = Slot::Gone;
                self.memberships.remove(group);
            }
        }
    }

    fn is_directory_gone(&self, id: Option<&DirectoryId>) -> bool {
        id.is_some_and(|id| matches!(self.directories.get(id), Some(Slot::Gone)))
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

#[derive(Clone)]
enum Slot<R> {
    There { version: Version, record: R },
    Gone,
}

#[derive(Clone)]
struct Membership {
    version: Version,
    joined: bool,
}

/// The version of an object or a membership. The greatest version counts. If two have the same `updated_at`, the event's
/// time and id decide, so that every order of the same events leads to the same state.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    updated_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
    event: EventId,
}

impl Version {
    fn of(event: &DirectoryEvent, updated_at: Option<Timestamp>) -> Self {
        let created_at = event.created_at();
        Self { updated_at: updated_at.or(created_at), created_at, event: event.id().clone() }
    }
}

/// Stores a version unless there is a later one. Returns the record that is stored then, unless it is deleted.
fn put<'a, I, R>(
    slots: &'a mut HashMap<I, Slot<R>>,
    id: &I,
    version: Version,
    record: impl FnOnce() -> R,
) -> Option<&'a mut R>
where
    I: Clone + Eq + Hash,
    R: Owned,
{
    let slot = match slots.entry(id.clone()) {
        hash_map::Entry::Vacant(entry) => entry.insert(Slot::There { version, record: record() }),
        hash_map::Entry::Occupied(entry) => {
            let slot = entry.into_mut();
            match slot {
                Slot::There { version: known, record: old } if *known < version => {
                    let owner = old.take_owner();
                    let mut new = record();
                    new.keep_owner(owner);
                    *slot = Slot::There { version, record: new };
                }
                Slot::There { .. } | Slot::Gone => {}
            }
            slot
        }
    };
    match slot {
        Slot::There { record, .. } => Some(record),
        Slot::Gone => None,
    }
}

/// An object always belongs to the same directory, even if a later version does not name it.
trait Owned {
    fn take_owner(&mut self) -> Option<String> {
        None
    }

    fn keep_owner(&mut self, _owner: Option<String>) {}
}

impl Owned for DirectoryRecord {}

macro_rules! owned {
    ($($record:ident)+) => {$(
        impl Owned for $record {
            fn take_owner(&mut self) -> Option<String> {
                self.directory_id.take()
            }

            fn keep_owner(&mut self, owner: Option<String>) {
                if owner.is_some() {
                    self.directory_id = owner;
                }
            }
        }
    )+};
}

owned!(GroupRecord UserRecord);

fn own(known: &mut Option<String>, owner: Option<&DirectoryId>) {
    if known.is_none() {
        *known = owner.map(ToString::to_string);
    }
}

fn live<I, R: Clone>(slots: &HashMap<I, Slot<R>>) -> Vec<R> {
    let there = slots.values().filter_map(|slot| match slot {
        Slot::There { record, .. } => Some(record.clone()),
        Slot::Gone => None,
    });
    there.collect()
}
