//! Free-form JSON objects: kept as text and read on demand.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Unexpected, Visitor},
    ser::SerializeMap,
};
use serde_json::value::RawValue;

/// A free-form JSON object, for example the attributes that a provider sends for a group.
///
/// It is kept as text and read on demand. To make one, deserialize it from a JSON object; anything else is an error.
///
/// ```
/// use tower_workos::Attributes;
///
/// let attributes: Attributes = serde_json::from_str(r#"{"displayName":"Platform","size":17}"#)?;
/// assert_eq!(attributes.get_as("size"), Ok(Some(17)));
/// assert_eq!(attributes.get("owner").map(|owner| owner.get()), None);
/// assert!(serde_json::from_str::<Attributes>("[]").is_err());
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Attributes(Option<Box<RawValue>>);

impl Attributes {
    /// The JSON text as it was sent; `{}` if nothing was sent.
    #[must_use]
    pub fn raw(&self) -> &str {
        self.0.as_deref().map_or("{}", RawValue::get)
    }

    /// The JSON value of a key; `None` if it is absent or `null`. If the key occurs more than once, the last one counts.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&RawValue> {
        self.get_or_null(key).filter(|raw| !is_null(raw))
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
        self.get(key).map(|raw| read_as(raw, key)).transpose()
    }

    /// The JSON value of a key; `None` only if it is absent.
    pub(super) fn get_or_null(&self, key: &str) -> Option<&RawValue> {
        // It is valid JSON, so this can't fail.
        serde_json::Deserializer::from_str(self.raw()).deserialize_map(Find { key }).ok()?
    }
}

impl PartialEq for Attributes {
    /// Two objects are equal if their JSON texts are.
    fn eq(&self, other: &Self) -> bool {
        self.raw() == other.raw()
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attributes(..)")
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(raw) => raw.serialize(serializer),
            None => serializer.serialize_map(Some(0))?.end(),
        }
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw: Box<RawValue> = Deserialize::deserialize(deserializer)?;
        if !is_object(&raw) {
            return Err(D::Error::invalid_type(Unexpected::Other("another value"), &"an object"));
        }
        Ok(Self(Some(raw)))
    }
}

/// Whether a value is an object. A [`RawValue`] has no white space around it.
pub(super) fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

pub(super) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// Reads a value as a type that the caller chooses.
pub(super) fn read_as<'a, T: Deserialize<'a>>(
    raw: &'a RawValue,
    key: &str,
) -> Result<T, AttributeError> {
    serde_json::from_str(raw.get()).map_err(|_| AttributeError { key: key.into() })
}

/// Reads a string, without a copy if it has no escapes. Some providers send numbers and booleans instead of strings: these
/// are returned as their JSON. `None` for an object or a list.
pub(super) fn read_text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    match text.as_bytes() {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => {
            Some(Cow::Borrowed(text.trim_matches('"')))
        }
        [b'"', ..] => serde_json::from_str(text).ok().map(Cow::Owned),
        [b'{' | b'[', ..] => None,
        _ => Some(Cow::Borrowed(text)),
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
        while let Some(is_same) = map.next_key_seed(IsKey(self.key))? {
            if is_same {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a key is this text, however it is escaped. Keys are read as bytes, because a key may contain a lone surrogate,
/// which a `str` can't.
struct IsKey<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for IsKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for IsKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E: serde::de::Error>(self, key: &[u8]) -> Result<bool, E> {
        Ok(key == self.0.as_bytes())
    }
}

/// The error if an attribute is not of the type that the caller chose. It contains the key, never the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeError {
    key: Box<str>,
}

impl fmt::Display for AttributeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the attribute `{}` is not of the requested type; `get` returns it as JSON",
            self.key
        )
    }
}

impl std::error::Error for AttributeError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(json: &str) -> Attributes {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn values_are_found_by_key() {
        let object = attributes(r#"{"size":38,"none":null,"in":{"size":1,"x":[{"y":2}]}}"#);
        assert_eq!(object.get("size").map(RawValue::get), Some("38"));
        assert_eq!(object.get("none").map(RawValue::get), None);
        assert_eq!(object.get_or_null("none").map(RawValue::get), Some("null"));
        assert_eq!(object.get_or_null("absent").map(RawValue::get), None);
        assert_eq!(object.get_as::<u8>("size"), Ok(Some(38)));
        assert_eq!(object.get_as::<u8>("none"), Ok(None));
        assert_eq!(
            object.get_as::<bool>("size").unwrap_err().to_string(),
            "the attribute `size` is not of the requested type; `get` returns it as JSON"
        );
        assert_eq!(Attributes::default().get("size").map(RawValue::get), None);
    }

    #[test]
    fn the_last_of_several_values_counts_however_the_key_is_escaped() {
        let object = attributes(r#"{"job\u005ftitle":1,"x":{"job_title":"decoy"},"job_title":2}"#);
        assert_eq!(object.get_as::<u8>("job_title"), Ok(Some(2)));
        assert_eq!(attributes(r#"{"job\u005ftitle":1}"#).get_as::<u8>("job_title"), Ok(Some(1)));
    }

    /// `DirectoryEvent::parse` replaces lone surrogates, but serde_json does not.
    #[test]
    fn a_lone_surrogate_hides_no_other_key() {
        let object = attributes(r#"{"\ud800":1,"size":38,"x":"\ud800"}"#);
        assert_eq!(object.get_as::<u8>("size"), Ok(Some(38)));
        assert!(object.get_as::<String>("x").is_err());
    }

    #[test]
    fn only_objects_are_accepted() {
        for json in ["[]", "[1]", "7", "\"x\"", "true", "null"] {
            assert!(serde_json::from_str::<Attributes>(json).is_err(), "{json}");
        }
        assert_eq!(attributes(" { } ").raw(), "{ }");
        assert_eq!(Attributes::default(), attributes("{}"));
    }

    #[test]
    fn objects_serialize_as_they_were_sent() {
        for json in ["{}", r#"{"b": 1e999, "a":[ ]}"#] {
            assert_eq!(serde_json::to_string(&attributes(json)).unwrap(), json);
        }
        assert_eq!(serde_json::to_string(&Attributes::default()).unwrap(), "{}");
    }

    #[test]
    fn scalars_are_read_as_text() {
        for (json, text) in [
            (r#""""#, Some("")),
            (r#""\"""#, Some("\"")),
            (r#""\u00e9""#, Some("é")),
            ("\"é\"", Some("é")),
            ("17", Some("17")),
            ("true", Some("true")),
            ("{}", None),
            ("[]", None),
            (r#""\ud800""#, None),
        ] {
            let object = attributes(&format!("{{\"x\":{json}}}"));
            assert_eq!(read_text(object.get("x").unwrap()).as_deref(), text, "{json}");
        }
    }
}
