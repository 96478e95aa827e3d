//! A directory user.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de::DeserializeSeed};

use crate::event::{
    attributes::{CustomAttributes, PreviousAttributes},
    id::{DirectoryId, DirectoryUserId, OrganizationId},
    macros::{Read, WithPrevious, object, text_enum},
    timestamp::Timestamp,
};

object! {
    /// A person in a directory.
    ///
    /// Only the id is certain: recorded deliveries lack almost any other field. The root fields `emails`,
    /// `job_title`, `username` and `raw_attributes`, which WorkOS has deprecated and sends empty, are left
    /// to [`DirectoryEvent::raw`](crate::DirectoryEvent::raw); their successors are in
    /// [`custom_attributes`](Self::custom_attributes).
    ///
    /// Source: the WorkOS API reference, "Directory User".
    DirectoryUser, debug(id, directory_id, organization_id, state);
    required {
        /// The user's id. Somebody who was deleted and returns has a new one.
        id: DirectoryUserId,
    }
    optional {
        /// The directory the user is in.
        directory_id: Option<DirectoryId>,
        /// The organization whose directory it is.
        organization_id: Option<OrganizationId>,
        /// The user's id at the provider, in the provider's own form.
        idp_id: Option<String>,
        /// The primary e-mail address.
        email: Option<String>,
        /// The given name.
        first_name: Option<String>,
        /// The family name.
        last_name: Option<String>,
        /// The full name.
        name: Option<String>,
        /// Whether the person may have access: see [`DirectoryUser::is_active`].
        state: Option<DirectoryUserState>,
        /// The role, where roles are assigned from the directory.
        role: Option<Role>,
        /// All roles.
        roles: Vec<Role>,
        /// When the user was created in WorkOS.
        created_at: Option<Timestamp>,
        /// When the user last changed. Compare it to tell a late event from a new one; a change of group
        /// membership does not touch it.
        updated_at: Option<Timestamp>,
    }
    lazy {
        /// The attributes mapped in the WorkOS dashboard, read on demand.
        custom_attributes: CustomAttributes,
    }
}

impl DirectoryUser {
    /// Whether the directory says explicitly that this person may have access: the state is `active`.
    ///
    /// A state that is absent, unreadable or unknown to this version is not active: a person locked out by mistake
    /// complains, a former employee let in does not.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state == Some(DirectoryUserState::Active)
    }
}

impl DirectoryUser {
    /// The e-mail address to reach the person at: [`email`](Self::email), or else the primary one of
    /// [`custom_attributes.emails`](CustomAttributes::emails). An empty text is none.
    ///
    /// Primary is an entry with `primary: true`, and of several the first with an address. If no entry is marked, this is
    /// `None`: a list without a primary one may begin with a private address, and accounts are matched by what this
    /// returns.
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
        let emails = self.custom_attributes.emails().ok()??;
        let mut primary = emails.into_iter().filter(|email| email.primary == Some(true));
        primary.find_map(|email| email.value.filter(|value| !value.is_empty())).map(Cow::Owned)
    }
}

text_enum! {
    /// The state of a directory user.
    DirectoryUserState {
        /// May have access.
        Active = "active",
        /// Deactivated in the directory: no access.
        Inactive = "inactive",
        /// No access, in older deliveries.
        Suspended = "suspended",
    }
}

object! {
    /// A role assigned to a user from the directory.
    Role, debug(slug);
    required {
        /// The role's slug in WorkOS.
        slug: String,
    }
    optional {}
}

/// The data of `dsync.user.updated`: the user as it is now and what was there before.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct UserUpdated {
    /// The user as it is now.
    pub user: DirectoryUser,
    /// The former values of what changed.
    pub previous_attributes: PreviousAttributes,
    reactivated: bool,
}

impl UserUpdated {
    /// Whether this update made the user active: the state is explicitly `active`, and
    /// [`previous_attributes`](Self::previous_attributes) names another one, or that there was none.
    #[must_use]
    pub fn is_reactivation(&self) -> bool {
        self.reactivated
    }
}

impl From<WithPrevious<DirectoryUser>> for UserUpdated {
    fn from(WithPrevious { object: user, previous }: WithPrevious<DirectoryUser>) -> Self {
        let reactivated = user.is_active() && previous.was_not_active();
        Self { user, previous_attributes: previous, reactivated }
    }
}

impl<'de> Deserialize<'de> for UserUpdated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Read::<DirectoryUser>::new(None).deserialize(deserializer).map(Self::from)
    }
}
