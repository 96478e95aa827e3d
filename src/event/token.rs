//! Directory tokens.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::{
    id::{DirectoryId, DirectoryTokenId, OrganizationId},
    object::json_object,
    text::not_empty,
    timestamp::Timestamp,
};

/// A bearer token that a provider's connector uses to authenticate to WorkOS. The token itself is never sent.
///
/// So far, WorkOS documents its events only for the Events API.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(remote = "Self")]
#[non_exhaustive]
pub struct DirectoryToken {
    /// The token's id.
    #[serde(deserialize_with = "not_empty")]
    pub id: DirectoryTokenId,
    /// The directory that the token gives access to.
    pub directory_id: Option<DirectoryId>,
    /// The organization that the directory belongs to.
    pub organization_id: Option<OrganizationId>,
    /// The token's last characters, to recognize it.
    pub token_suffix: Option<String>,
    /// When the token was created.
    pub created_at: Option<Timestamp>,
}

json_object!(DirectoryToken);

impl DirectoryToken {
    /// Creates a token of which only the id is known.
    #[must_use]
    pub fn new(id: impl Into<DirectoryTokenId>) -> Self {
        Self {
            id: id.into(),
            directory_id: None,
            organization_id: None,
            token_suffix: None,
            created_at: None,
        }
    }
}

impl fmt::Debug for DirectoryToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryToken")
            .field("id", &self.id)
            .field("directory_id", &self.directory_id)
            .field("organization_id", &self.organization_id)
            .finish_non_exhaustive()
    }
}
