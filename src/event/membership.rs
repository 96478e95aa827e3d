//! The membership of a user in a group.

use serde::{Deserialize, Serialize};

use crate::event::{
    group::DirectoryGroup, id::DirectoryId, object::json_object, user::DirectoryUser,
};

/// The data of `dsync.group.user_added` and `dsync.group.user_removed`: the user and the group.
///
/// A membership has no id and no organization. Order memberships by the event's
/// [`created_at`](crate::DirectoryEvent::created_at): they don't change the user's `updated_at`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(remote = "Self")]
#[non_exhaustive]
pub struct GroupMembership {
    /// The directory of the user and the group.
    pub directory_id: Option<DirectoryId>,
    /// The user.
    pub user: DirectoryUser,
    /// The group.
    pub group: DirectoryGroup,
}

json_object!(GroupMembership);

impl GroupMembership {
    /// Creates the membership of a user in a group.
    #[must_use]
    pub fn new(user: DirectoryUser, group: DirectoryGroup) -> Self {
        Self { directory_id: None, user, group }
    }
}
