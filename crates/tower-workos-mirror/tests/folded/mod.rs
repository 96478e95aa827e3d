//! The fold of the feed, as the documentation of `ChangeKind` says.

use std::collections::{BTreeMap, BTreeSet};

use tower_workos_mirror::{Change, ChangeKind};

/// The views in the order of [`Folded::views`], each with its key.
pub(crate) const VIEWS: [(&str, &str); 5] = [
    ("id", "workos_directories"),
    ("id", "workos_groups"),
    ("id", "workos_users"),
    ("user_id", "workos_access"),
    ("group_id || ' ' || user_id", "workos_memberships"),
];

/// A copy of the tables, made of changes only.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    directories: BTreeSet<String>,
    revoked: BTreeSet<String>,
    /// Directories that were deleted.
    gone: BTreeSet<String>,
    /// The directories of groups and users.
    owners: BTreeMap<String, String>,
    groups: BTreeSet<String>,
    users: BTreeSet<String>,
    granted: BTreeSet<String>,
    memberships: BTreeSet<(String, String)>,
    causes: BTreeSet<String>,
}

impl Folded {
    /// Fails if the change has no effect on the copy: no change is reported twice.
    pub(crate) fn apply(&mut self, change: &Change) {
        let directory = change.directory_id.as_ref().map(ToString::to_string);
        let group = change.group_id.as_ref().map(ToString::to_string).unwrap_or_default();
        let user = change.user_id.as_ref().map(ToString::to_string).unwrap_or_default();
        if let (
            Some(directory),
            ChangeKind::UserCreated
            | ChangeKind::GroupCreated
            | ChangeKind::UserUpdated
            | ChangeKind::GroupUpdated
            | ChangeKind::UserGranted
            | ChangeKind::UserRevoked,
        ) = (&directory, change.kind)
        {
            self.owners.insert(format!("{group}{user}"), directory.clone());
        }
        let directory = directory.unwrap_or_default();
        let cause = format!("{} {directory} {group} {user} {:?}", change.kind, change.event_id);
        let is_effective = match change.kind {
            ChangeKind::DirectoryCreated => {
                self.gone.remove(&directory);
                self.directories.insert(directory)
            }
            ChangeKind::DirectoryDeleted => {
                self.directories.remove(&directory);
                self.gone.insert(directory)
            }
            ChangeKind::DirectoryRestored => self.revoked.remove(&directory),
            ChangeKind::DirectoryRevoked => self.revoked.insert(directory),
            ChangeKind::GroupCreated => self.groups.insert(group),
            ChangeKind::GroupDeleted => self.groups.remove(&group),
            ChangeKind::MembershipAdded => self.memberships.insert((group, user)),
            ChangeKind::MembershipRemoved => self.memberships.remove(&(group, user)),
            ChangeKind::UserCreated => self.users.insert(user),
            ChangeKind::UserDeleted => self.users.remove(&user),
            ChangeKind::UserGranted => self.granted.insert(user),
            ChangeKind::UserRevoked => self.granted.remove(&user),
            _ => !change.fields.is_empty(),
        };
        assert!(is_effective, "repeated: {change:?}");
        // Comparisons with the API have no event.
        let is_new = change.event_id.is_none() || self.causes.insert(cause);
        assert!(is_new, "an event caused it twice: {change:?}");
    }

    fn is_listed(&self, id: &str) -> bool {
        self.owners.get(id).is_none_or(|owner| !self.gone.contains(owner))
            && (self.users.contains(id) || self.groups.contains(id))
    }

    fn has_access(&self, user: &str) -> bool {
        self.is_listed(user)
            && self.granted.contains(user)
            && self.owners.get(user).is_none_or(|owner| !self.revoked.contains(owner))
    }

    /// The contents of the views, each a sorted list of ids.
    pub(crate) fn views(&self) -> [Vec<String>; 5] {
        let listed = |ids: &BTreeSet<String>| {
            ids.iter().filter(|id| self.is_listed(id)).cloned().collect::<Vec<_>>()
        };
        let members = self.memberships.iter();
        let members = members.filter(|(group, user)| self.is_listed(group) && self.is_listed(user));
        [
            self.directories.iter().cloned().collect(),
            listed(&self.groups),
            listed(&self.users),
            self.users.iter().filter(|user| self.has_access(user)).cloned().collect(),
            members.map(|(group, user)| format!("{group} {user}")).collect(),
        ]
    }
}
