//! The former values of an update.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::{
    address::PostalAddress,
    attributes::{AttributeError, Attributes, is_null, is_object, read_as, read_text},
    duplicates,
    email::EmailAddress,
    role::Role,
    user_state::DirectoryUserState,
};

/// A value before an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "absent, null or a value: JSON has no fourth case")]
pub enum Previous<T> {
    /// It did not change.
    Unchanged,
    /// It had this value.
    Was(T),
    /// It was absent (`null` in JSON), or not of the type that the method returns.
    WasAbsent,
}

impl<T> Previous<T> {
    /// Whether the value changed.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !matches!(self, Self::Unchanged)
    }
}

/// The former values of what an update changed: of root fields and of [`custom_attributes`](Self::custom_attributes).
///
/// It is read on demand, like [`CustomAttributes`](crate::CustomAttributes). A value that is not of the type that the method
/// returns is [`WasAbsent`](Previous::WasAbsent); [`get`](Self::get) returns it as JSON.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(from = "Attributes", into = "Attributes")]
pub struct PreviousAttributes {
    object: Attributes,
    /// Whether the state is among the changes and was not `active`. Read once: each access decision depends on it.
    was_not_active: bool,
}

impl PreviousAttributes {
    /// The former values of the custom attributes that changed; empty if none did.
    #[must_use]
    pub fn custom_attributes(&self) -> PreviousCustomAttributes {
        let raw = self.object.get("custom_attributes").filter(|raw| is_object(raw));
        raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }

    /// The former primary e-mail address.
    #[must_use]
    pub fn email(&self) -> Previous<Cow<'_, str>> {
        former(&self.object, "email", read_text)
    }

    /// The former given name.
    #[must_use]
    pub fn first_name(&self) -> Previous<Cow<'_, str>> {
        former(&self.object, "first_name", read_text)
    }

    /// The former id at the provider.
    #[must_use]
    pub fn idp_id(&self) -> Previous<Cow<'_, str>> {
        former(&self.object, "idp_id", read_text)
    }

    /// The former family name.
    #[must_use]
    pub fn last_name(&self) -> Previous<Cow<'_, str>> {
        former(&self.object, "last_name", read_text)
    }

    /// The former full name of a user, or the former name of a group.
    #[must_use]
    pub fn name(&self) -> Previous<Cow<'_, str>> {
        former(&self.object, "name", read_text)
    }

    /// The former role.
    #[must_use]
    pub fn role(&self) -> Previous<Role> {
        former(&self.object, "role", |raw| duplicates::read(raw.get()))
    }

    /// The former roles. An entry that can't be read is left out; [`get`](Self::get) returns the whole list as JSON.
    #[must_use]
    pub fn roles(&self) -> Previous<Vec<Role>> {
        former(&self.object, "roles", |raw| duplicates::read_list(raw.get()))
    }

    /// The former state.
    #[must_use]
    pub fn state(&self) -> Previous<DirectoryUserState> {
        former(&self.object, "state", read_state)
    }

    /// The former JSON of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Previous<&RawValue> {
        former(&self.object, key, Some)
    }

    /// The former value of a key as a type that the caller chooses.
    ///
    /// # Errors
    ///
    /// [`AttributeError`] if it is not of that type.
    pub fn get_as<'a, T: Deserialize<'a>>(
        &'a self,
        key: &str,
    ) -> Result<Previous<T>, AttributeError> {
        former_as(&self.object, key)
    }

    /// The JSON text as it was sent; `{}` if nothing was sent.
    #[must_use]
    pub fn raw(&self) -> &str {
        self.object.raw()
    }

    /// Whether the state is among the changes and was not `active`.
    pub(super) fn was_not_active(&self) -> bool {
        self.was_not_active
    }
}

impl From<Attributes> for PreviousAttributes {
    fn from(object: Attributes) -> Self {
        // Fast path: most updates don't contain the state, whose key could only be hidden by an escape.
        let may_name_it = object.raw().contains("\"state\"") || object.raw().contains('\\');
        let state = if may_name_it { object.get_or_null("state") } else { None };
        let was_not_active =
            state.is_some_and(|raw| read_state(raw) != Some(DirectoryUserState::Active));
        Self { object, was_not_active }
    }
}

impl From<PreviousAttributes> for Attributes {
    fn from(previous: PreviousAttributes) -> Self {
        previous.object
    }
}

/// The former values of custom attributes.
///
/// It is read on demand, like [`CustomAttributes`](crate::CustomAttributes). A value that is not of the type that the method
/// returns is [`WasAbsent`](Previous::WasAbsent); [`get`](Self::get) returns it as JSON.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct PreviousCustomAttributes(Attributes);

impl PreviousCustomAttributes {
    /// The former postal addresses. An entry that can't be read is left out; [`get`](Self::get) returns the whole list as
    /// JSON.
    #[must_use]
    pub fn addresses(&self) -> Previous<Vec<PostalAddress>> {
        former(&self.0, "addresses", |raw| duplicates::read_list(raw.get()))
    }

    /// The former name of the cost center.
    #[must_use]
    pub fn cost_center_name(&self) -> Previous<Cow<'_, str>> {
        former(&self.0, "cost_center_name", read_text)
    }

    /// The former name of the department.
    #[must_use]
    pub fn department_name(&self) -> Previous<Cow<'_, str>> {
        former(&self.0, "department_name", read_text)
    }

    /// The former name of the division.
    #[must_use]
    pub fn division_name(&self) -> Previous<Cow<'_, str>> {
        former(&self.0, "division_name", read_text)
    }

    /// The former e-mail addresses. An entry that can't be read is left out; [`get`](Self::get) returns the whole list as
    /// JSON.
    #[must_use]
    pub fn emails(&self) -> Previous<Vec<EmailAddress>> {
        former(&self.0, "emails", |raw| duplicates::read_list(raw.get()))
    }

    /// The former employee number.
    #[must_use]
    pub fn employee_number(&self) -> Previous<Cow<'_, str>> {
        former(&self.0, "employee_number", read_text)
    }

    /// The former type of employment.
    #[must_use]
    pub fn employee_type(&self) -> Previous<Cow<'_, str>> {
        former(&self.0, "employee_type", read_text)
    }

    /// The former first day of employment.
    #[must_use]
    pub fn employment_start_date(&self) -> Previous<Cow<'_, str>> {
        former(&self.0, "employment_start_date", read_text)
    }

    /// The former job title.
    #[must_use]
    pub fn job_title(&self) -> Previous<Cow<'_, str>> {
        former(&self.0, "job_title", read_text)
    }

    /// The manager's former e-mail address.
    #[must_use]
    pub fn manager_email(&self) -> Previous<Cow<'_, str>> {
        former(&self.0, "manager_email", read_text)
    }

    /// The former name of the organization at the provider.
    #[must_use]
    pub fn organization(&self) -> Previous<Cow<'_, str>> {
        former(&self.0, "organization", read_text)
    }

    /// The former name with which the user signed in at the provider.
    #[must_use]
    pub fn username(&self) -> Previous<Cow<'_, str>> {
        former(&self.0, "username", read_text)
    }

    /// The former JSON of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Previous<&RawValue> {
        former(&self.0, key, Some)
    }

    /// The former value of a key as a type that the caller chooses.
    ///
    /// # Errors
    ///
    /// [`AttributeError`] if it is not of that type.
    pub fn get_as<'a, T: Deserialize<'a>>(
        &'a self,
        key: &str,
    ) -> Result<Previous<T>, AttributeError> {
        former_as(&self.0, key)
    }

    /// The JSON text as it was sent; `{}` if nothing was sent.
    #[must_use]
    pub fn raw(&self) -> &str {
        self.0.raw()
    }
}

fn former<'a, T>(
    object: &'a Attributes,
    key: &str,
    read: impl FnOnce(&'a RawValue) -> Option<T>,
) -> Previous<T> {
    match object.get_or_null(key) {
        None => Previous::Unchanged,
        Some(raw) if is_null(raw) => Previous::WasAbsent,
        Some(raw) => read(raw).map_or(Previous::WasAbsent, Previous::Was),
    }
}

fn former_as<'a, T: Deserialize<'a>>(
    object: &'a Attributes,
    key: &str,
) -> Result<Previous<T>, AttributeError> {
    Ok(match object.get_or_null(key) {
        None => Previous::Unchanged,
        Some(raw) if is_null(raw) => Previous::WasAbsent,
        Some(raw) => Previous::Was(read_as(raw, key)?),
    })
}

fn read_state(raw: &RawValue) -> Option<DirectoryUserState> {
    serde_json::from_str(raw.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn previous(json: &str) -> PreviousAttributes {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn absent_differs_from_unchanged() {
        let attributes = previous(
            r#"{"state":"inactive","email":null,"role":{"slug":"admin"},"roles":[{"slug":"a"},7,{"slug":"b"}],
                "name":{},"custom_attributes":{"job_title":"Engineer","department_name":null,"emails":7}}"#,
        );
        assert_eq!(attributes.state(), Previous::Was(DirectoryUserState::Inactive));
        assert_eq!(attributes.email(), Previous::WasAbsent);
        assert_eq!(attributes.first_name(), Previous::Unchanged);
        assert!(attributes.email().is_changed());
        assert!(!attributes.first_name().is_changed());
        assert_eq!(attributes.name(), Previous::WasAbsent, "of another type");
        assert!(matches!(attributes.get("name"), Previous::Was(raw) if raw.get() == "{}"));
        assert_eq!(attributes.role(), Previous::Was(Role::new("admin")));
        assert_eq!(attributes.roles(), Previous::Was(vec![Role::new("a"), Role::new("b")]));
        assert_eq!(attributes.get_as::<&str>("state"), Ok(Previous::Was("inactive")));
        assert!(attributes.get_as::<u8>("state").is_err());
        let custom = attributes.custom_attributes();
        assert_eq!(custom.job_title(), Previous::Was("Engineer".into()));
        assert_eq!(custom.department_name(), Previous::WasAbsent);
        assert_eq!(custom.username(), Previous::Unchanged);
        assert_eq!(custom.emails(), Previous::WasAbsent);
        for none in ["{}", r#"{"custom_attributes":null}"#, r#"{"custom_attributes":[]}"#] {
            assert_eq!(previous(none).custom_attributes().raw(), "{}");
        }
    }

    #[test]
    fn was_not_active() {
        for (json, expected) in [
            (r#"{"state":"inactive"}"#, true),
            (r#"{"state":"suspended"}"#, true),
            (r#"{"state":"new"}"#, true),
            (r#"{"state":null}"#, true),
            (r#"{"st\u0061te":"inactive"}"#, true),
            (r#"{"state":7}"#, true),
            (r#"{"state":"active"}"#, false),
            (r#"{"state":"\u0061ctive"}"#, false),
            (r#"{"state":"inactive","state":"active"}"#, false),
            (r#"{"custom_attributes":{"state":"inactive"}}"#, false),
            (r#"{"email":"state"}"#, false),
            ("{}", false),
        ] {
            assert_eq!(previous(json).was_not_active(), expected, "{json}");
        }
        assert!(!PreviousAttributes::default().was_not_active());
    }

    #[test]
    fn debug_shows_no_attribute() {
        let debug = format!("{:?}", previous(r#"{"email":"canary"}"#));
        assert!(!debug.contains("canary"), "{debug}");
    }
}
