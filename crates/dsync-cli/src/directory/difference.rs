//! How a held state differs from what it should be.

use std::fmt;

use serde_json::Value;

use super::snapshot::Section;

/// How a held state differs from what it should be; from [`Snapshot::compare`](super::Snapshot::compare).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// The lists that were compared.
    pub compared: Vec<Section>,
    /// The lists that the held state does not have.
    pub left_out: Vec<Section>,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// One thing that is not as it should be. `Display` is a line about it, with the values.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Difference {
    /// A field has another value.
    Field {
        /// The list.
        section: Section,
        /// The object's id.
        key: String,
        /// The field.
        field: String,
        /// What it should be.
        expected: Value,
        /// What it is.
        held: Value,
    },
    /// It should be there.
    Missing {
        /// The list.
        section: Section,
        /// The object's id.
        key: String,
    },
    /// It should not be there.
    Unexpected {
        /// The list.
        section: Section,
        /// The object's id.
        key: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field { section, key, field, expected, held } => {
                write!(f, "{section}: {key}: `{field}` is {held}, and should be {expected}")
            }
            Self::Missing { section: Section::Access, key } => {
                write!(f, "access: {key} is shut out, and should have access")
            }
            Self::Missing { section, key } => write!(f, "{section}: {key} is missing"),
            Self::Unexpected { section: Section::Access, key } => {
                write!(f, "access: {key} has access, and should NOT")
            }
            Self::Unexpected { section, key } => {
                write!(f, "{section}: {key} is there, and should not be")
            }
        }
    }
}

/// Without the values.
impl fmt::Debug for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, section, key, field) = match self {
            Self::Field { section, key, field, .. } => ("Field", section, key, Some(field)),
            Self::Missing { section, key } => ("Missing", section, key, None),
            Self::Unexpected { section, key } => ("Unexpected", section, key, None),
        };
        let mut debug = f.debug_struct(kind);
        debug.field("section", section).field("key", key);
        if let Some(field) = field {
            debug.field("field", field);
        }
        debug.finish_non_exhaustive()
    }
}

/// A held state that can't be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ComparisonError {
    /// It is no JSON object.
    NotAnObject,
    /// It has none of the lists.
    NothingToCompare,
    /// A list is none, or something in it has no id.
    Shape(Section),
}

impl fmt::Display for ComparisonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject => f.write_str("the application's state is not a JSON object"),
            Self::NothingToCompare => f.write_str(
                "the application's state has none of `access`, `directories`, `users`, `groups`, `memberships`",
            ),
            Self::Shape(Section::Access) => {
                f.write_str("`access` is not a list of ids, or of objects with an `id`")
            }
            Self::Shape(Section::Memberships) => f.write_str(
                "`memberships` is not a list of objects with a `user_id` and a `group_id`",
            ),
            Self::Shape(section) => write!(f, "`{section}` is not a list of objects with an `id`"),
        }
    }
}

impl std::error::Error for ComparisonError {}
