//! The fast path, which reads a body in one strict pass.
//!
//! The type of `data` depends on `event`, but WorkOS usually writes `data` first. So the type is guessed from the last
//! `"event"` in the text, `data` is read as that type, and the guess is checked once `event` is reached.

use std::fmt;

use serde::{
    Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::event::{
    data::{EventData, UnknownEvent},
    envelope::{Envelope, Key, Name},
    guess::guess,
    kind::{Kind, ReadData},
};

/// Reads the whole envelope, or returns `None` if anything is unusual. The content of the envelope is then meaningless.
pub(super) fn read(text: &str, envelope: &mut Envelope) -> Option<()> {
    let mut found = Found::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_map(Body { text, envelope, found: &mut found }).ok()?;
    deserializer.end().ok()?;
    match found.name? {
        Name::Known(kind) if found.read_as == Some(kind) => {}
        Name::Unknown(name) => {
            envelope.data = Some(EventData::Unknown(UnknownEvent::new(name, found.untyped?)));
        }
        Name::Known(_) => return None,
    }
    envelope.id.as_ref().is_some_and(|id| !id.as_str().is_empty()).then_some(())
}

#[derive(Default)]
struct Found {
    name: Option<Name>,
    /// The kind that `data` was read as; if `None`, the data is in `untyped`.
    read_as: Option<Kind>,
    untyped: Option<Box<RawValue>>,
}

struct Body<'t, 'r> {
    text: &'t str,
    envelope: &'r mut Envelope,
    found: &'r mut Found,
}

impl<'de> Visitor<'de> for Body<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { text, envelope, found } = self;
        while let Some(key) = map.next_key()? {
            match key {
                Key::Context => envelope.context = map.next_value()?,
                Key::CreatedAt => envelope.created_at = map.next_value()?,
                Key::Data if found.read_as.is_some() || found.untyped.is_some() => {
                    return Err(A::Error::duplicate_field("data"));
                }
                Key::Data => {
                    found.read_as = match &found.name {
                        Some(Name::Known(kind)) => Some(*kind),
                        Some(Name::Unknown(_)) => None,
                        None => guess(text),
                    };
                    match found.read_as {
                        Some(kind) => {
                            map.next_value_seed(ReadData { kind, into: &mut envelope.data })?;
                        }
                        None => found.untyped = Some(map.next_value()?),
                    }
                }
                Key::Event => found.name = map.next_value()?,
                Key::Id => envelope.id = map.next_value()?,
                Key::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}
