//! The envelope of an event.

use serde::{Deserialize, Deserializer};

use crate::event::{
    context::EventContext, data::EventData, id::EventId, kind::Kind, text, timestamp::Timestamp,
};

/// The fields of an envelope that have been read. Functions fill it in instead of returning it: see
/// [`ReadData`](crate::event::kind::ReadData).
#[cfg_attr(test, derive(PartialEq))]
#[derive(Debug, Default)]
pub(super) struct Envelope {
    pub(super) id: Option<EventId>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) data: Option<EventData>,
    pub(super) context: Option<EventContext>,
    /// The paths of the fields that can't be read.
    pub(super) unreadable: Vec<String>,
}

/// The keys of an envelope.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(super) enum Key {
    Context,
    CreatedAt,
    Data,
    Event,
    Id,
    #[serde(other)]
    Unknown,
}

/// The value of `event`.
pub(super) enum Name {
    Known(Kind),
    Unknown(Box<str>),
}

impl Name {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Known(kind) => kind.name(),
            Self::Unknown(name) => name,
        }
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Kind::from_name(name).map_or_else(|| Self::Unknown(name.into()), Self::Known)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer)
    }
}
