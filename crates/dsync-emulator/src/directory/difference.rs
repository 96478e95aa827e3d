//! Differences between the expected state and the state of an application.

use std::fmt;

use serde_json::Value;

use super::section::Section;

/// The result of [`Snapshot::compare`](super::Snapshot::compare).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// The lists that were compared.
    pub compared: Vec<Section>,
    /// The lists that the application did not report.
    pub left_out: Vec<Section>,
    /// The differences.
    pub differences: Vec<Difference>,
}

/// One difference. `Display` is a line that includes the values.
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
        /// The expected value.
        expected: Value,
        /// The application's value.
        held: Value,
    },
    /// The application lacks an object.
    Missing {
        /// The list.
        section: Section,
        /// The object's id.
        key: String,
    },
    /// The application has an object that should not exist.
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
                write!(f, "{section}: {key}: `{field}` should be {expected}, but is {held}")
            }
            Self::Missing { section: Section::Access, key } => {
                write!(f, "access: {key} should have access, but does not")
            }
            Self::Missing { section, key } => write!(f, "{section}: {key} is missing"),
            Self::Unexpected { section: Section::Access, key } => {
                write!(f, "access: {key} should NOT have access, but does")
            }
            Self::Unexpected { section, key } => {
                write!(f, "{section}: {key} should not exist")
            }
        }
    }
}

/// Omits the values, because they are about people.
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

/// Why an application's state can't be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ComparisonError {
    /// It is not a JSON object.
    NotAnObject,
    /// It contains none of the lists.
    NothingToCompare,
    /// A list is not a JSON array, or one of its items has no id.
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
