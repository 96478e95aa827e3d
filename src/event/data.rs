//! The data of each event.

use std::fmt;

use serde_json::value::RawValue;

use crate::event::{
    directory::Directory,
    group::{DirectoryGroup, GroupUpdated},
    id::{DirectoryId, OrganizationId},
    membership::GroupMembership,
    token::DirectoryToken,
    user::{DirectoryUser, UserUpdated},
};

/// What happened, with the data of the event.
///
/// There is a variant for each event of WorkOS Directory Sync. Any other event is [`Unknown`](Self::Unknown).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EventData {
    /// `dsync.activated`: a directory was connected.
    DirectoryActivated(Directory),
    /// `dsync.deleted`: a directory was deleted together with all of its users, groups and memberships, **for which no
    /// events follow**.
    DirectoryDeleted(Directory),
    /// `dsync.group.created`: a group was created.
    GroupCreated(DirectoryGroup),
    /// `dsync.group.deleted`: a group was deleted. Its memberships end, and no events follow for them.
    GroupDeleted(DirectoryGroup),
    /// `dsync.group.updated`: a group's name or attributes changed.
    GroupUpdated(GroupUpdated),
    /// `dsync.group.user_added`: a user joined a group. It can arrive before the user or the group is created.
    GroupUserAdded(GroupMembership),
    /// `dsync.group.user_removed`: a user left a group.
    GroupUserRemoved(GroupMembership),
    /// `dsync.token.created`: a directory token was created.
    TokenCreated(DirectoryToken),
    /// `dsync.token.revoked`: a directory token was revoked.
    TokenRevoked(DirectoryToken),
    /// `dsync.user.created`: a user was created. Also sent for each user when a directory first syncs.
    UserCreated(DirectoryUser),
    /// `dsync.user.deleted`: a user was deleted.
    UserDeleted(DirectoryUser),
    /// `dsync.user.updated`: a user changed. **Also sent when a user is deactivated**; see
    /// [`DirectoryEvent::access_change`](crate::DirectoryEvent::access_change).
    UserUpdated(UserUpdated),
    /// An event that this version has no type for.
    Unknown(UnknownEvent),
}

impl EventData {
    /// The event's name, for example `dsync.user.created`.
    pub(super) fn event_name(&self) -> &str {
        match self {
            Self::DirectoryActivated(_) => "dsync.activated",
            Self::DirectoryDeleted(_) => "dsync.deleted",
            Self::GroupCreated(_) => "dsync.group.created",
            Self::GroupDeleted(_) => "dsync.group.deleted",
            Self::GroupUpdated(_) => "dsync.group.updated",
            Self::GroupUserAdded(_) => "dsync.group.user_added",
            Self::GroupUserRemoved(_) => "dsync.group.user_removed",
            Self::TokenCreated(_) => "dsync.token.created",
            Self::TokenRevoked(_) => "dsync.token.revoked",
            Self::UserCreated(_) => "dsync.user.created",
            Self::UserDeleted(_) => "dsync.user.deleted",
            Self::UserUpdated(_) => "dsync.user.updated",
            Self::Unknown(unknown) => unknown.name(),
        }
    }

    /// The organization that the data is about, if the data contains it.
    pub(super) fn organization_id(&self) -> Option<&OrganizationId> {
        match self {
            Self::DirectoryActivated(directory) | Self::DirectoryDeleted(directory) => {
                directory.organization_id.as_ref()
            }
            Self::GroupCreated(group) | Self::GroupDeleted(group) => group.organization_id.as_ref(),
            Self::GroupUpdated(change) => change.group.organization_id.as_ref(),
            Self::GroupUserAdded(membership) | Self::GroupUserRemoved(membership) => membership
                .user
                .organization_id
                .as_ref()
                .or(membership.group.organization_id.as_ref()),
            Self::TokenCreated(token) | Self::TokenRevoked(token) => token.organization_id.as_ref(),
            Self::UserCreated(user) | Self::UserDeleted(user) => user.organization_id.as_ref(),
            Self::UserUpdated(change) => change.user.organization_id.as_ref(),
            Self::Unknown(_) => None,
        }
    }

    /// The directory that the data is about, if the data contains it.
    pub(super) fn directory_id(&self) -> Option<&DirectoryId> {
        match self {
            Self::DirectoryActivated(directory) | Self::DirectoryDeleted(directory) => {
                Some(&directory.id)
            }
            Self::GroupCreated(group) | Self::GroupDeleted(group) => group.directory_id.as_ref(),
            Self::GroupUpdated(change) => change.group.directory_id.as_ref(),
            Self::GroupUserAdded(membership) | Self::GroupUserRemoved(membership) => membership
                .directory_id
                .as_ref()
                .or(membership.user.directory_id.as_ref())
                .or(membership.group.directory_id.as_ref()),
            Self::TokenCreated(token) | Self::TokenRevoked(token) => token.directory_id.as_ref(),
            Self::UserCreated(user) | Self::UserDeleted(user) => user.directory_id.as_ref(),
            Self::UserUpdated(change) => change.user.directory_id.as_ref(),
            Self::Unknown(_) => None,
        }
    }
}

/// An event that has no type in this version: its name, and its data as JSON.
#[derive(Clone)]
pub struct UnknownEvent {
    name: Box<str>,
    data: Box<RawValue>,
}

impl UnknownEvent {
    pub(super) fn new(name: Box<str>, data: Box<RawValue>) -> Self {
        Self { name, data }
    }

    /// The event's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The event's data; the JSON `null` if it has none.
    #[must_use]
    pub fn data(&self) -> &RawValue {
        &self.data
    }
}

impl PartialEq for UnknownEvent {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.data.get() == other.data.get()
    }
}

impl fmt::Debug for UnknownEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownEvent").field("name", &self.name).finish_non_exhaustive()
    }
}
