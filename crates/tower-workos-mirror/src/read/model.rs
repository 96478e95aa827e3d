//! What queries return.

use std::fmt;

use serde::Serialize;
use tower_workos::{
    Attributes, CustomAttributes, DirectoryGroupId, DirectoryId, DirectoryState, DirectoryType,
    DirectoryUserId, DirectoryUserState, OrganizationDomain, OrganizationId, Timestamp,
};

use crate::{
    sql::{rows::Row, value::Value},
    text::timestamp,
};

/// A user that the mirror lists, in the latest version, in whatever order the events arrived.
///
/// It differs from [`DirectoryUser`](tower_workos::DirectoryUser), the user of an event: roles are slugs, and
/// [`has_access`](Self::has_access) takes the directory into account.
#[derive(Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct User {
    /// The user's id. A person who is deleted and returns gets a new one.
    pub id: DirectoryUserId,
    /// The directory that the user belongs to.
    pub directory_id: Option<DirectoryId>,
    /// The user's organization: the one that WorkOS sends with the user, otherwise the directory's.
    pub organization_id: Option<OrganizationId>,
    /// The user's id at the provider.
    pub idp_id: Option<String>,
    /// The primary e-mail address: see [`DirectoryUser::primary_email`](tower_workos::DirectoryUser::primary_email).
    pub email: Option<String>,
    /// The given name.
    pub first_name: Option<String>,
    /// The family name.
    pub last_name: Option<String>,
    /// The full name.
    pub name: Option<String>,
    /// The user's own state.
    pub state: Option<DirectoryUserState>,
    /// The role's slug.
    pub role: Option<String>,
    /// The slugs of all roles.
    pub roles: Vec<String>,
    /// The attributes that the WorkOS dashboard maps. Keys are sorted; a value that is `null` or empty is absent.
    pub custom_attributes: CustomAttributes,
    /// When the user was created in WorkOS.
    pub created_at: Option<Timestamp>,
    /// When the user last changed in WorkOS.
    pub updated_at: Option<Timestamp>,
    /// Whether the user has access: the state is `active`, and the directory [gives access](Directory::gives_access).
    pub has_access: bool,
}

/// A group that the mirror lists.
#[derive(Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Group {
    /// The group's id.
    pub id: DirectoryGroupId,
    /// The directory that the group belongs to.
    pub directory_id: Option<DirectoryId>,
    /// The group's organization: the one that WorkOS sends with the group, otherwise the directory's.
    pub organization_id: Option<OrganizationId>,
    /// The group's id at the provider.
    pub idp_id: Option<String>,
    /// The group's name.
    pub name: Option<String>,
    /// The attributes that the provider sent. Keys are sorted; a value that is `null` or empty is absent.
    pub raw_attributes: Attributes,
    /// When the group was created in WorkOS.
    pub created_at: Option<Timestamp>,
    /// When the group last changed in WorkOS.
    pub updated_at: Option<Timestamp>,
}

/// A directory that the mirror lists.
#[derive(Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Directory {
    /// The directory's id.
    pub id: DirectoryId,
    /// The organization that the directory belongs to.
    pub organization_id: Option<OrganizationId>,
    /// The name that was chosen when the directory was set up.
    pub name: Option<String>,
    /// The provider that the directory is connected to; `type` in JSON.
    #[serde(rename = "type")]
    pub directory_type: Option<DirectoryType>,
    /// The directory's state.
    pub state: Option<DirectoryState>,
    /// The organization's domains.
    pub domains: Vec<OrganizationDomain>,
    /// When the directory was created in WorkOS.
    pub created_at: Option<Timestamp>,
    /// When the directory last changed in WorkOS.
    pub updated_at: Option<Timestamp>,
    /// Whether active users of the directory have access.
    ///
    /// | state | gives access |
    /// |---|---|
    /// | `active` | yes |
    /// | `validating`, `invalid_credentials` | yes: the problem is the connection to the provider, not the users |
    /// | not sent | yes |
    /// | `inactive`, `deleting`, and any that this version does not know | no |
    pub gives_access: bool,
}

/// A membership of a user in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Membership {
    /// The group.
    pub group_id: DirectoryGroupId,
    /// The user.
    pub user_id: DirectoryUserId,
    /// The user's directory.
    pub directory_id: Option<DirectoryId>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("directory_id", &self.directory_id)
            .field("organization_id", &self.organization_id)
            .field("state", &self.state)
            .field("has_access", &self.has_access)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("id", &self.id)
            .field("directory_id", &self.directory_id)
            .field("organization_id", &self.organization_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("id", &self.id)
            .field("organization_id", &self.organization_id)
            .field("state", &self.state)
            .field("directory_type", &self.directory_type)
            .field("gives_access", &self.gives_access)
            .finish_non_exhaustive()
    }
}

/// What a row of a [`Select`](super::select::Select) becomes.
pub(crate) trait Record {
    fn of_row(row: Row) -> Self;
}

impl Record for User {
    fn of_row(row: Row) -> Self {
        let mut row = Columns(row.into_iter());
        Self {
            id: row.id(),
            directory_id: row.text(),
            organization_id: row.text(),
            idp_id: row.text(),
            email: row.text(),
            first_name: row.text(),
            last_name: row.text(),
            name: row.text(),
            state: row.name(),
            role: row.text(),
            roles: row.json(),
            custom_attributes: row.json(),
            created_at: row.time(),
            updated_at: row.time(),
            has_access: row.flag(),
        }
    }
}

impl Record for Group {
    fn of_row(row: Row) -> Self {
        let mut row = Columns(row.into_iter());
        Self {
            id: row.id(),
            directory_id: row.text(),
            organization_id: row.text(),
            idp_id: row.text(),
            name: row.text(),
            raw_attributes: row.json(),
            created_at: row.time(),
            updated_at: row.time(),
        }
    }
}

impl Record for Directory {
    fn of_row(row: Row) -> Self {
        let mut row = Columns(row.into_iter());
        Self {
            id: row.id(),
            organization_id: row.text(),
            name: row.text(),
            directory_type: row.name(),
            state: row.name(),
            domains: row.json(),
            created_at: row.time(),
            updated_at: row.time(),
            gives_access: row.flag(),
        }
    }
}

impl Record for Membership {
    fn of_row(row: Row) -> Self {
        let mut row = Columns(row.into_iter());
        Self { group_id: row.id(), user_id: row.id(), directory_id: row.text() }
    }
}

impl Record for DirectoryUserId {
    fn of_row(row: Row) -> Self {
        Columns(row.into_iter()).id()
    }
}

/// The columns of a row that have not been read yet.
pub(crate) struct Columns(pub(crate) std::vec::IntoIter<Value>);

impl Columns {
    /// A column that is never NULL.
    pub(crate) fn id<T: From<String>>(&mut self) -> T {
        self.text().unwrap_or_else(|| T::from(String::new()))
    }

    pub(crate) fn text<T: From<String>>(&mut self) -> Option<T> {
        self.0.next()?.into_text().map(T::from)
    }

    pub(crate) fn name<T: for<'a> From<&'a str>>(&mut self) -> Option<T> {
        self.0.next()?.as_text().map(T::from)
    }

    /// NULL is empty. All other texts were written by this crate.
    pub(crate) fn json<T: serde::de::DeserializeOwned + Default>(&mut self) -> T {
        let text: Option<String> = self.text();
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    pub(crate) fn time(&mut self) -> Option<Timestamp> {
        self.0.next()?.as_int().map(timestamp)
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.0.next().and_then(|value| value.as_int()) == Some(1)
    }
}
