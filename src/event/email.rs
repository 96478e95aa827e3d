//! An e-mail address among a user's custom attributes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::object::json_object;

/// An e-mail address among a user's custom attributes.
#[derive(Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(remote = "Self")]
#[non_exhaustive]
pub struct EmailAddress {
    /// Whether it is the user's primary address.
    pub primary: Option<bool>,
    /// What it is for, for example `work`; `type` in JSON.
    #[serde(rename = "type")]
    pub email_type: Option<String>,
    /// The address.
    pub value: Option<String>,
}

json_object!(EmailAddress);

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmailAddress")
            .field("primary", &self.primary)
            .field("email_type", &self.email_type)
            .finish_non_exhaustive()
    }
}
