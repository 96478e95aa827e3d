//! How the typed objects read JSON.
//!
//! Not serde's derive, for three rules that it does not have: a key that stands twice counts as it last
//! stands (as in JavaScript, where these bodies are made), `null` means the same as absent for every field,
//! and `previous_attributes` comes along with whichever object it stands in.

use crate::event::attributes::PreviousAttributes;

/// An object of a webhook, and the `previous_attributes` that an update has inside it.
pub(crate) struct WithPrevious<T> {
    pub(crate) object: T,
    pub(crate) previous: PreviousAttributes,
}

/// Whether a required value that is there says anything: an empty id names nothing.
pub(crate) trait Required {
    fn is_present(&self) -> bool {
        true
    }
}

impl Required for String {}

/// A struct with `required` and `optional` fields, read from a JSON object. `debug` names the fields that
/// `Debug` may show: ids and states, never what tells about a person.
macro_rules! object {
    (
        $(#[$doc:meta])*
        $name:ident, debug($($shown:ident),*);
        required { $($(#[$required_doc:meta])* $required:ident: $required_type:ty,)* }
        optional { $($(#[$optional_doc:meta])* $optional:ident $(= $key:literal)?: $optional_type:ty,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$required_doc])* pub $required: $required_type,)*
            $($(#[$optional_doc])* pub $optional: $optional_type,)*
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(stringify!($shown), &self.$shown))*
                    .finish_non_exhaustive()
            }
        }

        impl $crate::event::macros::Required for $name {}

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::event::macros::WithPrevious::deserialize(deserializer).map(|with| with.object)
            }
        }

        impl<'de> serde::Deserialize<'de> for $crate::event::macros::WithPrevious<$name> {
            #[inline]
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
                use $crate::event::macros::WithPrevious;

                #[expect(non_camel_case_types, reason = "a variant a field, under the field's name")]
                enum Key {
                    $($required,)*
                    $($optional,)*
                    previous_attributes,
                    unknown,
                }

                impl<'de> serde::Deserialize<'de> for Key {
                    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                        struct KeyVisitor;

                        impl Visitor<'_> for KeyVisitor {
                            type Value = Key;

                            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                                f.write_str("a key")
                            }

                            fn visit_str<E: Error>(self, key: &str) -> Result<Key, E> {
                                Ok(match key {
                                    $(stringify!($required) => Key::$required,)*
                                    $($crate::event::macros::key!($optional $($key)?) => Key::$optional,)*
                                    "previous_attributes" => Key::previous_attributes,
                                    _ => Key::unknown,
                                })
                            }
                        }

                        deserializer.deserialize_identifier(KeyVisitor)
                    }
                }

                #[derive(Default)]
                struct Fields {
                    $($required: Option<$required_type>,)*
                    $($optional: Option<$optional_type>,)*
                    previous_attributes: Option<$crate::event::attributes::PreviousAttributes>,
                }

                struct FieldsVisitor<'f>(&'f mut Fields);

                impl<'de> Visitor<'de> for FieldsVisitor<'_> {
                    // An object returned from here would be copied by every function on its way out.
                    type Value = ();

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("a ", stringify!($name), " object"))
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
                        let Self(fields) = self;
                        while let Some(key) = map.next_key()? {
                            match key {
                                $(Key::$required => fields.$required = map.next_value()?,)*
                                $(Key::$optional => fields.$optional = map.next_value()?,)*
                                Key::previous_attributes => fields.previous_attributes = map.next_value()?,
                                Key::unknown => {
                                    map.next_value::<IgnoredAny>()?;
                                }
                            }
                        }
                        Ok(())
                    }
                }

                let mut fields = Fields::default();
                deserializer.deserialize_map(FieldsVisitor(&mut fields))?;
                Ok(WithPrevious {
                    object: $name {
                        $($required: fields.$required
                            .filter($crate::event::macros::Required::is_present)
                            .ok_or_else(|| D::Error::missing_field(stringify!($required)))?,)*
                        $($optional: fields.$optional.unwrap_or_default(),)*
                    },
                    previous: fields.previous_attributes.unwrap_or_default(),
                })
            }
        }
    };
}

/// A field's key in JSON: its own name, unless another is given.
macro_rules! key {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $key:literal) => {
        $key
    };
}

/// An enum of the texts WorkOS documents, with an arm for those it will add. The first text of a variant is
/// the one it prints.
macro_rules! text_enum {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal $(| $alias:literal)*,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A text that this version does not know, as it was sent.
            Other(String),
        }

        impl $name {
            /// The text that WorkOS uses for it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text $(| $alias)* => Self::$variant,)*
                    _ => Self::Other(text.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct TextVisitor;

                impl serde::de::Visitor<'_> for TextVisitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a string")
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        Ok(text.into())
                    }
                }

                deserializer.deserialize_str(TextVisitor)
            }
        }
    };
}

pub(crate) use {key, object, text_enum};
