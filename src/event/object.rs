//! Objects that are read from JSON objects only.
//!
//! serde's derive also accepts an array that has the fields' values in their order. In an event, such an array is a mistake,
//! and must not become a user or a role.

use serde::{Deserializer, de::Visitor, forward_to_deserialize_any};

/// Reads whatever is asked for as a map.
pub(super) struct AsMap<D>(pub(super) D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for AsMap<D> {
    type Error = D::Error;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Implements serde's traits for a type whose derive has `#[serde(remote = "Self")]`, through the functions that this
/// derives.
macro_rules! json_object {
    ($name:ty) => {
        impl<'de> serde::Deserialize<'de> for $name {
            #[inline]
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize($crate::event::object::AsMap(deserializer))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Self::serialize(self, serializer)
            }
        }
    };
}

pub(super) use json_object;
