//! A sample of each event, as WorkOS sends it.

use bytes::Bytes;

/// The body of a delivery about an employee of a fictional company.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    name: &'static str,
    body: &'static str,
}

impl Sample {
    /// The event's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The body.
    #[must_use]
    pub const fn body(self) -> &'static str {
        self.body
    }
}

impl From<Sample> for Bytes {
    fn from(sample: Sample) -> Self {
        Self::from_static(sample.body.as_bytes())
    }
}

macro_rules! samples {
    ($($(#[$doc:meta])* $constant:ident = $name:literal in $file:literal;)*) => {$(
        $(#[$doc])*
        pub const $constant: Sample = Sample {
            name: $name,
            body: include_str!(concat!("samples/", $file, ".json")),
        };
    )*};
}

samples! {
    /// A directory was connected.
    DIRECTORY_ACTIVATED = "dsync.activated" in "dsync.activated";
    /// A directory was deleted.
    DIRECTORY_DELETED = "dsync.deleted" in "dsync.deleted";
    /// A group was created.
    GROUP_CREATED = "dsync.group.created" in "dsync.group.created";
    /// A group was deleted.
    GROUP_DELETED = "dsync.group.deleted" in "dsync.group.deleted";
    /// A group was renamed.
    GROUP_UPDATED = "dsync.group.updated" in "dsync.group.updated";
    /// A user joined a group.
    GROUP_USER_ADDED = "dsync.group.user_added" in "dsync.group.user_added";
    /// A user left a group.
    GROUP_USER_REMOVED = "dsync.group.user_removed" in "dsync.group.user_removed";
    /// A token was created.
    TOKEN_CREATED = "dsync.token.created" in "dsync.token.created";
    /// A token was revoked.
    TOKEN_REVOKED = "dsync.token.revoked" in "dsync.token.revoked";
    /// A user was created.
    USER_CREATED = "dsync.user.created" in "dsync.user.created";
    /// A user was deactivated, which arrives as an update: not in [`ALL`], which has one of each event.
    USER_DEACTIVATED = "dsync.user.updated" in "dsync.user.updated.deactivated";
    /// A user was deleted.
    USER_DELETED = "dsync.user.deleted" in "dsync.user.deleted";
    /// A user was promoted.
    USER_UPDATED = "dsync.user.updated" in "dsync.user.updated";
}

/// One of each event, in an order in which they could have happened.
pub const ALL: &[Sample] = &[
    DIRECTORY_ACTIVATED,
    TOKEN_CREATED,
    GROUP_CREATED,
    USER_CREATED,
    GROUP_USER_ADDED,
    GROUP_UPDATED,
    USER_UPDATED,
    GROUP_USER_REMOVED,
    USER_DELETED,
    GROUP_DELETED,
    TOKEN_REVOKED,
    DIRECTORY_DELETED,
];
