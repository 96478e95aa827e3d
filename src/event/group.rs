//! A directory group and its memberships.

use serde::{Deserialize, Deserializer, de::DeserializeSeed};

use crate::event::{
    attributes::{Attributes, PreviousAttributes},
    id::{DirectoryGroupId, DirectoryId, OrganizationId},
    macros::{Read, WithPrevious, object},
    timestamp::Timestamp,
    user::DirectoryUser,
};

object! {
    /// A group of a directory's users.
    ///
    /// Source: the WorkOS API reference, "Directory Group".
    DirectoryGroup, debug(id, directory_id, organization_id);
    required {
        /// The group's id.
        id: DirectoryGroupId,
    }
    optional {
        /// The directory the group is in.
        directory_id: Option<DirectoryId>,
        /// The organization whose directory it is.
        organization_id: Option<OrganizationId>,
        /// The group's id at the provider, in the provider's own form.
        idp_id: Option<String>,
        /// The group's name.
        name: Option<String>,
        /// When the group was created in WorkOS.
        created_at: Option<Timestamp>,
        /// When the group last changed.
        updated_at: Option<Timestamp>,
    }
    lazy {
        /// What the provider sent, read on demand.
        raw_attributes: Attributes,
    }
}

/// The data of `dsync.group.updated`: the group as it is now and what was there before.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GroupUpdated {
    /// The group as it is now.
    pub group: DirectoryGroup,
    /// The former values of what changed.
    pub previous_attributes: PreviousAttributes,
}

impl From<WithPrevious<DirectoryGroup>> for GroupUpdated {
    fn from(WithPrevious { object: group, previous }: WithPrevious<DirectoryGroup>) -> Self {
        Self { group, previous_attributes: previous }
    }
}

impl<'de> Deserialize<'de> for GroupUpdated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Read::<DirectoryGroup>::new(None).deserialize(deserializer).map(Self::from)
    }
}

object! {
    /// The data of `dsync.group.user_added` and `.user_removed`: who and which group.
    ///
    /// It has neither an id nor an organization of its own. Order memberships by the event's
    /// [`created_at`](crate::DirectoryEvent::created_at): they do not change the user's `updated_at`.
    GroupMembership, debug(directory_id, user, group);
    required {}
    parts {
        /// The user.
        user: DirectoryUser,
        /// The group.
        group: DirectoryGroup,
    }
    optional {
        /// The directory of both.
        directory_id: Option<DirectoryId>,
    }
}
