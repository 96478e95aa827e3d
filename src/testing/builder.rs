use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};
use sha2::{Digest, Sha256};

use crate::{event::Timestamp, testing::sample::Sample};

/// The ids that the samples are about.
const DIRECTORY: &str = "directory_01JTWS1A7F3H9K2P5T8V4Y6E0G";
const GROUP: &str = "directory_group_01JTWS3C9H5K1N4R7W0Y6A8G2J";
const ORGANIZATION: &str = "org_01JTWS0Q5Z8D4N7R2M6K9X3B1C";
const EMAIL: &str = "rosalind.okafor@northwind.example";
const GROUP_IDP: &str = "00g3f8w1n6LpQ2sV95d7";
const USER_IDP: &str = "00u7k2m9q4ZrW8xT15d7";
const USER: &str = "directory_user_01JTWS2B8G4J0M3Q6V9X5Z7F1H";

/// Crockford's base 32, in which ULIDs are written.
const BASE_32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl Sample {
    /// The body with another event id, for tests that need many events. To change more of it, see
    /// [`builder`](Self::builder).
    #[must_use]
    pub fn with_id(self, id: &str) -> Bytes {
        self.builder().id(id).into()
    }

    /// A builder for the same event about another user, group or directory, or at another time.
    pub fn builder(self) -> SampleBuilder {
        SampleBuilder::new(self)
    }
}

/// A sample about another user, group or directory, or at another time. [`Sample::builder`] creates it.
///
/// Unless [`id`](Self::id) sets one, the event's id is computed from everything else: two builders with the same
/// settings create the same event, and any difference gives a different event.
///
/// ```
/// use tower_workos::{Timestamp, testing::sample};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let noon: Timestamp = "2026-06-01T12:00:00Z".parse()?;
/// let joined = sample::USER_CREATED.builder().user("directory_user_7").at(noon);
/// let suspended = sample::USER_UPDATED.builder().user("directory_user_7").data("state", "suspended");
///
/// assert_ne!(joined.event().id(), suspended.event().id());
/// assert_eq!(joined.event().created_at(), Some(noon));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct SampleBuilder {
    name: &'static str,
    id: Option<String>,
    data: Fields,
    created_at: Timestamp,
    /// What replaces the texts of the sample, by text.
    replacements: BTreeMap<&'static str, String>,
}

impl SampleBuilder {
    pub(super) fn new(sample: Sample) -> Self {
        #[derive(Deserialize)]
        struct Body {
            created_at: Timestamp,
            data: Fields,
        }

        // Always `Some`: the samples are part of this crate, and a test parses each of them.
        let body: Option<Body> = serde_json::from_str(sample.body()).ok();
        let (created_at, data) = body.map(|body| (body.created_at, body.data)).unzip();
        Self {
            name: sample.name(),
            id: None,
            data: data.unwrap_or_default(),
            created_at: created_at.unwrap_or(Timestamp::UNIX_EPOCH),
            replacements: BTreeMap::new(),
        }
    }

    /// Sets the event's id.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the directory's id.
    ///
    /// # Panics
    ///
    /// If the sample has no directory.
    pub fn directory(self, id: impl Into<String>) -> Self {
        self.replace(DIRECTORY, id.into())
    }

    /// Sets the group's id, and derives its `idp_id` from it.
    ///
    /// # Panics
    ///
    /// If the sample has no group.
    pub fn group(self, id: impl Into<String>) -> Self {
        let id = id.into();
        self.replace(GROUP_IDP, format!("idp_{id}")).replace(GROUP, id)
    }

    /// Sets the organization's id.
    ///
    /// # Panics
    ///
    /// If the sample has no organization.
    pub fn organization(self, id: impl Into<String>) -> Self {
        self.replace(ORGANIZATION, id.into())
    }

    /// Sets the user's id, and derives their e-mail address and `idp_id` from it, so that users are not confused by these.
    ///
    /// # Panics
    ///
    /// If the sample has no user.
    pub fn user(self, id: impl Into<String>) -> Self {
        let id = id.into();
        self.replace(EMAIL, format!("{id}@northwind.example"))
            .replace(USER_IDP, format!("idp_{id}"))
            .replace(USER, id)
    }

    /// Sets when the event happened: the event's `created_at`, the object's `updated_at`, and if the event is its creation,
    /// the object's `created_at`. In a membership event, the times of the user and the group do not change, as in events
    /// from WorkOS.
    pub fn at(mut self, time: Timestamp) -> Self {
        self.created_at = time;
        let is_creation = self.name.ends_with(".created") || self.name.ends_with(".activated");
        for (field, is_set) in [("updated_at", true), ("created_at", is_creation)] {
            if is_set && self.data.contains(field) {
                self.data.set(field, &time.to_string().into());
            }
        }
        self
    }

    /// Sets a field of `data`, such as `state`, `email` or `previous_attributes`; `null` is a value. For a field of the user in a
    /// membership event, see [`user_data`](Self::user_data).
    pub fn data(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.data.set(field, &value.into());
        self
    }

    /// Sets a field of the user: of `data` in an event about a user, of `data.user` in a membership event.
    ///
    /// # Panics
    ///
    /// If the sample has no user.
    pub fn user_data(mut self, field: &str, value: impl Into<Value>) -> Self {
        if self.name.starts_with("dsync.user.") {
            return self.data(field, value);
        }
        let Some(mut user) = self.data.object("user") else {
            panic!("{} has no user", self.name);
        };
        user.set(field, &value.into());
        self.data.set_json("user", user.to_string());
        self
    }

    /// The body, as in a delivery.
    #[must_use]
    pub fn body(&self) -> Bytes {
        // In the order in which WorkOS writes them.
        let rest = format!(
            r#""data":{},"event":{},"created_at":{},"context":{{}}"#,
            self.replaced(),
            Value::from(self.name),
            Value::from(self.created_at.to_string()),
        );
        let id = match &self.id {
            Some(id) => id.clone(),
            None => format!("event_{}", ulid(self.created_at, &rest)),
        };
        Bytes::from(format!(r#"{{"id":{},{rest}}}"#, Value::from(id)))
    }

    /// The event as a handler receives it, but without a signature.
    ///
    /// # Panics
    ///
    /// If the body can't be read as an event: the [`id`](Self::id) is empty, or [`data`](Self::data) replaced an id
    /// with something else.
    #[must_use]
    pub fn event(&self) -> crate::event::DirectoryEvent {
        match crate::event::DirectoryEvent::parse(self.body()) {
            Ok(event) => event,
            Err(error) => panic!("this is not a readable event: {error}"),
        }
    }

    fn replace(mut self, text: &'static str, by: String) -> Self {
        assert!(
            self.data.to_string().contains(&format!("\"{text}\"")),
            "{} has nothing to set this for: its data does not contain {text:?}",
            self.name
        );
        self.replacements.insert(text, by);
        self
    }

    fn replaced(&self) -> String {
        let mut data = self.data.to_string();
        for (text, by) in &self.replacements {
            data = data.replace(&format!("\"{text}\""), &Value::from(by.as_str()).to_string());
        }
        data
    }
}

/// An object's fields as JSON, in their order.
#[derive(Clone, Default)]
struct Fields(Vec<(String, String)>);

impl Fields {
    fn contains(&self, key: &str) -> bool {
        self.0.iter().any(|(other, _)| other == key)
    }

    fn object(&self, key: &str) -> Option<Self> {
        let (_, value) = self.0.iter().find(|(other, _)| other == key)?;
        serde_json::from_str(value).ok()
    }

    fn set(&mut self, key: &str, value: &Value) {
        self.set_json(key, value.to_string());
    }

    fn set_json(&mut self, key: &str, value: String) {
        match self.0.iter_mut().find(|(other, _)| other == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (key, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}:{value}", Value::from(key.as_str()))?;
        }
        f.write_str("}")
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    fields.push((key, value.get().to_owned()));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

impl From<SampleBuilder> for Bytes {
    fn from(builder: SampleBuilder) -> Self {
        builder.body()
    }
}

impl fmt::Debug for SampleBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleBuilder")
            .field("name", &self.name)
            .field("id", &self.id)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

/// A ULID of this time, whose other 80 bits are a hash of the text.
fn ulid(time: Timestamp, text: &str) -> String {
    let millis = u64::try_from(time.as_unix_millis()).unwrap_or(0);
    let hash = Sha256::digest(text);
    let bits =
        hash.iter().take(10).fold(u128::from(millis), |bits, &byte| (bits << 8) | u128::from(byte));
    let digit = |at: u32| {
        let value = usize::try_from((bits >> (5 * at)) & 31).unwrap_or(0);
        char::from(BASE_32.get(value).copied().unwrap_or(b'0'))
    };
    (0..26).rev().map(digit).collect()
}

#[cfg(test)]
mod tests;
