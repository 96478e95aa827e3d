//! Changes to what the tables show.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize};
use tower_workos::{DirectoryGroupId, DirectoryId, DirectoryUserId, EventId, Timestamp};

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What changed.
        ///
        /// # Folding changes into a copy
        ///
        /// A reader that applies all changes in order to an empty copy gets the contents of the views, if it follows these
        /// rules:
        ///
        /// - A user's, group's or membership's own changes say whether it is listed, and whether the user's own state gives
        ///   access. [`UserDeleted`](Self::UserDeleted) is preceded by [`UserRevoked`](Self::UserRevoked) if the user
        ///   had access, and [`UserGranted`](Self::UserGranted) by [`UserCreated`](Self::UserCreated) if the user is new.
        ///   So a reader that handles `UserRevoked` and `DirectoryRevoked` sees every loss of access. A user that is created
        ///   has no access until `UserGranted`.
        /// - A membership is listed while its last change is [`MembershipAdded`](Self::MembershipAdded) and its user and
        ///   group are listed. No `MembershipRemoved` follows the deletion of a user or a group.
        /// - After [`DirectoryRevoked`](Self::DirectoryRevoked), no user of the directory has access, until
        ///   [`DirectoryRestored`](Self::DirectoryRestored). Changes of its users in between take effect when it
        ///   is restored.
        /// - After [`DirectoryDeleted`](Self::DirectoryDeleted), the directory and its users, groups and memberships are
        ///   no longer listed. After `dsync.deleted`, no change follows for them. A directory that was only absent from
        ///   WorkOS's API can return as [`DirectoryCreated`](Self::DirectoryCreated), with everything in it. (If events
        ///   contradict each other about the directory of a user or a group, which WorkOS never sends, it can be created
        ///   again in another directory, without its memberships.)
        /// - A user or group belongs to the latest [`directory_id`](Change::directory_id) that one of its changes has.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ChangeKind {
            $($(#[$doc])* $variant,)*
        }

        impl ChangeKind {
            /// The kind's name in the table, for example `user_revoked`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            pub(crate) fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// A directory is listed.
    DirectoryCreated = "directory_created",
    /// A directory is no longer listed, nor are its users, groups and memberships. One change, however large it was.
    DirectoryDeleted = "directory_deleted",
    /// The users of this directory have access again, if their own state gives it.
    DirectoryRestored = "directory_restored",
    /// No user of this directory has access any more. One change, however many users it has.
    ///
    /// It names no users. [`Mirror::users_ever_in`](crate::Mirror::users_ever_in) returns those that it may affect, and so
    /// does a query such as this one, joined with your own table:
    ///
    /// ```sql
    /// SELECT sessions.id FROM sessions
    /// JOIN workos_known_users ON workos_known_users.id = sessions.workos_user_id
    /// WHERE workos_known_users.directory_id = $1
    /// ```
    ///
    /// The same people may have returned in another directory of their organization: ask
    /// [`Mirror::has_access_by`](crate::Mirror::has_access_by) before you end a session.
    DirectoryRevoked = "directory_revoked",
    /// A directory's name, type, state or domains changed.
    DirectoryUpdated = "directory_updated",
    /// A group is listed.
    GroupCreated = "group_created",
    /// A group is no longer listed, nor are its memberships.
    GroupDeleted = "group_deleted",
    /// A group's name or attributes changed.
    GroupUpdated = "group_updated",
    /// A user joined a group.
    MembershipAdded = "membership_added",
    /// A user left a group.
    MembershipRemoved = "membership_removed",
    /// A kind that this version does not know, written by a later version during a rolling deploy. A reader that only acts
    /// on certain kinds can ignore it. A reader that maintains a copy must read the objects that the ids name from the
    /// views again.
    Other = "other",
    /// A user is listed.
    UserCreated = "user_created",
    /// A user is no longer listed.
    UserDeleted = "user_deleted",
    /// A user's own state gives access now. Their directory may not: ask [`Mirror::has_access`](crate::Mirror::has_access)
    /// before you grant anything.
    UserGranted = "user_granted",
    /// A user lost access: the user was deleted, or the user's own state is no longer `active`.
    UserRevoked = "user_revoked",
    /// A user's attributes changed, but not their access.
    UserUpdated = "user_updated",
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for ChangeKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Reads the kind's name. One that this version does not know is [`ChangeKind::Other`].
impl<'de> Deserialize<'de> for ChangeKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<str>::deserialize(deserializer)?;
        Ok(Self::from_name(&name).unwrap_or(Self::Other))
    }
}

/// A change to what the tables show. It contains ids and the names of fields, but no values.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// The change's number in the feed. Numbers increase in the order of the commits, with gaps.
    pub seq: i64,
    /// What changed.
    pub kind: ChangeKind,
    /// The directory, if it is known; `None` for memberships.
    pub directory_id: Option<DirectoryId>,
    /// The group of a group's change or a membership's.
    pub group_id: Option<DirectoryGroupId>,
    /// The user of a user's change or a membership's.
    pub user_id: Option<DirectoryUserId>,
    /// The names of the columns that changed, if the object was listed before.
    #[serde(default)]
    pub fields: Vec<String>,
    /// The event that caused it: the latest event about the object in the batch.
    pub event_id: Option<EventId>,
    /// When that event happened.
    pub happened_at: Option<Timestamp>,
    /// When the change was stored.
    pub recorded_at: Timestamp,
}
