//! Reads the object of an update together with its `previous_attributes`.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, Error, IntoDeserializer, MapAccess, Visitor, value::MapAccessDeserializer,
    },
};

use crate::event::previous::PreviousAttributes;

const KEY: &str = "previous_attributes";

/// Reads an object and its field `previous_attributes` in one pass.
///
/// `#[serde(flatten)]` would copy all fields into a buffer, from which free-form JSON can't be read as text.
pub(super) fn with_previous<'de, D, T>(deserializer: D) -> Result<(T, PreviousAttributes), D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let mut previous = None;
    let object = deserializer
        .deserialize_map(WithPrevious { previous: &mut previous, object: PhantomData })?;
    Ok((object, previous.flatten().unwrap_or_default()))
}

struct WithPrevious<'p, T> {
    /// The value of `previous_attributes` once it has been read; `null` is `Some(None)`.
    previous: &'p mut Option<Option<PreviousAttributes>>,
    object: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for WithPrevious<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(Others { map, previous: self.previous }))
    }
}

/// All fields except `previous_attributes`.
struct Others<'p, A> {
    map: A,
    previous: &'p mut Option<Option<PreviousAttributes>>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Others<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        mut seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        loop {
            match self.map.next_key_seed(OtherKey(seed))? {
                None => return Ok(None),
                Some(Key::Other(key)) => return Ok(Some(key)),
                Some(Key::Previous(unused)) => {
                    if self.previous.replace(self.map.next_value()?).is_some() {
                        return Err(A::Error::duplicate_field(KEY));
                    }
                    seed = unused;
                }
            }
        }
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

enum Key<V, K> {
    Other(V),
    /// Returns the seed, to read the next key.
    Previous(K),
}

struct OtherKey<K>(K);

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for OtherKey<K> {
    type Value = Key<K::Value, K>;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'de, K: DeserializeSeed<'de>> Visitor<'de> for OtherKey<K> {
    type Value = Key<K::Value, K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    #[inline]
    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        if key == KEY {
            Ok(Key::Previous(self.0))
        } else {
            self.0.deserialize(key.into_deserializer()).map(Key::Other)
        }
    }
}
