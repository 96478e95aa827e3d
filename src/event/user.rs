//! Directory users.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize};

use crate::event::{
    custom_attributes::CustomAttributes,
    id::{DirectoryId, DirectoryUserId, OrganizationId},
    object::json_object,
    previous::PreviousAttributes,
    role::Role,
    text::{not_empty, null_is_default},
    timestamp::Timestamp,
    updated::with_previous,
    user_state::DirectoryUserState,
};

/// A person in a directory.
///
/// Only the id is guaranteed: recorded deliveries lack almost every other field. The root fields `emails`,
/// `job_title`, `username` and `raw_attributes`, which WorkOS has deprecated and sends empty, are only in
/// [`DirectoryEvent::raw`](crate::DirectoryEvent::raw); [`custom_attributes`](Self::custom_attributes) replaces them.
///
/// Source: the WorkOS API reference, "Directory User".
///
/// ```
/// use tower_workos::{DirectoryUser, DirectoryUserState};
///
/// let mut user = DirectoryUser::new("directory_user_1");
/// user.state = Some(DirectoryUserState::Active);
/// user.custom_attributes = serde_json::from_str(r#"{"job_title":"Engineer"}"#)?;
///
/// let json = serde_json::to_string(&user)?;
/// assert_eq!(serde_json::from_str::<DirectoryUser>(&json)?, user);
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(remote = "Self")]
#[non_exhaustive]
pub struct DirectoryUser {
    /// The user's id. A person who is deleted and returns gets a new one.
    #[serde(deserialize_with = "not_empty")]
    pub id: DirectoryUserId,
    /// The directory that the user belongs to.
    pub directory_id: Option<DirectoryId>,
    /// The organization that the directory belongs to.
    pub organization_id: Option<OrganizationId>,
    /// The user's id at the provider, in the provider's format.
    pub idp_id: Option<String>,
    /// The primary e-mail address.
    pub email: Option<String>,
    /// The given name.
    pub first_name: Option<String>,
    /// The family name.
    pub last_name: Option<String>,
    /// The full name.
    pub name: Option<String>,
    /// Whether the person may have access: see [`is_active`](Self::is_active).
    pub state: Option<DirectoryUserState>,
    /// The role, if roles are assigned from the directory.
    pub role: Option<Role>,
    /// All roles.
    #[serde(default, deserialize_with = "null_is_default")]
    pub roles: Vec<Role>,
    /// The attributes that the WorkOS dashboard maps.
    #[serde(default, deserialize_with = "null_is_default")]
    pub custom_attributes: CustomAttributes,
    /// When the user was created in WorkOS.
    pub created_at: Option<Timestamp>,
    /// When the user last changed. Compare it to distinguish late events from new ones. A change of group membership does
    /// not affect it.
    pub updated_at: Option<Timestamp>,
}

json_object!(DirectoryUser);

impl DirectoryUser {
    /// Creates a user of whom only the id is known.
    #[must_use]
    pub fn new(id: impl Into<DirectoryUserId>) -> Self {
        Self {
            id: id.into(),
            directory_id: None,
            organization_id: None,
            idp_id: None,
            email: None,
            first_name: None,
            last_name: None,
            name: None,
            state: None,
            role: None,
            roles: Vec::new(),
            custom_attributes: CustomAttributes::default(),
            created_at: None,
            updated_at: None,
        }
    }

    /// Whether the directory explicitly allows this person to have access: the state is `active`.
    ///
    /// A state that is absent, unreadable or unknown to this version is not active: a person who is locked out by mistake
    /// complains, but a former employee who still has access does not.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state == Some(DirectoryUserState::Active)
    }

    /// The person's e-mail address: [`email`](Self::email) or, if that is absent, the primary one of
    /// [`custom_attributes.emails`](CustomAttributes::emails). An empty address counts as absent.
    ///
    /// An entry is primary if it has `primary: true`; if there are several, the first with an address counts. If no entry
    /// is primary, the result is `None`: the first entry may be a private address, and applications match accounts by the
    /// result.
    ///
    /// ```
    /// use tower_workos::DirectoryUser;
    ///
    /// let user: DirectoryUser = serde_json::from_str(
    ///     r#"{"id":"directory_user_1","email":"",
    ///         "custom_attributes":{"emails":[{"value":"home@example.com"},
    ///                                        {"value":"ada@example.com","primary":true}]}}"#,
    /// )?;
    /// assert_eq!(user.primary_email().as_deref(), Some("ada@example.com"));
    /// # Ok::<_, serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn primary_email(&self) -> Option<Cow<'_, str>> {
        if let Some(email) = self.email.as_deref().filter(|email| !email.is_empty()) {
            return Some(email.into());
        }
        let emails = self.custom_attributes.emails()?;
        let mut primary = emails.into_iter().filter(|email| email.primary == Some(true));
        primary.find_map(|email| email.value.filter(|value| !value.is_empty())).map(Cow::Owned)
    }
}

impl fmt::Debug for DirectoryUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryUser")
            .field("id", &self.id)
            .field("directory_id", &self.directory_id)
            .field("organization_id", &self.organization_id)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// The data of `dsync.user.updated`: the user as it is now and what changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UserUpdated {
    /// The user as it is now.
    #[serde(flatten)]
    pub user: DirectoryUser,
    /// The former values of what changed.
    pub previous_attributes: PreviousAttributes,
}

impl UserUpdated {
    /// Creates the data of an update.
    #[must_use]
    pub fn new(user: DirectoryUser, previous_attributes: PreviousAttributes) -> Self {
        Self { user, previous_attributes }
    }

    /// Whether this update made the user active: the state is explicitly `active` and, according to
    /// [`previous_attributes`](Self::previous_attributes), was different or absent before.
    #[must_use]
    pub fn is_reactivation(&self) -> bool {
        self.user.is_active() && self.previous_attributes.was_not_active()
    }
}

impl<'de> Deserialize<'de> for UserUpdated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        with_previous(deserializer).map(|(user, previous)| Self::new(user, previous))
    }
}
