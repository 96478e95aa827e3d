//! A copy of the tables, made of changes only, by the rules in the documentation of `ChangeKind`.
//!
//! The integration tests use this file, too.

use std::collections::{BTreeMap, BTreeSet};

/// What the views show. Groups and users are written as `id@directory`, memberships as `group user`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Views {
    pub(crate) directories: BTreeSet<String>,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) users: BTreeSet<String>,
    pub(crate) access: BTreeSet<String>,
    pub(crate) memberships: BTreeSet<String>,
}

/// An object and the directory that it belongs to.
pub(crate) fn owned(id: &str, directory: Option<&str>) -> String {
    format!("{id}@{}", directory.unwrap_or_default())
}

/// The ids of a change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids<'a> {
    pub(crate) directory: Option<&'a str>,
    pub(crate) group: Option<&'a str>,
    pub(crate) user: Option<&'a str>,
}

#[derive(Debug, Default)]
struct Owned {
    is_listed: bool,
    is_granted: bool,
    directory: Option<String>,
}

#[derive(Debug, Default)]
struct Directory {
    is_listed: bool,
    is_deleted: bool,
    is_revoked: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Fold {
    directories: BTreeMap<String, Directory>,
    groups: BTreeMap<String, Owned>,
    users: BTreeMap<String, Owned>,
    memberships: BTreeSet<(String, String)>,
}

impl Fold {
    /// Applies a change of this kind.
    pub(crate) fn apply(&mut self, kind: &str, ids: Ids<'_>) {
        let text = |id: Option<&str>| id.unwrap_or_default().to_owned();
        match kind {
            "membership_added" => {
                self.memberships.insert((text(ids.group), text(ids.user)));
            }
            "membership_removed" => {
                self.memberships.remove(&(text(ids.group), text(ids.user)));
            }
            _ if kind.starts_with("directory") => {
                let directory = self.directories.entry(text(ids.directory)).or_default();
                match kind {
                    "directory_created" => {
                        directory.is_listed = true;
                        directory.is_deleted = false;
                    }
                    "directory_deleted" => {
                        directory.is_listed = false;
                        directory.is_deleted = true;
                    }
                    "directory_restored" => directory.is_revoked = false,
                    "directory_revoked" => directory.is_revoked = true,
                    "directory_updated" => assert!(directory.is_listed, "not listed"),
                    _ => panic!("{kind}"),
                }
            }
            _ => {
                let objects = if ids.user.is_some() { &mut self.users } else { &mut self.groups };
                let object = objects.entry(text(ids.user.or(ids.group))).or_default();
                if ids.directory.is_some() {
                    object.directory = ids.directory.map(str::to_owned);
                }
                match kind {
                    "user_created" | "group_created" => {
                        object.is_listed = true;
                        object.is_granted = false;
                    }
                    "user_deleted" | "group_deleted" => {
                        assert!(!object.is_granted, "a loss of access that was not reported");
                        object.is_listed = false;
                    }
                    "user_granted" => object.is_granted = true,
                    "user_revoked" => object.is_granted = false,
                    "user_updated" | "group_updated" => {
                        assert!(object.is_listed, "a change of an object that is not listed");
                    }
                    _ => panic!("{kind}"),
                }
            }
        }
    }

    pub(crate) fn views(&self) -> Views {
        let state = |object: &Owned| self.directories.get(object.directory.as_ref()?);
        let is_listed =
            |object: &Owned| object.is_listed && !state(object).is_some_and(|it| it.is_deleted);
        let listed = |objects: &BTreeMap<String, Owned>| {
            let listed = objects.iter().filter(|(_, object)| is_listed(object));
            listed.map(|(id, object)| owned(id, object.directory.as_deref())).collect()
        };
        let access = self.users.iter().filter(|(_, user)| {
            is_listed(user) && user.is_granted && !state(user).is_some_and(|it| it.is_revoked)
        });
        let memberships = self.memberships.iter().filter(|(group, user)| {
            self.groups.get(group).is_some_and(is_listed)
                && self.users.get(user).is_some_and(is_listed)
        });
        let directories = self.directories.iter().filter(|(_, directory)| directory.is_listed);
        Views {
            directories: directories.map(|(id, _)| id.clone()).collect(),
            groups: listed(&self.groups),
            users: listed(&self.users),
            access: access.map(|(id, _)| id.clone()).collect(),
            memberships: memberships.map(|(group, user)| format!("{group} {user}")).collect(),
        }
    }
}
