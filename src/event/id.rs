//! Ids. Each kind has its own type, so that a user's id can't be mistaken for a group's.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::text;

/// A macro instead of one generic type, so that each id has its own documentation and its own name in errors. serde's
/// derive would read an `Arc<str>` through a `Box<str>`, with one more allocation and copy for each id.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        ///
        /// Cloning it increments a reference count.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as WorkOS writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.into())
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id.into())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text::deserialize(deserializer)
            }
        }
    )+};
}

ids! {
    /// The id of a [`Directory`](crate::Directory), `directory_…`.
    DirectoryId
    /// The id of a [`DirectoryGroup`](crate::DirectoryGroup), `directory_group_…`.
    DirectoryGroupId
    /// The id of a [`DirectoryToken`](crate::DirectoryToken).
    DirectoryTokenId
    /// The id of a [`DirectoryUser`](crate::DirectoryUser), `directory_user_…`. A deleted user who returns
    /// gets a new id.
    DirectoryUserId
    /// The id of an event, `event_…` (`wh_…` before 2023). It is the same in every delivery of the event and in the
    /// Events API, so it identifies duplicates.
    EventId
    /// The id of an organization's domain, `org_domain_…`.
    OrganizationDomainId
    /// The id of an organization, `org_…`.
    OrganizationId
}
