//! Free-form JSON objects: kept as text, read when asked for.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::event::{
    macros::{Lazy, object},
    user::{DirectoryUserState, Role},
};

/// A value before an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "absent, null or a value: JSON has no fourth case")]
pub enum Previous<T> {
    /// It is not among the changes: it was what it is now.
    Unchanged,
    /// It was this.
    Was(T),
    /// It was not there before (`null` in JSON).
    WasAbsent,
}

impl<T> Previous<T> {
    /// Whether it is among the changes.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !matches!(self, Self::Unchanged)
    }

    fn and_then<U>(
        self,
        f: impl FnOnce(T) -> Result<U, AttributeError>,
    ) -> Result<Previous<U>, AttributeError> {
        Ok(match self {
            Self::Unchanged => Previous::Unchanged,
            Self::Was(value) => Previous::Was(f(value)?),
            Self::WasAbsent => Previous::WasAbsent,
        })
    }
}

/// An attribute that is not of the type it was asked for as. Names the key, never the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeError {
    key: Box<str>,
    expected: &'static str,
}

impl fmt::Display for AttributeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the attribute `{}` is not {}; `get` returns it as JSON", self.key, self.expected)
    }
}

impl std::error::Error for AttributeError {}

/// The text of a JSON object, or nothing.
#[derive(Clone, Default)]
enum LazyObject {
    #[default]
    Nothing,
    Own(Box<RawValue>),
    /// Of an event's body, which is UTF-8.
    Shared(Bytes),
}

/// A text from this length on is shared with its body: a copy would double the event's memory, and costs more than the
/// reference count. A shorter one is cheaper to copy.
const SHARED_FROM: usize = 256;
/// A text of less than this part of its body is copied: kept on its own, it would keep the body.
const SHARED_PART: usize = 4;

impl LazyObject {
    /// What stands in a body's text.
    fn from_body(raw: &RawValue, body: &Bytes) -> Self {
        let text = raw.get();
        // Nothing and an empty object have the same text.
        if text == "{}" {
            return Self::Nothing;
        }
        let start = text.as_ptr().addr().checked_sub(body.as_ptr().addr());
        let place = start.and_then(|start| Some(start..start.checked_add(text.len())?));
        match place {
            Some(place)
                if place.end <= body.len()
                    && text.len() >= SHARED_FROM
                    && text.len() >= body.len() / SHARED_PART =>
            {
                Self::Shared(body.slice(place))
            }
            _ => Self::Own(raw.to_owned()),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Nothing => "{}",
            Self::Own(raw) => raw.get(),
            // It was cut out of a text: there is no error.
            Self::Shared(bytes) => str::from_utf8(bytes).unwrap_or("{}"),
        }
    }

    /// The value of a key, as the key last stands; `null` is returned as such.
    fn get(&self, key: &str) -> Result<Option<&RawValue>, AttributeError> {
        serde_json::Deserializer::from_str(self.text())
            .deserialize_map(Find { key })
            .map_err(|_| AttributeError { key: key.into(), expected: "part of a JSON object" })
    }
}

impl<'de> Deserialize<'de> for LazyObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::deserialize(deserializer).map(Self::Own)
    }
}

struct Find<'k> {
    key: &'k str,
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(same) = map.next_key_seed(SameText(self.key))? {
            if same {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a string is this text, however it is written.
struct SameText<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for SameText<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for SameText<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<bool, E> {
        Ok(text == self.0)
    }
}

/// Reads one value; `expected` tells in the error what it is not.
fn read<'a, T: Deserialize<'a>>(
    raw: &'a RawValue,
    key: &str,
    expected: &'static str,
) -> Result<T, AttributeError> {
    serde_json::from_str(raw.get()).map_err(|_| AttributeError { key: key.into(), expected })
}

/// Reads a string, without a copy where it has no escapes. Some providers send numbers and booleans
/// unquoted: their text is returned.
fn read_text<'a>(raw: &'a RawValue, key: &str) -> Result<Cow<'a, str>, AttributeError> {
    let text = raw.get();
    match text.as_bytes() {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => {
            Ok(Cow::Borrowed(text.trim_start_matches('"').trim_end_matches('"')))
        }
        [b'"', ..] => read(raw, key, "a string").map(Cow::Owned),
        [b'{' | b'[', ..] => Err(AttributeError { key: key.into(), expected: "a string" }),
        _ => Ok(Cow::Borrowed(text)),
    }
}

fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// What every free-form object has.
macro_rules! lazy_object {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Where it is most of its event, it is a part of the event's bytes, which a clone of it keeps.
        #[derive(Clone, Default)]
        pub struct $name(LazyObject);

        impl $name {
            /// The JSON text as it was sent; `{}` where nothing was.
            #[must_use]
            pub fn raw(&self) -> &str {
                self.0.text()
            }
        }

        impl Lazy for $name {
            fn from_body(raw: &RawValue, body: &Bytes) -> Self {
                Self(LazyObject::from_body(raw, body))
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.raw() == other.raw()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                LazyObject::deserialize(deserializer).map(Self)
            }
        }
    };
}

/// `get` and `get_as` for objects whose values are what they are now.
macro_rules! present_values {
    ($name:ident) => {
        impl $name {
            /// The JSON of a key; `None` where it is absent or `null`.
            ///
            /// # Errors
            ///
            /// [`AttributeError`] where this is no JSON object.
            pub fn get(&self, key: &str) -> Result<Option<&RawValue>, AttributeError> {
                Ok(self.0.get(key)?.filter(|raw| !is_null(raw)))
            }

            /// The value of a key as a type of the caller's.
            ///
            /// # Errors
            ///
            /// [`AttributeError`] where it is not of that type.
            pub fn get_as<'a, T: Deserialize<'a>>(
                &'a self,
                key: &str,
            ) -> Result<Option<T>, AttributeError> {
                self.get(key)?.map(|raw| read(raw, key, "of the type asked for")).transpose()
            }
        }
    };
}

/// `get` and `get_as` for objects whose values are what they were before.
macro_rules! previous_values {
    ($name:ident) => {
        impl $name {
            /// The former JSON of a key.
            ///
            /// # Errors
            ///
            /// [`AttributeError`] where this is no JSON object.
            pub fn get(&self, key: &str) -> Result<Previous<&RawValue>, AttributeError> {
                Ok(match self.0.get(key)? {
                    None => Previous::Unchanged,
                    Some(raw) if is_null(raw) => Previous::WasAbsent,
                    Some(raw) => Previous::Was(raw),
                })
            }

            /// The former value of a key as a type of the caller's.
            ///
            /// # Errors
            ///
            /// [`AttributeError`] where it is not of that type.
            pub fn get_as<'a, T: Deserialize<'a>>(
                &'a self,
                key: &str,
            ) -> Result<Previous<T>, AttributeError> {
                self.get(key)?.and_then(|raw| read(raw, key, "of the type asked for"))
            }
        }
    };
}

lazy_object! {
    /// Attributes of no fixed shape, such as a provider's own.
    Attributes
}
present_values!(Attributes);

lazy_object! {
    /// A user's custom attributes: those that WorkOS predefines by name and type, any other as JSON.
    ///
    /// Nothing is read before it is asked for, so an odd value harms only the one who asks for it.
    ///
    /// Source: the WorkOS guide on Directory Sync attributes.
    CustomAttributes
}
present_values!(CustomAttributes);

lazy_object! {
    /// What an update replaced, a shallow difference: former values of root fields, and of
    /// [`custom_attributes`](Self::custom_attributes).
    PreviousAttributes
}
previous_values!(PreviousAttributes);

lazy_object! {
    /// The former values of custom attributes.
    PreviousCustomAttributes
}
previous_values!(PreviousCustomAttributes);

lazy_object! {
    /// What WorkOS tells about an event beside its data.
    EventContext
}
present_values!(EventContext);

/// The getters of the predefined attributes, for values of now and of before.
macro_rules! predefined_attributes {
    ($($(#[$doc:meta])* $key:ident: $read:ident -> $type:ty,)*) => {
        impl CustomAttributes {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                ///
                /// [`AttributeError`] where it is of another type.
                pub fn $key(&self) -> Result<Option<$type>, AttributeError> {
                    self.get(stringify!($key))?.map(|raw| $read(raw, stringify!($key))).transpose()
                }
            )*
        }

        impl PreviousCustomAttributes {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                ///
                /// [`AttributeError`] where it is of another type.
                pub fn $key(&self) -> Result<Previous<$type>, AttributeError> {
                    self.get(stringify!($key))?.and_then(|raw| $read(raw, stringify!($key)))
                }
            )*
        }
    };
}

predefined_attributes! {
    /// The postal addresses. An entry that can't be read is left out; `get` returns the list as JSON.
    addresses: read_addresses -> Vec<PostalAddress>,
    /// The cost center's name.
    cost_center_name: read_text -> Cow<'_, str>,
    /// The department's name.
    department_name: read_text -> Cow<'_, str>,
    /// The division's name.
    division_name: read_text -> Cow<'_, str>,
    /// The e-mail addresses. An entry that can't be read is left out; `get` returns the list as JSON.
    emails: read_emails -> Vec<EmailAddress>,
    /// The employee's number, which may have letters.
    employee_number: read_text -> Cow<'_, str>,
    /// The kind of employment.
    employee_type: read_text -> Cow<'_, str>,
    /// The first day of employment, in whatever form the provider writes dates.
    employment_start_date: read_text -> Cow<'_, str>,
    /// The job title.
    job_title: read_text -> Cow<'_, str>,
    /// The manager's e-mail address.
    manager_email: read_text -> Cow<'_, str>,
    /// The organization's name at the provider.
    organization: read_text -> Cow<'_, str>,
    /// The user's name for signing in at the provider.
    username: read_text -> Cow<'_, str>,
}

/// The getters of root fields that an update may have changed.
macro_rules! previous_fields {
    ($($(#[$doc:meta])* $key:ident: $read:ident -> $type:ty,)*) => {
        impl PreviousAttributes {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                ///
                /// [`AttributeError`] where it is of another type.
                pub fn $key(&self) -> Result<Previous<$type>, AttributeError> {
                    self.get(stringify!($key))?.and_then(|raw| $read(raw, stringify!($key)))
                }
            )*
        }
    };
}

previous_fields! {
    /// The former primary e-mail address.
    email: read_text -> Cow<'_, str>,
    /// The former given name.
    first_name: read_text -> Cow<'_, str>,
    /// The former id at the provider.
    idp_id: read_text -> Cow<'_, str>,
    /// The former family name.
    last_name: read_text -> Cow<'_, str>,
    /// The former full name, or the former name of a group.
    name: read_text -> Cow<'_, str>,
    /// The former role.
    role: read_role -> Role,
    /// The former roles. An entry that can't be read is left out; `get` returns the list as JSON.
    roles: read_roles -> Vec<Role>,
    /// The former state.
    state: read_state -> DirectoryUserState,
}

impl PreviousAttributes {
    /// The former values of the custom attributes that changed; empty where none did.
    ///
    /// # Errors
    ///
    /// [`AttributeError`] where this is no JSON object.
    pub fn custom_attributes(&self) -> Result<PreviousCustomAttributes, AttributeError> {
        let key = "custom_attributes";
        match self.get(key)? {
            Previous::Was(raw) => read(raw, key, "a JSON object"),
            Previous::Unchanged | Previous::WasAbsent => Ok(PreviousCustomAttributes::default()),
        }
    }

    /// Whether the state is among the changes and was not `active`. Looks for the key only where its name,
    /// or an escape that could hide it, is in the text.
    pub(crate) fn was_not_active(&self) -> bool {
        let text = self.raw();
        if !text.contains("\"state\"") && !text.contains('\\') {
            return false;
        }
        match self.get("state") {
            Ok(Previous::Was(raw)) => {
                let mut value = serde_json::Deserializer::from_str(raw.get());
                !SameText("active").deserialize(&mut value).unwrap_or(false)
            }
            Ok(Previous::WasAbsent) => true,
            Ok(Previous::Unchanged) | Err(_) => false,
        }
    }
}

impl EventContext {
    /// Who caused the event.
    ///
    /// # Errors
    ///
    /// [`AttributeError`] where it is of another type.
    pub fn actor(&self) -> Result<Option<Actor>, AttributeError> {
        self.get("actor")?.map(|raw| read(raw, "actor", "an object with an `id`")).transpose()
    }
}

object! {
    /// Who caused an event.
    Actor, debug(id, source);
    required {
        /// The actor's id.
        id: String,
    }
    optional {
        /// Where the actor acted: `api`, `dashboard`, `admin_portal` or `system`.
        source: Option<String>,
        /// The actor's name.
        name: Option<String>,
    }
}

object! {
    /// An e-mail address among a user's custom attributes.
    EmailAddress, debug(primary, email_type);
    required {}
    optional {
        /// Whether it is the primary one.
        primary: Option<bool>,
        /// What it is for, as `work`; `type` in JSON.
        email_type = "type": Option<String>,
        /// The address.
        value: Option<String>,
    }
}

object! {
    /// A postal address among a user's custom attributes.
    PostalAddress, debug(primary, address_type);
    required {}
    optional {
        /// Whether it is the primary one.
        primary: Option<bool>,
        /// What it is for, as `work`; `type` in JSON.
        address_type = "type": Option<String>,
        /// The whole address in one text.
        raw_address: Option<String>,
        /// Street and number.
        street_address: Option<String>,
        /// City.
        locality: Option<String>,
        /// State or province.
        region: Option<String>,
        /// Postal code.
        postal_code: Option<String>,
        /// Country.
        country: Option<String>,
    }
}

fn read_addresses(raw: &RawValue, key: &str) -> Result<Vec<PostalAddress>, AttributeError> {
    read_list(raw, key, "a list of addresses")
}

fn read_emails(raw: &RawValue, key: &str) -> Result<Vec<EmailAddress>, AttributeError> {
    read_list(raw, key, "a list of e-mail addresses")
}

/// Reads a list without the entries that can't be read: they don't hide the others.
fn read_list<'a, T: Deserialize<'a>>(
    raw: &'a RawValue,
    key: &str,
    expected: &'static str,
) -> Result<Vec<T>, AttributeError> {
    let entries: Vec<&RawValue> = read(raw, key, expected)?;
    Ok(entries.into_iter().filter_map(|entry| serde_json::from_str(entry.get()).ok()).collect())
}

fn read_role(raw: &RawValue, key: &str) -> Result<Role, AttributeError> {
    read(raw, key, "a role")
}

fn read_roles(raw: &RawValue, key: &str) -> Result<Vec<Role>, AttributeError> {
    read_list(raw, key, "a list of roles")
}

fn read_state(raw: &RawValue, key: &str) -> Result<DirectoryUserState, AttributeError> {
    read(raw, key, "a string")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn custom(json: &str) -> CustomAttributes {
        serde_json::from_str(json).unwrap()
    }

    fn previous(json: &str) -> PreviousAttributes {
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
        let addresses = attributes.addresses().unwrap().unwrap();
        assert_eq!(addresses[0].locality.as_deref(), Some("Oslo"));
        assert_eq!(addresses[0].address_type.as_deref(), Some("work"));
        assert_eq!(addresses[1].raw_address.as_deref(), Some("1 Road"));
        let emails = attributes.emails().unwrap().unwrap();
        assert_eq!(emails[0].value.as_deref(), Some("ada@example.com"));
        assert_eq!((emails[0].primary, emails[1].value.as_deref()), (Some(true), None));
        assert_eq!(attributes.cost_center_name().unwrap().unwrap(), "R&D");
        assert_eq!(attributes.department_name().unwrap().unwrap(), "Eng");
        assert_eq!(attributes.division_name().unwrap().unwrap(), "Core");
        assert_eq!(attributes.employee_number().unwrap().unwrap(), "E-17");
        assert_eq!(attributes.employee_type().unwrap().unwrap(), "full");
        assert_eq!(attributes.employment_start_date().unwrap().unwrap(), "2021-06-25");
        assert_eq!(attributes.job_title().unwrap().unwrap(), "A \"Lead\"");
        assert_eq!(attributes.manager_email().unwrap().unwrap(), "boss@example.com");
        assert_eq!(attributes.organization().unwrap().unwrap(), "Example");
        assert!(matches!(attributes.username().unwrap(), Some(Cow::Borrowed("ada"))));
        assert_eq!(attributes.get("shoe_size").unwrap().unwrap().get(), "38");
        assert_eq!(attributes.get_as::<u8>("shoe_size"), Ok(Some(38)));
    }

    #[test]
    fn absent_null_and_odd_values() {
        let attributes =
            custom(r#"{"job_title":null,"employee_number":17,"username":{},"emails":"x"}"#);
        assert_eq!(attributes.job_title(), Ok(None));
        assert_eq!(attributes.division_name(), Ok(None));
        assert_eq!(attributes.employee_number().unwrap().unwrap(), "17");
        let error = attributes.username().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the attribute `username` is not a string; `get` returns it as JSON"
        );
        assert!(attributes.emails().is_err());
        assert!(attributes.get_as::<bool>("employee_number").is_err());
        assert!(custom("[1]").job_title().is_err());
        assert!(custom("\"x\"").get("y").is_err());
        assert_eq!(CustomAttributes::default().raw(), "{}");
        assert_eq!(CustomAttributes::default().job_title(), Ok(None));
    }

    #[test]
    fn keys_with_escapes_and_keys_twice() {
        let attributes =
            custom(r#"{"job\u005ftitle":"early","x":{"job_title":"decoy"},"job_title":"last"}"#);
        assert_eq!(attributes.job_title().unwrap().unwrap(), "last");
        assert_eq!(custom(r#"{"job\u005ftitle":"only"}"#).job_title().unwrap().unwrap(), "only");
    }

    #[test]
    fn strings_at_their_edges() {
        for (json, text) in [(r#""""#, ""), (r#""\"""#, "\""), (r#""\u00e9""#, "é"), ("\"é\"", "é")]
        {
            let attributes = custom(&format!("{{\"job_title\":{json}}}"));
            assert_eq!(attributes.job_title().unwrap().unwrap(), text, "{json}");
        }
    }

    #[test]
    fn previous_tells_absent_from_unchanged() {
        let attributes = previous(
            r#"{"state":"inactive","email":null,"role":{"slug":"admin"},"roles":[{"slug":"a"},{"slug":"b"}],
                "custom_attributes":{"job_title":"Engineer","department_name":null}}"#,
        );
        assert_eq!(attributes.state(), Ok(Previous::Was(DirectoryUserState::Inactive)));
        assert_eq!(attributes.email(), Ok(Previous::WasAbsent));
        assert_eq!(attributes.first_name(), Ok(Previous::Unchanged));
        assert!(attributes.email().unwrap().is_changed());
        assert!(!attributes.first_name().unwrap().is_changed());
        assert!(matches!(attributes.role(), Ok(Previous::Was(role)) if role.slug == "admin"));
        assert!(matches!(attributes.roles(), Ok(Previous::Was(roles)) if roles.len() == 2));
        assert_eq!(attributes.get_as::<&str>("state"), Ok(Previous::Was("inactive")));
        let custom = attributes.custom_attributes().unwrap();
        assert_eq!(custom.job_title(), Ok(Previous::Was("Engineer".into())));
        assert_eq!(custom.department_name(), Ok(Previous::WasAbsent));
        assert_eq!(custom.username(), Ok(Previous::Unchanged));
        assert_eq!(previous("{}").custom_attributes().unwrap().username(), Ok(Previous::Unchanged));
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
            (r#"{"custom_attributes":{"state":"inactive"}}"#, false),
            (r#"{"email":"state"}"#, false),
            ("{}", false),
            ("[\"state\"]", false),
        ] {
            assert_eq!(previous(json).was_not_active(), expected, "{json}");
        }
    }

    #[test]
    fn long_texts_are_shared_with_the_body_and_short_ones_are_not() {
        let long = format!(r#"{{"job_title":"{}"}}"#, "é".repeat(SHARED_FROM));
        let lead = r#"{"job_title":"Lead"}"#;
        for (object, rest, shared) in [
            ("{}", 0, false),
            (lead, 0, false),
            (&long, 0, true),
            (&long, 3 * long.len(), true),
            (&long, 4 * long.len(), false),
        ] {
            let body = Bytes::from(format!("[{object}{}]", " ".repeat(rest)));
            let text = str::from_utf8(&body).unwrap();
            let [raw]: [&RawValue; 1] = serde_json::from_str(text).unwrap();
            let attributes = CustomAttributes::from_body(raw, &body);
            assert_eq!(attributes.raw(), object);
            assert_eq!(attributes, custom(object));
            assert_eq!(attributes.job_title(), custom(object).job_title());
            assert_eq!(
                body.as_ptr_range().contains(&attributes.raw().as_ptr()),
                shared,
                "{object}"
            );
            // Of another text, or of more than there is of it, nothing can be shared.
            for body in [Bytes::new(), Bytes::from(object.to_owned()), body.slice(..object.len())] {
                let attributes = CustomAttributes::from_body(raw, &body);
                assert_eq!(attributes.raw(), object);
                assert!(!body.as_ptr_range().contains(&attributes.raw().as_ptr()));
            }
        }
    }

    #[test]
    fn debug_shows_no_attribute() {
        let debug = format!(
            "{:?} {:?} {:?}",
            custom(r#"{"job_title":"canary"}"#),
            previous(r#"{"email":"canary"}"#),
            serde_json::from_str::<EmailAddress>(r#"{"value":"canary"}"#).unwrap(),
        );
        assert!(!debug.contains("canary"), "{debug}");
    }
}
