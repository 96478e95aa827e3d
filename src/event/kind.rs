//! The event types that have a type here.

/// A known event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Activated,
    Deleted,
    GroupCreated,
    GroupDeleted,
    GroupUpdated,
    GroupUserAdded,
    GroupUserRemoved,
    TokenCreated,
    TokenRevoked,
    UserCreated,
    UserDeleted,
    UserUpdated,
}

impl Kind {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "dsync.activated" => Self::Activated,
            "dsync.deleted" => Self::Deleted,
            "dsync.group.created" => Self::GroupCreated,
            "dsync.group.deleted" => Self::GroupDeleted,
            "dsync.group.updated" => Self::GroupUpdated,
            "dsync.group.user_added" => Self::GroupUserAdded,
            "dsync.group.user_removed" => Self::GroupUserRemoved,
            "dsync.token.created" => Self::TokenCreated,
            "dsync.token.revoked" => Self::TokenRevoked,
            "dsync.user.created" => Self::UserCreated,
            "dsync.user.deleted" => Self::UserDeleted,
            "dsync.user.updated" => Self::UserUpdated,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Activated => "dsync.activated",
            Self::Deleted => "dsync.deleted",
            Self::GroupCreated => "dsync.group.created",
            Self::GroupDeleted => "dsync.group.deleted",
            Self::GroupUpdated => "dsync.group.updated",
            Self::GroupUserAdded => "dsync.group.user_added",
            Self::GroupUserRemoved => "dsync.group.user_removed",
            Self::TokenCreated => "dsync.token.created",
            Self::TokenRevoked => "dsync.token.revoked",
            Self::UserCreated => "dsync.user.created",
            Self::UserDeleted => "dsync.user.deleted",
            Self::UserUpdated => "dsync.user.updated",
        }
    }
}
