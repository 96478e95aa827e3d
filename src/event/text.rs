//! Values that are strings in JSON: ids, and enums of documented values.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

/// Reads a string as a `T`, without a copy in between.
///
/// `#[serde(from = "String")]` would allocate twice, and `#[serde(from = "&str")]` can't read a string with an escape.
pub(super) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: for<'a> From<&'a str>,
{
    struct Text<T>(PhantomData<T>);

    impl<T: for<'a> From<&'a str>> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            Ok(text.into())
        }
    }

    deserializer.deserialize_str(Text(PhantomData))
}

/// Reads an id, which must not be empty.
pub(super) fn not_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + AsRef<str>,
{
    let id = T::deserialize(deserializer)?;
    if id.as_ref().is_empty() {
        return Err(D::Error::invalid_value(Unexpected::Str(""), &"a non-empty string"));
    }
    Ok(id)
}

/// Reads a field; `null` is the default value.
pub(super) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A value that this version does not know, as it was sent.
///
/// The variants named `Other` contain it, for example [`DirectoryUserState::Other`](crate::DirectoryUserState::Other). A
/// later version may have a variant for the same text, which is then no longer unrecognized.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Unrecognized(Box<str>);

impl Unrecognized {
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text that was sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Unrecognized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// An enum of the values that WorkOS documents, with a variant for any other. A variant with several texts serializes to
/// the first.
///
/// It is a macro because serde's derive can't do this: `#[serde(other)]` loses the text, and `#[serde(untagged)]` copies it
/// into a buffer first. Neither provides `as_str`.
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
            /// A text that this version does not know.
            Other($crate::event::text::Unrecognized),
        }

        impl $name {
            /// The text that WorkOS uses for this value.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text.as_str(),
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text $(| $alias)* => Self::$variant,)*
                    _ => Self::Other($crate::event::text::Unrecognized::new(text)),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::event::text::deserialize(deserializer)
            }
        }
    };
}

pub(super) use text_enum;
