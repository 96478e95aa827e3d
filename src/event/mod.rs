//! Typed events.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

use self::{
    parse::Envelope,
    unreadable::{Fault, Unread},
};

mod access;
mod attributes;
mod directory;
mod group;
mod guess;
mod id;
mod kind;
mod lenient;
mod macros;
mod parse;
mod repair;
mod signature_info;
mod timestamp;
mod token;
mod unreadable;
mod user;

#[cfg(feature = "tracing")]
pub(crate) use self::unreadable::Excerpt;
pub use self::{
    access::AccessChange,
    attributes::{
        Actor, AttributeError, Attributes, CustomAttributes, EmailAddress, EventContext,
        PostalAddress, Previous, PreviousAttributes, PreviousCustomAttributes,
    },
    directory::{Directory, DirectoryState, DirectoryType, OrganizationDomain},
    group::{DirectoryGroup, GroupMembership, GroupUpdated},
    id::{
        DirectoryGroupId, DirectoryId, DirectoryTokenId, DirectoryUserId, EventId,
        OrganizationDomainId, OrganizationId,
    },
    signature_info::SignatureInfo,
    timestamp::{Timestamp, TimestampError},
    token::DirectoryToken,
    unreadable::ParseError,
    user::{DirectoryUser, DirectoryUserState, Role, UserUpdated},
};

/// An event, as WorkOS signed it and as Rust reads it.
///
/// Cloning is one reference count. `Debug` shows ids, states and the paths of unreadable fields, nothing else of the body.
///
/// It serializes to an object of the exact body, as a string, and what the signature said about it, and back:
/// for queues and tables of one's own. A plain event object, from the Events API for instance, is read by
/// [`parse`](Self::parse).
///
/// What is deserialized is trusted, [`signature`](Self::signature) included: deserialize only what this type itself
/// serialized, from a place that nobody else can write to. Never take it from a request's body.
///
/// ```
/// use bytes::Bytes;
/// use tower_workos::{DirectoryEvent, EventData};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let event = DirectoryEvent::parse(Bytes::from_static(
///     br#"{"id":"event_1","event":"dsync.user.updated","created_at":"2026-01-15T12:00:00.000Z",
///          "data":{"id":"directory_user_1","state":"inactive","previous_attributes":{"state":"active"}}}"#,
/// ))?;
/// assert_eq!(event.id(), &"event_1");
/// assert!(matches!(event.data(), EventData::UserUpdated(change) if !change.user.is_active()));
///
/// let stored = serde_json::to_string(&event)?;
/// let again: DirectoryEvent = serde_json::from_str(&stored)?;
/// assert_eq!(again.raw(), event.raw());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DirectoryEvent(Arc<Inner>);

struct Inner {
    id: EventId,
    created_at: Option<Timestamp>,
    data: EventData,
    context: EventContext,
    unreadable: Vec<String>,
    raw: Bytes,
    signature: Option<SignatureInfo>,
}

impl DirectoryEvent {
    /// Reads an event that was verified before it was stored, or came from the Events API.
    ///
    /// Nothing is verified here: for a request use [`VerifyWebhookLayer`](crate::VerifyWebhookLayer), for a
    /// signature at hand [`Verifier::construct_event`](crate::Verifier::construct_event).
    ///
    /// # Errors
    ///
    /// If the body isn't a JSON object with an
    /// `id` and an `event`, or if the `data` of an event of [`EventData`] lacks the id of an object that it is about (the
    /// directory, the user, the group, the token; the user and the group of a membership). Any other field that can't be
    /// read counts as absent: see [`unreadable_fields`](Self::unreadable_fields). An event that this version does not
    /// know isn't an error. [`ParseError`] says what is wrong.
    pub fn parse(body: Bytes) -> Result<Self, ParseError> {
        Self::parse_signed(body, None)
    }

    pub(crate) fn parse_signed(
        raw: Bytes,
        signature: Option<SignatureInfo>,
    ) -> Result<Self, ParseError> {
        let mut envelope = Envelope::default();
        let read = match str::from_utf8(&raw) {
            Ok(text) => envelope.read(&raw, text),
            Err(error) => {
                let fault = Fault::NotUtf8 { at: error.valid_up_to() };
                Err(lenient::only_names(&String::from_utf8_lossy(&raw), fault))
            }
        };
        let error = |unread| ParseError::new(unread, raw.clone());
        read.map_err(error)?;
        // After a successful read, neither is absent.
        let absent = |path| {
            let fault = Fault::Field { path, expected: "readable" };
            error(Unread { id: None, name: None, fault })
        };
        Ok(Self(Arc::new(Inner {
            id: envelope.id.ok_or_else(|| absent("id"))?,
            created_at: envelope.created_at,
            data: envelope.data.ok_or_else(|| absent("data"))?,
            context: envelope.context.unwrap_or_default(),
            unreadable: envelope.unreadable,
            raw,
            signature,
        })))
    }

    /// The event's id: the same in every delivery of it and in the Events API.
    #[must_use]
    pub fn id(&self) -> &EventId {
        &self.0.id
    }

    /// The event's name, as `dsync.user.created`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.data().event_name()
    }

    /// When it happened: the body's `created_at`; in bodies from before 2023, which have none, when it was
    /// signed. `None` only where neither is known.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        self.0.created_at.or_else(|| self.issued_at())
    }

    /// When this delivery was signed. `None` for an event that came without a signature.
    #[must_use]
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.signature().map(|signature| signature.issued_at())
    }

    /// What happened, and to whom or what.
    #[must_use]
    pub fn data(&self) -> &EventData {
        &self.0.data
    }

    /// What WorkOS sends in addition to the data; empty if it sends nothing.
    #[must_use]
    pub fn context(&self) -> &EventContext {
        &self.0.context
    }

    /// The organization concerned, where the data names one.
    #[must_use]
    pub fn organization_id(&self) -> Option<&OrganizationId> {
        match self.data() {
            EventData::DirectoryActivated(directory) | EventData::DirectoryDeleted(directory) => {
                directory.organization_id.as_ref()
            }
            EventData::GroupCreated(group) | EventData::GroupDeleted(group) => {
                group.organization_id.as_ref()
            }
            EventData::GroupUpdated(change) => change.group.organization_id.as_ref(),
            EventData::GroupUserAdded(membership) | EventData::GroupUserRemoved(membership) => {
                membership
                    .user
                    .organization_id
                    .as_ref()
                    .or(membership.group.organization_id.as_ref())
            }
            EventData::TokenCreated(token) | EventData::TokenRevoked(token) => {
                token.organization_id.as_ref()
            }
            EventData::UserCreated(user) | EventData::UserDeleted(user) => {
                user.organization_id.as_ref()
            }
            EventData::UserUpdated(change) => change.user.organization_id.as_ref(),
            EventData::Unknown(_) => None,
        }
    }

    /// The directory concerned, where the data names one.
    #[must_use]
    pub fn directory_id(&self) -> Option<&DirectoryId> {
        match self.data() {
            EventData::DirectoryActivated(directory) | EventData::DirectoryDeleted(directory) => {
                Some(&directory.id)
            }
            EventData::GroupCreated(group) | EventData::GroupDeleted(group) => {
                group.directory_id.as_ref()
            }
            EventData::GroupUpdated(change) => change.group.directory_id.as_ref(),
            EventData::GroupUserAdded(membership) | EventData::GroupUserRemoved(membership) => {
                membership
                    .directory_id
                    .as_ref()
                    .or(membership.user.directory_id.as_ref())
                    .or(membership.group.directory_id.as_ref())
            }
            EventData::TokenCreated(token) | EventData::TokenRevoked(token) => {
                token.directory_id.as_ref()
            }
            EventData::UserCreated(user) | EventData::UserDeleted(user) => {
                user.directory_id.as_ref()
            }
            EventData::UserUpdated(change) => change.user.directory_id.as_ref(),
            EventData::Unknown(_) => None,
        }
    }

    /// The exact bytes that were signed. In the typed values, each lone surrogate (`\ud83d` without its other half, which
    /// JSON can write and text can't hold) is U+FFFD; here it is as it was sent.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.0.raw
    }
}

impl fmt::Debug for DirectoryEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryEvent")
            .field("id", self.id())
            .field("created_at", &self.created_at())
            .field("issued_at", &self.issued_at())
            .field("data", self.data())
            .field("unreadable_fields", &self.unreadable_fields())
            .finish_non_exhaustive()
    }
}

/// Two events are equal where their bytes are, whenever each was signed.
impl PartialEq for DirectoryEvent {
    fn eq(&self, other: &Self) -> bool {
        self.raw() == other.raw()
    }
}

impl Eq for DirectoryEvent {}

/// How an event is stored. Fields may be added, never renamed: queues outlive versions.
#[derive(Serialize, Deserialize)]
#[serde(rename = "DirectoryEvent")]
struct Stored<'a> {
    body: std::borrow::Cow<'a, str>,
    #[serde(default)]
    issued_at: Option<Timestamp>,
    #[serde(default)]
    secret_index: Option<usize>,
}

impl Serialize for DirectoryEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let body = std::str::from_utf8(self.raw()).map_err(serde::ser::Error::custom)?;
        let signature = self.signature();
        let issued_at = signature.map(|signature| signature.issued_at);
        let secret_index = signature.map(|signature| signature.secret_index);
        Stored { body: body.into(), issued_at, secret_index }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DirectoryEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's own words would quote what it found.
        let Stored { body, issued_at, secret_index } = Stored::deserialize(deserializer)
            .map_err(|_| de::Error::custom("not a DirectoryEvent as it serializes itself"))?;
        let body = Bytes::from(body.into_owned());
        let signature = issued_at
            .zip(secret_index)
            .map(|(issued_at, secret_index)| SignatureInfo { issued_at, secret_index });
        Self::parse_signed(body, signature).map_err(de::Error::custom)
    }
}

/// What happened.
///
/// A variant an event of WorkOS Directory Sync; everything else that an endpoint may be subscribed to, now or
/// later, is [`Unknown`](Self::Unknown).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EventData {
    /// `dsync.activated`: a directory was connected.
    DirectoryActivated(Directory),
    /// `dsync.deleted`: a directory was deleted, and with it, **without further events**, all of its users,
    /// groups and memberships.
    DirectoryDeleted(Directory),
    /// `dsync.group.created`
    GroupCreated(DirectoryGroup),
    /// `dsync.group.deleted`: its memberships end without further events.
    GroupDeleted(DirectoryGroup),
    /// `dsync.group.updated`
    GroupUpdated(GroupUpdated),
    /// `dsync.group.user_added`: can arrive before the user's or the group's own creation.
    GroupUserAdded(GroupMembership),
    /// `dsync.group.user_removed`
    GroupUserRemoved(GroupMembership),
    /// `dsync.token.created`
    TokenCreated(DirectoryToken),
    /// `dsync.token.revoked`
    TokenRevoked(DirectoryToken),
    /// `dsync.user.created`: one for each user too when a directory first syncs.
    UserCreated(DirectoryUser),
    /// `dsync.user.deleted`
    UserDeleted(DirectoryUser),
    /// `dsync.user.updated`: **also how a deactivated user arrives**; see
    /// [`DirectoryEvent::access_change`].
    UserUpdated(UserUpdated),
    /// An event that this version has no type for.
    Unknown(UnknownEvent),
}

impl EventData {
    fn event_name(&self) -> &str {
        match self {
            Self::DirectoryActivated(_) => "dsync.activated",
            Self::DirectoryDeleted(_) => "dsync.deleted",
            Self::GroupCreated(_) => "dsync.group.created",
            Self::GroupDeleted(_) => "dsync.group.deleted",
            Self::GroupUpdated(_) => "dsync.group.updated",
            Self::GroupUserAdded(_) => "dsync.group.user_added",
            Self::GroupUserRemoved(_) => "dsync.group.user_removed",
            Self::TokenCreated(_) => "dsync.token.created",
            Self::TokenRevoked(_) => "dsync.token.revoked",
            Self::UserCreated(_) => "dsync.user.created",
            Self::UserDeleted(_) => "dsync.user.deleted",
            Self::UserUpdated(_) => "dsync.user.updated",
            Self::Unknown(unknown) => unknown.name(),
        }
    }
}

/// An event without a type of its own: its name and its data as JSON.
#[derive(Clone)]
pub struct UnknownEvent {
    name: Box<str>,
    data: Box<RawValue>,
}

impl UnknownEvent {
    /// The event's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The event's data; the JSON `null` where it has none.
    #[must_use]
    pub fn data(&self) -> &RawValue {
        &self.data
    }
}

impl PartialEq for UnknownEvent {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.data.get() == other.data.get()
    }
}

impl fmt::Debug for UnknownEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownEvent").field("name", &self.name).finish_non_exhaustive()
    }
}
