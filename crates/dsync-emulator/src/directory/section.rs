//! The lists of a snapshot.

use std::fmt;

/// A list of a [`Snapshot`](super::Snapshot).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Section {
    /// The users who have access.
    Access,
    /// The directories.
    Directories,
    /// The groups.
    Groups,
    /// The memberships.
    Memberships,
    /// The users.
    Users,
}

impl Section {
    /// All lists, the most important first.
    pub const ALL: [Self; 5] =
        [Self::Access, Self::Directories, Self::Users, Self::Groups, Self::Memberships];

    /// The list's name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Directories => "directories",
            Self::Groups => "groups",
            Self::Memberships => "memberships",
            Self::Users => "users",
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
