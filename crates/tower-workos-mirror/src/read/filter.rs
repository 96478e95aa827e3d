//! Filters.

use std::fmt;

use tower_workos::{DirectoryGroupId, DirectoryId, OrganizationId};

use super::select::{DIRECTORY, GIVES_ACCESS, GROUP, JOINED, MEMBER, Select, USER, present};
use crate::text;

/// A person, as an organization knows them: for [`Mirror::has_access_by`](crate::Mirror::has_access_by).
///
/// `Debug` shows neither the address nor the id.
#[derive(Clone, PartialEq, Eq)]
pub struct Person(Key);

#[derive(Clone, PartialEq, Eq)]
enum Key {
    Email(String),
    IdpId(String),
}

impl Person {
    /// The person with this e-mail address, regardless of case. An empty address matches nobody.
    #[must_use]
    pub fn email(email: &str) -> Self {
        Self(Key::Email(text::email_key(email)))
    }

    /// The person with this id at the provider. An empty id matches nobody.
    ///
    /// If several directories of the organization have users with this id, any of them counts. Another provider usually
    /// gives the same person another id, so the id does not find people whose organization moved to another provider: use
    /// [`email`](Self::email) for that.
    #[must_use]
    pub fn idp_id(idp_id: &str) -> Self {
        Self(Key::IdpId(text::id(idp_id).into_owned()))
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person").finish_non_exhaustive()
    }
}

/// Selects the users that meet every condition that is set, or all users if none is set.
///
/// `Debug` shows ids only.
#[derive(Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct UserFilter {
    directory: Option<DirectoryId>,
    organization: Option<OrganizationId>,
    group: Option<DirectoryGroupId>,
    email: Option<String>,
    idp_id: Option<String>,
    access: Option<bool>,
}

impl UserFilter {
    /// All users.
    pub fn new() -> Self {
        Self::default()
    }

    /// The users of a directory.
    pub fn directory(mut self, id: impl Into<DirectoryId>) -> Self {
        self.directory = Some(id.into());
        self
    }

    /// The users of an organization, in all its directories. A user's organization is the one that WorkOS sends with the
    /// user, otherwise that of the user's directory.
    pub fn organization(mut self, id: impl Into<OrganizationId>) -> Self {
        self.organization = Some(id.into());
        self
    }

    /// The members of a group.
    pub fn group(mut self, id: impl Into<DirectoryGroupId>) -> Self {
        self.group = Some(id.into());
        self
    }

    /// The users with this e-mail address, regardless of case, in all organizations.
    pub fn email(mut self, email: &str) -> Self {
        self.email = Some(text::email_key(email));
        self
    }

    /// The users with this id at the provider, in all directories.
    pub fn idp_id(mut self, idp_id: &str) -> Self {
        self.idp_id = Some(text::id(idp_id).into_owned());
        self
    }

    /// Only users who have access, or only those who don't.
    pub fn access(mut self, has_access: bool) -> Self {
        self.access = Some(has_access);
        self
    }

    /// `None` if the filter matches nobody.
    pub(super) fn person(mut self, person: Person) -> Option<Self> {
        match person.0 {
            Key::Email(key) => self.email = Some(key),
            Key::IdpId(key) => self.idp_id = Some(key),
        }
        (!self.is_nobody()).then_some(self)
    }

    fn is_nobody(&self) -> bool {
        [&self.email, &self.idp_id].into_iter().flatten().any(String::is_empty)
    }

    /// The statements whose rows together are the page, and the column by which they are sorted.
    pub(super) fn select(&self, after: Option<&str>) -> (Vec<Select>, &'static str) {
        if self.is_nobody() {
            return (Vec::new(), "u.id");
        }
        let mut select = Select::users();
        self.restrict_access(&mut select);
        // With a key, few people match. Without one, the members are read in the order of the page.
        let by_group = self.group.is_some() && self.email.is_none() && self.idp_id.is_none();
        let key = if by_group { "m.user_id" } else { "u.id" };
        if by_group {
            select.from = format!("{MEMBER} m CROSS JOIN {}", select.from);
            select.conditions.push("u.id = m.user_id".to_owned());
            // PostgreSQL does not infer this from the condition on `u.id`, and would read all members before the page.
            if let Some(after) = after {
                select.id("m.user_id >", after);
            }
        }
        if let Some(after) = after {
            select.id("u.id >", after);
        }
        match &self.organization {
            Some(organization) if self.is_only_organization() => {
                (in_organization(select, organization, "u"), key)
            }
            _ => {
                self.restrict(&mut select, by_group);
                (vec![select], key)
            }
        }
    }

    fn is_only_organization(&self) -> bool {
        self.directory.is_none()
            && self.group.is_none()
            && self.email.is_none()
            && self.idp_id.is_none()
    }

    pub(super) fn restrict_access(&self, select: &mut Select) {
        if let Some(access) = self.access {
            let not = if access { "" } else { " IS NOT TRUE" };
            select.conditions.push(format!("(u.state = 'active' AND {GIVES_ACCESS}){not}"));
        }
    }

    pub(super) fn restrict(&self, select: &mut Select, by_group: bool) {
        if let Some(email) = &self.email {
            let email = select.bind(email.clone());
            select.conditions.push(format!("u.email_key = {email}"));
        }
        if let Some(idp_id) = &self.idp_id {
            let idp_id = select.bind(idp_id.clone());
            select.conditions.push(format!("u.idp_id = {idp_id}"));
        }
        if let Some(directory) = &self.directory {
            select.directory("u.directory_id", directory.as_str(), self.access == Some(true));
        }
        if let Some(organization) = &self.organization {
            select.id("coalesce(u.organization_id, d.organization_id) =", organization.as_str());
        }
        match &self.group {
            Some(group) if by_group => {
                select.group(group.as_str());
                select.conditions.push(JOINED.to_owned());
            }
            Some(group) => {
                let group = select.bind_id(group.as_str());
                select.conditions.push(format!(
                    "EXISTS (SELECT 1 FROM {MEMBER} m JOIN {GROUP} g ON g.id = m.group_id WHERE m.group_id = {group} \
                     AND m.user_id = u.id AND {JOINED} AND {})",
                    present("g")
                ));
            }
            None => {}
        }
    }
}

impl fmt::Debug for UserFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserFilter")
            .field("directory", &self.directory)
            .field("organization", &self.organization)
            .field("group", &self.group)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

/// Selects the groups that meet every condition that is set, or all groups if none is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct GroupFilter {
    directory: Option<DirectoryId>,
    organization: Option<OrganizationId>,
}

impl GroupFilter {
    /// All groups.
    pub fn new() -> Self {
        Self::default()
    }

    /// The groups of a directory.
    pub fn directory(mut self, id: impl Into<DirectoryId>) -> Self {
        self.directory = Some(id.into());
        self
    }

    /// The groups of an organization, in all its directories. A group's organization is the one that WorkOS sends with the
    /// group, otherwise that of the group's directory.
    pub fn organization(mut self, id: impl Into<OrganizationId>) -> Self {
        self.organization = Some(id.into());
        self
    }

    pub(super) fn select(&self, after: Option<&str>) -> Vec<Select> {
        let mut select = Select::groups();
        if let Some(after) = after {
            select.id("g.id >", after);
        }
        match (&self.directory, &self.organization) {
            (None, Some(organization)) => return in_organization(select, organization, "g"),
            (Some(directory), organization) => {
                select.directory("g.directory_id", directory.as_str(), false);
                if let Some(organization) = organization {
                    let condition = "coalesce(g.organization_id, d.organization_id) =";
                    select.id(condition, organization.as_str());
                }
            }
            (None, None) => {}
        }
        vec![select]
    }
}

/// Selects the directories that meet every condition that is set, or all directories if none is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct DirectoryFilter {
    organization: Option<OrganizationId>,
}

impl DirectoryFilter {
    /// All directories.
    pub fn new() -> Self {
        Self::default()
    }

    /// The directories of an organization.
    pub fn organization(mut self, id: impl Into<OrganizationId>) -> Self {
        self.organization = Some(id.into());
        self
    }

    pub(super) fn select(&self, after: Option<&str>) -> Select {
        let mut select = Select::directories();
        if let Some(after) = after {
            select.id("d.id >", after);
        }
        if let Some(organization) = &self.organization {
            select.id("d.organization_id =", organization.as_str());
        }
        select
    }
}

/// Selects the objects that have this organization themselves, and those that have it from their directory. There is an
/// index for each of the two.
fn in_organization(mut own: Select, organization: &OrganizationId, alias: &str) -> Vec<Select> {
    let id = own.bind_id(organization.as_str());
    let mut inherited = own.clone();
    own.conditions.push(format!("{alias}.organization_id = {id}"));
    // SQLite reads the tables of a `CROSS JOIN` in this order.
    let table = if alias == "u" { USER } else { GROUP };
    inherited.from = format!("{DIRECTORY} d CROSS JOIN {table} {alias}");
    inherited.conditions.push(format!(
        "d.organization_id = {id} AND {alias}.directory_id = d.id AND {alias}.organization_id IS NULL \
         AND {alias}.deleted_at IS NULL"
    ));
    vec![own, inherited]
}
