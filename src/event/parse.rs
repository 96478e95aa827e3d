//! From a body's text to what its [`Envelope`] says.
//!
//! The type of `data` depends on `event`, and WorkOS mostly writes `data` first. The fast path guesses the type from the
//! last `"event"` in the text, reads `data` as that in the same pass, and checks the guess when it comes to the real
//! `event`. Whatever is unusual (a wrong guess, a field that can't be read) is left to the [lenient path](lenient), which
//! alone defines what is valid.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::event::{
    EventContext, EventData, EventId, Timestamp, UnknownEvent,
    guess::guess,
    kind::Kind,
    lenient,
    macros::{Lazy, Read, Required, WithPrevious},
    repair::without_lone_surrogates,
    unreadable::Unread,
};

/// What of an envelope has been read. Functions fill it in rather than return it: an event is half a kilobyte, and serde
/// hands what it returns through many functions, each of which would copy it.
#[cfg_attr(test, derive(Debug, PartialEq))]
#[derive(Default)]
pub(super) struct Envelope {
    pub(super) id: Option<EventId>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) data: Option<EventData>,
    pub(super) context: Option<EventContext>,
    /// The paths of the fields that can't be read.
    pub(super) unreadable: Vec<String>,
}

impl Envelope {
    /// Reads a body, of which this is the text, into an empty envelope: its id and its data, or why not.
    pub(super) fn read(&mut self, body: &Bytes, text: &str) -> Result<(), Unread> {
        match without_lone_surrogates(text) {
            Cow::Borrowed(_) => {
                fast(body, text, self).map_or_else(|| lenient::read(body, text, self), Ok)
            }
            Cow::Owned(repaired) => {
                let body = Bytes::from(repaired);
                lenient::read(&body, str::from_utf8(&body).unwrap_or_default(), self)
            }
        }
    }
}

/// Reads `data` as what its event says it is.
struct ReadData<'d> {
    kind: Kind,
    body: &'d Bytes,
    into: &'d mut Option<EventData>,
}

impl<'de> DeserializeSeed<'de> for ReadData<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        fn read<'de, 'b, D: Deserializer<'de>, T>(
            deserializer: D,
            body: &'b Bytes,
            data: impl FnOnce(WithPrevious<T>) -> EventData,
        ) -> Result<EventData, D::Error>
        where
            Read<'b, T>: DeserializeSeed<'de, Value = WithPrevious<T>>,
        {
            Read::new(Some(body)).deserialize(deserializer).map(data)
        }

        let Self { kind, body, into } = self;
        *into = Some(match kind {
            Kind::Activated => {
                read(deserializer, body, |it| EventData::DirectoryActivated(it.object))
            }
            Kind::Deleted => read(deserializer, body, |it| EventData::DirectoryDeleted(it.object)),
            Kind::GroupCreated => read(deserializer, body, |it| EventData::GroupCreated(it.object)),
            Kind::GroupDeleted => read(deserializer, body, |it| EventData::GroupDeleted(it.object)),
            Kind::GroupUpdated => read(deserializer, body, |it| EventData::GroupUpdated(it.into())),
            Kind::GroupUserAdded => {
                read(deserializer, body, |it| EventData::GroupUserAdded(it.object))
            }
            Kind::GroupUserRemoved => {
                read(deserializer, body, |it| EventData::GroupUserRemoved(it.object))
            }
            Kind::TokenCreated => read(deserializer, body, |it| EventData::TokenCreated(it.object)),
            Kind::TokenRevoked => read(deserializer, body, |it| EventData::TokenRevoked(it.object)),
            Kind::UserCreated => read(deserializer, body, |it| EventData::UserCreated(it.object)),
            Kind::UserDeleted => read(deserializer, body, |it| EventData::UserDeleted(it.object)),
            Kind::UserUpdated => read(deserializer, body, |it| EventData::UserUpdated(it.into())),
        }?);
        Ok(())
    }
}

/// Reads `data`, of which this is the text, as what the event's kind says.
pub(super) fn read_data(
    kind: Kind,
    body: &Bytes,
    text: &str,
    into: &mut Option<EventData>,
) -> Option<()> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    ReadData { kind, body, into }.deserialize(&mut deserializer).ok()
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

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event name")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Name, E> {
                Ok(Kind::from_name(name).map_or_else(|| Name::Unknown(name.into()), Name::Known))
            }
        }

        deserializer.deserialize_str(NameVisitor)
    }
}

/// The keys of an envelope.
pub(super) enum Key {
    Context,
    CreatedAt,
    Data,
    Event,
    Id,
    Unknown,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Key, E> {
                Ok(match key {
                    "context" => Key::Context,
                    "created_at" => Key::CreatedAt,
                    "data" => Key::Data,
                    "event" => Key::Event,
                    "id" => Key::Id,
                    _ => Key::Unknown,
                })
            }
        }

        deserializer.deserialize_identifier(KeyVisitor)
    }
}

/// The whole envelope in one pass, or `None` where something is not as usual.
pub(super) fn fast(body: &Bytes, text: &str, envelope: &mut Envelope) -> Option<()> {
    let mut name = None;
    let mut guessed = None;
    let mut untyped = None;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let fast = Fast {
        body,
        text,
        envelope,
        name: &mut name,
        guessed: &mut guessed,
        untyped: &mut untyped,
    };
    deserializer.deserialize_map(fast).ok()?;
    deserializer.end().ok()?;
    match name? {
        Name::Known(kind) if guessed == Some(kind) => {}
        Name::Unknown(name) if guessed.is_none() => {
            envelope.data = Some(EventData::Unknown(UnknownEvent { name, data: untyped? }));
        }
        _ => return None,
    }
    envelope.id.as_ref().is_some_and(Required::is_present).then_some(())
}

struct Fast<'t, 'r> {
    body: &'t Bytes,
    text: &'t str,
    envelope: &'r mut Envelope,
    name: &'r mut Option<Name>,
    /// What `data` was read as.
    guessed: &'r mut Option<Kind>,
    untyped: &'r mut Option<Box<RawValue>>,
}

impl<'de> Visitor<'de> for Fast<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { body, text, envelope, name, guessed, untyped } = self;
        while let Some(key) = map.next_key()? {
            match key {
                Key::Context => {
                    let raw: Option<&RawValue> = map.next_value()?;
                    envelope.context = raw.map(|raw| EventContext::from_body(raw, body));
                }
                Key::CreatedAt => envelope.created_at = map.next_value()?,
                Key::Data if envelope.data.is_some() || untyped.is_some() => {
                    return Err(A::Error::custom("not as usual"));
                }
                Key::Data => {
                    *guessed = match &name {
                        Some(Name::Known(kind)) => Some(*kind),
                        Some(Name::Unknown(_)) => None,
                        None => guess(text),
                    };
                    match *guessed {
                        Some(kind) => {
                            map.next_value_seed(ReadData { kind, body, into: &mut envelope.data })?;
                        }
                        None => *untyped = map.next_value()?,
                    }
                }
                Key::Event => *name = map.next_value()?,
                Key::Id => envelope.id = map.next_value()?,
                Key::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::guess::WINDOW;

    const LONG_USER: &str = r#"{"id":"u","custom_attributes":{"bio":"She joined the company in its second year, led the move of the dispatch office from paper to a system of its own, and has trained everybody who plans a route there since. She speaks three languages, chairs the safety committee, and answers the telephone herself when a driver is stuck."}}"#;

    /// A field of an envelope, well formed or not; several may have one key.
    fn field() -> impl Strategy<Value = String> {
        let event = prop::sample::select(vec![
            r#""dsync.user.created""#,
            r#""dsync.user.updated""#,
            r#""dsync.group.created""#,
            r#""dsync.deleted""#,
            r#""x.y""#,
            r#""dsync\u002euser.created""#,
            "null",
            "7",
        ]);
        let data = prop::sample::select(vec![
            r#"{"id":"u","state":"active","state":"inactive"}"#,
            r#"{"id":"u","x":{"event":"dsync.deleted"}}"#,
            r#"{"name":"\"event\":\"dsync.user.created\"","id":"g"}"#,
            r#"{"email":1}"#,
            r#"{"id":"u","idp_id":42,"roles":[null,{"slug":"a"}],"domains":["foo.com"],"state":{}}"#,
            // Long enough to be shared with the body.
            LONG_USER,
            "null",
            "[]",
        ]);
        let id = prop::sample::select(vec![r#""e1""#, r#""e2""#, r#""""#, "null", "7"]);
        let time = prop::sample::select(vec![
            r#""2026-01-15T12:00:00Z""#,
            r#""2026-01-16 12:00:00""#,
            "null",
            r#""soon""#,
        ]);
        prop_oneof![
            3 => event.prop_map(|value| format!(r#""event":{value}"#)),
            3 => data.prop_map(|value| format!(r#""data":{value}"#)),
            3 => id.prop_map(|value| format!(r#""id":{value}"#)),
            1 => time.prop_map(|value| format!(r#""created_at":{value}"#)),
            1 => Just(r#""context":{"a":1}"#.to_owned()),
            1 => Just(r#""z":{"event":"dsync.user.created","data":1}"#.to_owned()),
        ]
    }

    /// Guards the fast path; a fallback would be correct but slower.
    #[test]
    fn the_fast_path_is_taken_for_what_is_usual() {
        let data = format!(r#"{{"id":"u","name":"{}"}}"#, "é".repeat(WINDOW));
        // With bytes of either number after them, so that the window's edge falls into a character once.
        for id in ["e", "ee"] {
            for text in [
                format!(r#"{{"id":"{id}","event":"dsync.user.created","data":{data}}}"#),
                format!(r#"{{"id":"{id}","data":{data},"event" : "dsync.user.created"}}"#),
                format!(
                    r#"{{"id":"{id}","data":{data},"event":"dsync.user.created","object":"event"}}"#
                ),
                format!(r#"{{"data":{data},"event":"dsync.user.created","id":"{id}"}}"#),
                format!(r#"{{"id":"{id}","event":"x.y","data":{data}}}"#),
            ] {
                let mut envelope = Envelope::default();
                assert!(fast(&Bytes::new(), &text, &mut envelope).is_some(), "{text}");
                assert_eq!(envelope.id.unwrap(), id);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            // Miri takes a second for each.
            cases: if cfg!(miri) { 16 } else { 4096 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn the_fast_path_reads_what_the_lenient_path_reads(fields in prop::collection::vec(field(), 0..8)) {
            let text = format!("{{{}}}", fields.join(","));
            let body = Bytes::from(text.clone());
            let (mut quickly, mut leniently) = (Envelope::default(), Envelope::default());
            if fast(&body, &text, &mut quickly).is_some() {
                let read = lenient::read(&body, &text, &mut leniently);
                prop_assert!(read.is_ok(), "{text}: {:?}", read.err());
                prop_assert!(leniently.unreadable.is_empty(), "{text}: {:?}", leniently.unreadable);
                prop_assert_eq!(quickly, leniently, "{}", text);
            }
        }

        /// Nothing that the fast path read before it gave up may be left.
        #[test]
        fn the_lenient_path_keeps_nothing_of_the_fast_one(fields in prop::collection::vec(field(), 0..8)) {
            let text = format!("{{{}}}", fields.join(","));
            let (mut clean, mut used) = (Envelope::default(), Envelope::default());
            let body = Bytes::from(text.clone());
            let _ = fast(&body, &text, &mut used);
            let of_clean = lenient::read(&body, &text, &mut clean);
            let of_used = lenient::read(&body, &text, &mut used);
            prop_assert_eq!(&of_clean, &of_used, "{}", text);
            if of_clean.is_ok() {
                prop_assert_eq!(clean, used, "{}", text);
            }
        }
    }
}
