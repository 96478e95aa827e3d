//! A user's custom attributes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::{
    address::PostalAddress,
    attributes::{AttributeError, Attributes, read_text},
    duplicates,
    email::EmailAddress,
};

/// A user's custom attributes: those that WorkOS predefines have methods, and any other is available as JSON.
///
/// They are read on demand, so an invalid value does not affect the others. A predefined attribute is `None` if it is
/// absent, `null`, or of another type; in the last case, [`get`](Self::get) returns it as JSON. A number or a boolean that
/// is sent instead of a string is returned as its JSON text.
///
/// To make one, deserialize it from a JSON object.
///
/// Source: the WorkOS guide on Directory Sync attributes.
///
/// ```
/// use tower_workos::CustomAttributes;
///
/// let attributes: CustomAttributes =
///     serde_json::from_str(r#"{"job_title":"Engineer","employee_number":17,"shoe_size":38}"#)?;
/// assert_eq!(attributes.job_title().as_deref(), Some("Engineer"));
/// assert_eq!(attributes.employee_number().as_deref(), Some("17"));
/// assert_eq!(attributes.department_name(), None);
/// assert_eq!(attributes.get_as("shoe_size"), Ok(Some(38)));
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct CustomAttributes(Attributes);

impl CustomAttributes {
    /// The postal addresses. An entry that can't be read is left out; [`get`](Self::get) returns the whole list as JSON.
    #[must_use]
    pub fn addresses(&self) -> Option<Vec<PostalAddress>> {
        duplicates::read_list(self.get("addresses")?.get())
    }

    /// The cost center's name.
    #[must_use]
    pub fn cost_center_name(&self) -> Option<Cow<'_, str>> {
        self.text("cost_center_name")
    }

    /// The department's name.
    #[must_use]
    pub fn department_name(&self) -> Option<Cow<'_, str>> {
        self.text("department_name")
    }

    /// The division's name.
    #[must_use]
    pub fn division_name(&self) -> Option<Cow<'_, str>> {
        self.text("division_name")
    }

    /// The e-mail addresses. An entry that can't be read is left out; [`get`](Self::get) returns the whole list as JSON.
    #[must_use]
    pub fn emails(&self) -> Option<Vec<EmailAddress>> {
        duplicates::read_list(self.get("emails")?.get())
    }

    /// The employee number, which may contain letters.
    #[must_use]
    pub fn employee_number(&self) -> Option<Cow<'_, str>> {
        self.text("employee_number")
    }

    /// The type of employment.
    #[must_use]
    pub fn employee_type(&self) -> Option<Cow<'_, str>> {
        self.text("employee_type")
    }

    /// The first day of employment, in the provider's format.
    #[must_use]
    pub fn employment_start_date(&self) -> Option<Cow<'_, str>> {
        self.text("employment_start_date")
    }

    /// The job title.
    #[must_use]
    pub fn job_title(&self) -> Option<Cow<'_, str>> {
        self.text("job_title")
    }

    /// The manager's e-mail address.
    #[must_use]
    pub fn manager_email(&self) -> Option<Cow<'_, str>> {
        self.text("manager_email")
    }

    /// The organization's name at the provider.
    #[must_use]
    pub fn organization(&self) -> Option<Cow<'_, str>> {
        self.text("organization")
    }

    /// The name with which the user signs in at the provider.
    #[must_use]
    pub fn username(&self) -> Option<Cow<'_, str>> {
        self.text("username")
    }

    /// The JSON value of a key; `None` if it is absent or `null`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&RawValue> {
        self.0.get(key)
    }

    /// The value of a key, as a type that the caller chooses; `None` if it is absent or `null`.
    ///
    /// # Errors
    ///
    /// [`AttributeError`] if it is not of that type.
    pub fn get_as<'a, T: Deserialize<'a>>(
        &'a self,
        key: &str,
    ) -> Result<Option<T>, AttributeError> {
        self.0.get_as(key)
    }

    /// The JSON text as it was sent; `{}` if nothing was sent.
    #[must_use]
    pub fn raw(&self) -> &str {
        self.0.raw()
    }

    fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        read_text(self.get(key)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn custom(json: &str) -> CustomAttributes {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn predefined_attributes_have_their_types() {
        let attributes = custom(
            r#"{"addresses":[{"type":"work","primary":true,"locality":"Oslo","country":"NO","x":1},
                             {"raw_address":"1 Road"}],
                "cost_center_name":"R&D","department_name":"Eng","division_name":"Core",
                "emails":[{"primary":true,"type":"work","value":"ada@example.com"},{"value":null}],
                "employee_number":"E-17","employee_type":"full","employment_start_date":"2021-06-25",
                "job_title":"A \"Lead\"","manager_email":"boss@example.com","organization":"Example",
                "username":"ada","shoe_size":38}"#,
        );
        let addresses = attributes.addresses().unwrap();
        assert_eq!(addresses[0].locality.as_deref(), Some("Oslo"));
        assert_eq!(addresses[0].address_type.as_deref(), Some("work"));
        assert_eq!(addresses[1].raw_address.as_deref(), Some("1 Road"));
        let emails = attributes.emails().unwrap();
        assert_eq!(emails[0].value.as_deref(), Some("ada@example.com"));
        assert_eq!((emails[0].primary, emails[1].value.as_deref()), (Some(true), None));
        assert_eq!(attributes.cost_center_name().unwrap(), "R&D");
        assert_eq!(attributes.department_name().unwrap(), "Eng");
        assert_eq!(attributes.division_name().unwrap(), "Core");
        assert_eq!(attributes.employee_number().unwrap(), "E-17");
        assert_eq!(attributes.employee_type().unwrap(), "full");
        assert_eq!(attributes.employment_start_date().unwrap(), "2021-06-25");
        assert_eq!(attributes.job_title().unwrap(), "A \"Lead\"");
        assert_eq!(attributes.manager_email().unwrap(), "boss@example.com");
        assert_eq!(attributes.organization().unwrap(), "Example");
        assert!(matches!(attributes.username(), Some(Cow::Borrowed("ada"))));
        assert_eq!(attributes.get_as::<u8>("shoe_size"), Ok(Some(38)));
    }

    #[test]
    fn an_attribute_of_another_type_is_absent() {
        let attributes =
            custom(r#"{"job_title":null,"employee_number":17,"username":{"a":1},"emails":"x"}"#);
        assert_eq!(attributes.job_title(), None);
        assert_eq!(attributes.division_name(), None);
        assert_eq!(attributes.employee_number().unwrap(), "17");
        assert_eq!(attributes.username(), None);
        assert_eq!(attributes.get("username").unwrap().get(), r#"{"a":1}"#);
        assert_eq!(attributes.emails(), None);
    }

    #[test]
    fn an_invalid_entry_hides_no_other_and_the_last_value_of_a_key_counts() {
        let attributes = custom(
            r#"{"emails":[7,{"primary":true,"primary":false,"value":1,"value":"a@b"},{"value":{}},null]}"#,
        );
        let email = EmailAddress {
            primary: Some(false),
            value: Some("a@b".to_owned()),
            ..EmailAddress::default()
        };
        assert_eq!(attributes.emails(), Some(vec![email]));
    }

    #[test]
    fn debug_shows_no_attribute() {
        let email: EmailAddress = serde_json::from_str(r#"{"value":"canary"}"#).unwrap();
        let debug = format!("{:?} {email:?}", custom(r#"{"job_title":"canary"}"#));
        assert_eq!(
            debug,
            "CustomAttributes(Attributes(..)) EmailAddress { primary: None, email_type: None, .. }"
        );
    }
}
