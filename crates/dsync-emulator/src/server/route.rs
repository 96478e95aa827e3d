//! The paths of the API.

/// What a path means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Route<'a> {
    Directories,
    Directory(&'a str),
    Events,
    Groups,
    Group(&'a str),
    Users,
    User(&'a str),
}

impl<'a> Route<'a> {
    pub(super) fn of(path: &'a str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let (list, id) = match path.split_once('/') {
            Some((list, id)) => (list, Some(id).filter(|id| !id.is_empty() && !id.contains('/'))),
            None => (path, None),
        };
        if path.contains('/') != id.is_some() {
            return None;
        }
        match (list, id) {
            ("directories", None) => Some(Self::Directories),
            ("directories", Some(id)) => Some(Self::Directory(id)),
            ("directory_groups", None) => Some(Self::Groups),
            ("directory_groups", Some(id)) => Some(Self::Group(id)),
            ("directory_users", None) => Some(Self::Users),
            ("directory_users", Some(id)) => Some(Self::User(id)),
            ("events", None) => Some(Self::Events),
            _ => None,
        }
    }

    /// The path without an id.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Directories => "/directories",
            Self::Directory(_) => "/directories/{id}",
            Self::Events => "/events",
            Self::Groups => "/directory_groups",
            Self::Group(_) => "/directory_groups/{id}",
            Self::Users => "/directory_users",
            Self::User(_) => "/directory_users/{id}",
        }
    }
}
