//! The events that this version knows, and how their data is read.

use serde::{Deserialize, Deserializer, de::DeserializeSeed};

use crate::event::data::EventData;

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

/// Reads `data` as the type that the event's kind determines.
pub(super) struct ReadData<'d> {
    pub(super) kind: Kind,
    /// The data is stored here instead of returned: it is half a kilobyte, and each function in between would copy it.
    pub(super) into: &'d mut Option<EventData>,
}

impl<'de> DeserializeSeed<'de> for ReadData<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, data: D) -> Result<(), D::Error> {
        *self.into = Some(match self.kind {
            Kind::Activated => EventData::DirectoryActivated(Deserialize::deserialize(data)?),
            Kind::Deleted => EventData::DirectoryDeleted(Deserialize::deserialize(data)?),
            Kind::GroupCreated => EventData::GroupCreated(Deserialize::deserialize(data)?),
            Kind::GroupDeleted => EventData::GroupDeleted(Deserialize::deserialize(data)?),
            Kind::GroupUpdated => EventData::GroupUpdated(Deserialize::deserialize(data)?),
            Kind::GroupUserAdded => EventData::GroupUserAdded(Deserialize::deserialize(data)?),
            Kind::GroupUserRemoved => EventData::GroupUserRemoved(Deserialize::deserialize(data)?),
            Kind::TokenCreated => EventData::TokenCreated(Deserialize::deserialize(data)?),
            Kind::TokenRevoked => EventData::TokenRevoked(Deserialize::deserialize(data)?),
            Kind::UserCreated => EventData::UserCreated(Deserialize::deserialize(data)?),
            Kind::UserDeleted => EventData::UserDeleted(Deserialize::deserialize(data)?),
            Kind::UserUpdated => EventData::UserUpdated(Deserialize::deserialize(data)?),
        });
        Ok(())
    }
}
