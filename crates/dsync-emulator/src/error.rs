//! Errors.

use std::fmt;

/// Why a change of the world was rejected. The world is as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorldError {
    /// The body of an event is not a JSON object with an `id`, an `event` and, for the events of Directory Sync that change
    /// something, the `data` with the ids of the objects.
    Unreadable,
    /// There is no object with this id.
    Unknown,
}

impl fmt::Display for WorldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "the body is not an event, or it lacks the id of an object",
            Self::Unknown => "there is no directory, user or group with this id",
        })
    }
}

impl std::error::Error for WorldError {}
