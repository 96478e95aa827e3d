//! Directory groups.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::event::{
    attributes::Attributes,
    id::{DirectoryGroupId, DirectoryId, OrganizationId},
    object::json_object,
    previous::PreviousAttributes,
    text::{not_empty, null_is_default},
    timestamp::Timestamp,
    updated::with_previous,
};

/// A group of a directory's users.
///
/// Source: the WorkOS API reference, "Directory Group".
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(remote = "Self")]
#[non_exhaustive]
pub struct DirectoryGroup {
    /// The group's id.
    #[serde(deserialize_with = "not_empty")]
    pub id: DirectoryGroupId,
    /// The directory that the group belongs to.
    pub directory_id: Option<DirectoryId>,
    /// The organization that the directory belongs to.
    pub organization_id: Option<OrganizationId>,
    /// The group's id at the provider, in the provider's format.
    pub idp_id: Option<String>,
    /// The group's name.
    pub name: Option<String>,
    /// The attributes that the provider sent.
    #[serde(default, deserialize_with = "null_is_default")]
    pub raw_attributes: Attributes,
    /// When the group was created in WorkOS.
    pub created_at: Option<Timestamp>,
    /// When the group last changed.
    pub updated_at: Option<Timestamp>,
}

json_object!(DirectoryGroup);

impl DirectoryGroup {
    /// Creates a group of which only the id is known.
    #[must_use]
    pub fn new(id: impl Into<DirectoryGroupId>) -> Self {
        Self {
            id: id.into(),
            directory_id: None,
            organization_id: None,
            idp_id: None,
            name: None,
            raw_attributes: Attributes::default(),
            created_at: None,
            updated_at: None,
        }
    }
}

impl fmt::Debug for DirectoryGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryGroup")
            .field("id", &self.id)
            .field("directory_id", &self.directory_id)
            .field("organization_id", &self.organization_id)
            .finish_non_exhaustive()
    }
}

/// The data of `dsync.group.updated`: the group as it is now and what changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GroupUpdated {
    /// The group as it is now.
    #[serde(flatten)]
    pub group: DirectoryGroup,
    /// The former values of what changed.
    pub previous_attributes: PreviousAttributes,
}

impl GroupUpdated {
    /// Creates the data of an update.
    #[must_use]
    pub fn new(group: DirectoryGroup, previous_attributes: PreviousAttributes) -> Self {
        Self { group, previous_attributes }
    }
}

impl<'de> Deserialize<'de> for GroupUpdated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        with_previous(deserializer).map(|(group, previous)| Self::new(group, previous))
    }
}
