//! An event.

use std::{borrow::Cow, fmt, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::event::{
    context::EventContext,
    data::EventData,
    envelope::Envelope,
    id::{DirectoryId, EventId, OrganizationId},
    lenient, parse,
    parse_error::{Fault, ParseError, Unread},
    signature_info::SignatureInfo,
    timestamp::Timestamp,
    ulid,
};

/// An event: its typed data and the bytes that WorkOS signed.
///
/// Cloning it increments a reference count. `Debug` shows ids, states and the paths of unreadable fields, but nothing else
/// from the body.
///
/// It can be serialized for an application's own queues and tables: to an object with the exact body as a string and with
/// what is known about the signature. To read a plain event object, for example from the Events API, use
/// [`parse`](Self::parse).
///
/// Deserialized values are trusted, including [`signature`](Self::signature). Deserialize only what this type serialized,
/// from storage that nobody else can write to, and never a request's body.
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
    /// Reads an event that was verified before it was stored, or that came from the Events API.
    ///
    /// This verifies nothing. For a request, use [`VerifyWebhookLayer`](crate::VerifyWebhookLayer); for a header and a
    /// body, [`Verifier::construct_event`](crate::Verifier::construct_event).
    ///
    /// # Errors
    ///
    /// [`ParseError`] if the body isn't a JSON object with an `id` and an `event`, or if the `data` of an event of
    /// [`EventData`] lacks the id of an object that it is about (the directory, the user, the group or the token; the user
    /// and the group of a membership). Any other field that can't be read counts as absent: see
    /// [`unreadable_fields`](Self::unreadable_fields). An event that this version does not know is not an error.
    pub fn parse(body: Bytes) -> Result<Self, ParseError> {
        Self::parse_signed(body, None)
    }

    pub(crate) fn parse_signed(
        raw: Bytes,
        signature: Option<SignatureInfo>,
    ) -> Result<Self, ParseError> {
        let mut envelope = Envelope::default();
        let read = match str::from_utf8(&raw) {
            Ok(text) => parse::read(text, &mut envelope),
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

    /// The event's id. It is the same in every delivery of the event and in the Events API.
    #[must_use]
    pub fn id(&self) -> &EventId {
        &self.0.id
    }

    /// The event's name, for example `dsync.user.created`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.data().event_name()
    }

    /// When the event happened: the body's `created_at`. If the body has no readable `created_at` (before 2023), the
    /// time in the event's id; if the id contains none, when the event was signed. `None` only if none of these is known.
    ///
    /// WorkOS's ids end in a [ULID](https://github.com/ulid/spec), which begins with a time. It takes precedence over the
    /// signature's time because a retry may be signed again: an old event without `created_at` would otherwise seem to be
    /// new. A time before 2015 in an id is ignored.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use tower_workos::DirectoryEvent;
    ///
    /// # fn main() -> Result<(), tower_workos::ParseError> {
    /// let event = DirectoryEvent::parse(Bytes::from_static(
    ///     br#"{"id":"wh_01GZ4CKZ35N9C2H4J7M0P3R6VZ","event":"dsync.deleted","data":{"id":"directory_1"}}"#,
    /// ))?;
    /// assert_eq!(event.created_at().unwrap().to_string(), "2023-04-28T16:54:53.285Z");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        self.0.created_at.or_else(|| ulid::time(self.id().as_str())).or_else(|| self.issued_at())
    }

    /// When this delivery was signed. `None` for an event without a signature.
    #[must_use]
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.signature().map(|signature| signature.issued_at())
    }

    /// What happened, and to which object.
    #[must_use]
    pub fn data(&self) -> &EventData {
        &self.0.data
    }

    /// What WorkOS sends about the event in addition to its data; empty if it sent nothing.
    #[must_use]
    pub fn context(&self) -> &EventContext {
        &self.0.context
    }

    /// The organization that the event is about, if the data contains it.
    #[must_use]
    pub fn organization_id(&self) -> Option<&OrganizationId> {
        self.data().organization_id()
    }

    /// The directory that the event is about, if the data contains it.
    #[must_use]
    pub fn directory_id(&self) -> Option<&DirectoryId> {
        self.data().directory_id()
    }

    /// When and with which secret this event was signed; `None` for an event without a signature.
    ///
    /// For a deserialized event, this is what was serialized. It proves nothing about where the serialized form came from.
    #[must_use]
    pub fn signature(&self) -> Option<SignatureInfo> {
        self.0.signature
    }

    /// The paths of the fields that were sent but can't be read, and therefore count as absent, for example `data.role`,
    /// `data.roles[0]`, `data.user.idp_id` or `created_at`. Empty for almost every event.
    ///
    /// An event that revokes somebody's access must not be lost because of a field that doesn't matter. So an event needs
    /// only its `id`, its name, and the id of each object that it is about. Any other field of an unexpected type is left
    /// out of [`data`](Self::data), but is still in [`raw`](Self::raw). `custom_attributes`, `raw_attributes`,
    /// `previous_attributes` and the event's `context` must be objects; what is inside them is read on demand. In a list,
    /// an unreadable entry doesn't hide the others: only the entry is left out, and the first 16 such entries of a list are
    /// listed here. `null` means absent, and is never listed.
    ///
    /// If `data.state` of a user is listed, the user has a state, but it is not `active`.
    ///
    /// The paths consist of indexes and of field names that this crate knows; they never contain text that was sent. With
    /// the feature `tracing`, the layer and [`Verifier::construct_event`](crate::Verifier::construct_event) also log them:
    /// one `WARN` event with the target `tower_workos::event` for each such event, with its id and name.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use tower_workos::{DirectoryEvent, EventData};
    ///
    /// # fn main() -> Result<(), tower_workos::ParseError> {
    /// let event = DirectoryEvent::parse(Bytes::from_static(
    ///     br#"{"id":"event_1","event":"dsync.user.deleted",
    ///          "data":{"id":"directory_user_1","idp_id":42,"roles":[null,{"slug":"admin"}]}}"#,
    /// ))?;
    /// assert_eq!(event.unreadable_fields(), ["data.idp_id", "data.roles[0]"]);
    ///
    /// let EventData::UserDeleted(user) = event.data() else { panic!() };
    /// assert_eq!(user.idp_id, None);
    /// assert_eq!(user.roles[0].slug, "admin");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn unreadable_fields(&self) -> &[String] {
        &self.0.unreadable
    }

    /// The exact bytes that were signed. A lone surrogate (`\ud83d` without its other half), which is valid in JSON but not
    /// in a `str`, is unchanged here; in the typed values, it is replaced by U+FFFD.
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

/// Two events are equal if their bytes are, even if they were signed at different times.
impl PartialEq for DirectoryEvent {
    fn eq(&self, other: &Self) -> bool {
        self.raw() == other.raw()
    }
}

impl Eq for DirectoryEvent {}

/// The serialized form of an event. Fields may be added but never renamed: queues outlive versions.
#[derive(Serialize, Deserialize)]
#[serde(rename = "DirectoryEvent")]
struct Stored<'a> {
    body: Cow<'a, str>,
    #[serde(default)]
    issued_at: Option<Timestamp>,
    #[serde(default)]
    secret_index: Option<usize>,
}

impl Serialize for DirectoryEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let body = str::from_utf8(self.raw()).map_err(serde::ser::Error::custom)?;
        let signature = self.signature();
        let issued_at = signature.map(|signature| signature.issued_at);
        let secret_index = signature.map(|signature| signature.secret_index);
        Stored { body: body.into(), issued_at, secret_index }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DirectoryEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's own message would quote the input.
        let Stored { body, issued_at, secret_index } = Stored::deserialize(deserializer)
            .map_err(|_| de::Error::custom("not a serialized DirectoryEvent"))?;
        let body = Bytes::from(body.into_owned());
        let signature = issued_at
            .zip(secret_index)
            .map(|(issued_at, secret_index)| SignatureInfo { issued_at, secret_index });
        Self::parse_signed(body, signature).map_err(de::Error::custom)
    }
}
