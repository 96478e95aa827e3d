//! A postal address among a user's custom attributes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::object::json_object;

/// A postal address among a user's custom attributes.
#[derive(Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(remote = "Self")]
#[non_exhaustive]
pub struct PostalAddress {
    /// Whether it is the user's primary address.
    pub primary: Option<bool>,
    /// What it is for, for example `work`; `type` in JSON.
    #[serde(rename = "type")]
    pub address_type: Option<String>,
    /// The whole address as a single string.
    pub raw_address: Option<String>,
    /// Street and number.
    pub street_address: Option<String>,
    /// City.
    pub locality: Option<String>,
    /// State or province.
    pub region: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// Country.
    pub country: Option<String>,
}

json_object!(PostalAddress);

impl fmt::Debug for PostalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostalAddress")
            .field("primary", &self.primary)
            .field("address_type", &self.address_type)
            .finish_non_exhaustive()
    }
}
