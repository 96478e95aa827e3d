//! Errors.

use std::fmt;

/// Why a change of the world was rejected. The world is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorldError {
    /// The body of an event is not a JSON object with an `id`, an `event` and, for the events of Directory Sync that change
    /// something, the `data` with the ids of the objects.
    Unreadable,
    /// There is no object, or no event, with this id.
    Unknown,
}

impl fmt::Display for WorldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "the body is not an event, or it lacks the id of an object",
            Self::Unknown => {
                "the emulator has no such object or event with this id: record it first"
            }
        })
    }
}

impl std::error::Error for WorldError {}
