//! A user's role.

use serde::{Deserialize, Serialize};

use crate::event::object::json_object;

/// A role that was assigned to a user from the directory.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(remote = "Self")]
#[non_exhaustive]
pub struct Role {
    /// The role's slug in WorkOS.
    pub slug: String,
}

json_object!(Role);

impl Role {
    /// Creates the role with this slug.
    #[must_use]
    pub fn new(slug: impl Into<String>) -> Self {
        Self { slug: slug.into() }
    }
}
