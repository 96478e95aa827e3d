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
mod tests {
    use super::*;
    use crate::{
        event::{AccessChange, DirectoryEvent, EventData},
        testing::sample,
    };

    #[test]
    fn an_unchanged_builder_makes_the_sample() {
        for &sample in sample::ALL {
            let original = DirectoryEvent::parse(sample.into()).unwrap();
            let built = sample.builder().event();
            assert_eq!(built.data(), original.data());
            assert_eq!(built.created_at(), original.created_at());
            assert_eq!(built.name(), original.name());
        }
    }

    #[test]
    fn ids_are_replaced_everywhere() {
        let event = sample::GROUP_USER_ADDED
            .builder()
            .user("u\"7")
            .group("g7")
            .directory("d7")
            .organization("o7")
            .event();
        let EventData::GroupUserAdded(membership) = event.data() else { panic!() };
        assert_eq!((&membership.user.id, &membership.group.id), (&"u\"7".into(), &"g7".into()));
        for directory in [
            &membership.directory_id,
            &membership.user.directory_id,
            &membership.group.directory_id,
        ] {
            assert_eq!(directory.as_ref().unwrap(), &"d7");
        }
        assert_eq!(membership.user.organization_id.as_ref().unwrap(), &"o7");
        let text = str::from_utf8(event.raw()).unwrap();
        assert!(!text.contains("_01JTWS"), "{text}");
    }

    #[test]
    fn the_last_setting_counts() {
        let event = sample::GROUP_USER_ADDED.builder().user("ada").user("bob").event();
        let EventData::GroupUserAdded(membership) = event.data() else { panic!() };
        assert_eq!(membership.user.id, "bob");
        assert_eq!(membership.user.email.as_deref(), Some("bob@northwind.example"));
        assert_eq!(membership.user.idp_id.as_deref(), Some("idp_bob"));
    }

    #[test]
    fn a_field_of_the_user_is_set_in_each_event() {
        for sample in [sample::USER_CREATED, sample::GROUP_USER_ADDED] {
            let event = sample.builder().user("ada").user_data("state", "inactive").event();
            assert!(
                matches!(event.access_change(), Some(AccessChange::Revoked(user)) if user.id == "ada")
            );
        }
    }

    #[test]
    #[should_panic(expected = "dsync.user.created has nothing to set this for")]
    fn a_setting_without_an_effect_panics() {
        let _ = sample::USER_CREATED.builder().group("g7");
    }

    #[test]
    fn the_time_is_the_events_and_the_objects() {
        let time: Timestamp = "2026-06-01T12:00:00.5Z".parse().unwrap();
        let user = sample::USER_UPDATED.builder().at(time).event();
        let EventData::UserUpdated(change) = user.data() else { panic!() };
        assert_eq!((user.created_at(), change.user.updated_at), (Some(time), Some(time)));
        let added = sample::GROUP_USER_ADDED.builder().at(time).event();
        let EventData::GroupUserAdded(membership) = added.data() else { panic!() };
        assert_eq!(added.created_at(), Some(time));
        assert_ne!(membership.user.updated_at, Some(time));
    }

    #[test]
    fn the_id_is_a_ulid_of_the_time_unless_it_is_set() {
        let time = "2026-06-01T12:00:00Z".parse().unwrap();
        let created = sample::USER_CREATED.builder().at(time);
        let id = created.event().id().as_str().to_owned();
        // 1 780 315 200 000 milliseconds.
        assert_eq!(id.len(), "event_".len() + 26);
        assert!(id.starts_with("event_01KT1GW6G0"), "{id}");
        assert_eq!(created.clone().event().id(), &id.as_str());
        for other in [
            created.clone().user("u7"),
            created.clone().data("state", "inactive"),
            sample::USER_DELETED.builder().at(time),
        ] {
            assert_ne!(other.event().id(), &id.as_str());
        }
        assert_eq!(created.id("event_1").event().id(), &"event_1");
    }
}
