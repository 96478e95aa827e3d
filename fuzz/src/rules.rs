//! The protocol's tables: which fields an object has, and their types.

/// The type of a field.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Type {
    /// A free-form object, kept as text.
    Attributes,
    Bool,
    /// The state of a directory; some states have two names.
    DirectoryState,
    /// A non-empty string.
    Id,
    List(&'static [Rule]),
    Object(&'static [Rule]),
    Text,
    Time,
}

/// A field of an object: its key, its type, and whether it is required.
pub(crate) type Rule = (&'static str, Type, bool);

const DIRECTORY: &[Rule] = &[
    ("id", Type::Id, true),
    ("organization_id", Type::Text, false),
    ("type", Type::Text, false),
    ("state", Type::DirectoryState, false),
    ("name", Type::Text, false),
    ("external_key", Type::Text, false),
    ("domains", Type::List(&[("id", Type::Id, true), ("domain", Type::Text, false)]), false),
    ("created_at", Type::Time, false),
    ("updated_at", Type::Time, false),
];

const USER: &[Rule] = &[
    ("id", Type::Id, true),
    ("directory_id", Type::Text, false),
    ("organization_id", Type::Text, false),
    ("idp_id", Type::Text, false),
    ("email", Type::Text, false),
    ("first_name", Type::Text, false),
    ("last_name", Type::Text, false),
    ("name", Type::Text, false),
    ("state", Type::Text, false),
    ("custom_attributes", Type::Attributes, false),
    ("role", Type::Object(ROLE), false),
    ("roles", Type::List(ROLE), false),
    ("created_at", Type::Time, false),
    ("updated_at", Type::Time, false),
];

const GROUP: &[Rule] = &[
    ("id", Type::Id, true),
    ("directory_id", Type::Text, false),
    ("organization_id", Type::Text, false),
    ("idp_id", Type::Text, false),
    ("name", Type::Text, false),
    ("raw_attributes", Type::Attributes, false),
    ("created_at", Type::Time, false),
    ("updated_at", Type::Time, false),
];

const MEMBERSHIP: &[Rule] = &[
    ("user", Type::Object(USER), true),
    ("group", Type::Object(GROUP), true),
    ("directory_id", Type::Text, false),
];

const TOKEN: &[Rule] = &[
    ("id", Type::Id, true),
    ("directory_id", Type::Text, false),
    ("organization_id", Type::Text, false),
    ("token_suffix", Type::Text, false),
    ("created_at", Type::Time, false),
];

pub(crate) const ROLE: &[Rule] = &[("slug", Type::Text, true)];

pub(crate) const EMAIL: &[Rule] =
    &[("primary", Type::Bool, false), ("type", Type::Text, false), ("value", Type::Text, false)];

pub(crate) const ADDRESS: &[Rule] = &[
    ("primary", Type::Bool, false),
    ("type", Type::Text, false),
    ("raw_address", Type::Text, false),
    ("street_address", Type::Text, false),
    ("locality", Type::Text, false),
    ("region", Type::Text, false),
    ("postal_code", Type::Text, false),
    ("country", Type::Text, false),
];

pub(crate) const ACTOR: &[Rule] =
    &[("id", Type::Text, true), ("source", Type::Text, false), ("name", Type::Text, false)];

/// Only an update has former values.
const PREVIOUS: &[Rule] = &[("previous_attributes", Type::Attributes, false)];

/// The rules for the data of a known event.
pub(crate) fn rules_of(event: &str) -> Option<Vec<Rule>> {
    Some(match event {
        "dsync.activated" | "dsync.deleted" => DIRECTORY.to_vec(),
        "dsync.user.created" | "dsync.user.deleted" => USER.to_vec(),
        "dsync.user.updated" => [USER, PREVIOUS].concat(),
        "dsync.group.created" | "dsync.group.deleted" => GROUP.to_vec(),
        "dsync.group.updated" => [GROUP, PREVIOUS].concat(),
        "dsync.group.user_added" | "dsync.group.user_removed" => MEMBERSHIP.to_vec(),
        "dsync.token.created" | "dsync.token.revoked" => TOKEN.to_vec(),
        _ => return None,
    })
}
