//! From a body's text to what its [`Envelope`] says.
//!
//! The type of `data` hangs on `event`, and WorkOS mostly writes `data` first. The fast way guesses the type
//! from the last `"event"` in the text, reads `data` as that in the same pass, and checks the guess when it
//! comes to the real `event`. Whatever is unusual (a wrong guess, a field that can't be read) goes the plain
//! way: find the fields as text, as each last stands, then read them. The plain way alone says what is valid.

use std::fmt;

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    error::PayloadFault,
    event::{
        EventContext, EventData, EventId, Timestamp, UnknownEvent,
        macros::{Lazy, Read, Required, WithPrevious},
    },
};

/// How far from the end `"event"` is looked for. WorkOS writes it, `created_at` and `context` last.
const GUESS_WINDOW: usize = 512;

/// What of an envelope has been read. Functions fill it in rather than return it: an event is half a kilobyte, and serde
/// hands what it returns through many functions, each of which would copy it.
#[cfg_attr(test, derive(Debug, PartialEq))]
#[derive(Default)]
pub(super) struct Envelope {
    pub(super) id: Option<EventId>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) data: Option<EventData>,
    pub(super) context: Option<EventContext>,
}

impl Envelope {
    /// Reads a body, of which this is the text, into an empty envelope: its id and its data, or why not.
    pub(super) fn read(&mut self, body: &Bytes, text: &str) -> Result<(), PayloadFault> {
        fast(body, text, self).map_or_else(|| plain(body, text, self), Ok)
    }
}

/// The event types that have a type here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Activated,
    Deleted,
    GroupCreated,
    GroupDeleted,
    GroupUpdated,
    GroupUserAdded,
    GroupUserRemoved,
    TokenCreated,
    TokenRevoked,
    UserCreated,
    UserDeleted,
    UserUpdated,
}

impl Kind {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "dsync.activated" => Self::Activated,
            "dsync.deleted" => Self::Deleted,
            "dsync.group.created" => Self::GroupCreated,
            "dsync.group.deleted" => Self::GroupDeleted,
            "dsync.group.updated" => Self::GroupUpdated,
            "dsync.group.user_added" => Self::GroupUserAdded,
            "dsync.group.user_removed" => Self::GroupUserRemoved,
            "dsync.token.created" => Self::TokenCreated,
            "dsync.token.revoked" => Self::TokenRevoked,
            "dsync.user.created" => Self::UserCreated,
            "dsync.user.deleted" => Self::UserDeleted,
            "dsync.user.updated" => Self::UserUpdated,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Activated => "dsync.activated",
            Self::Deleted => "dsync.deleted",
            Self::GroupCreated => "dsync.group.created",
            Self::GroupDeleted => "dsync.group.deleted",
            Self::GroupUpdated => "dsync.group.updated",
            Self::GroupUserAdded => "dsync.group.user_added",
            Self::GroupUserRemoved => "dsync.group.user_removed",
            Self::TokenCreated => "dsync.token.created",
            Self::TokenRevoked => "dsync.token.revoked",
            Self::UserCreated => "dsync.user.created",
            Self::UserDeleted => "dsync.user.deleted",
            Self::UserUpdated => "dsync.user.updated",
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

/// The value of `event`.
#[derive(PartialEq)]
enum Name {
    Known(Kind),
    Unknown(Box<str>),
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
enum Key {
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
fn fast(body: &Bytes, text: &str, envelope: &mut Envelope) -> Option<()> {
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

/// The event type that the text's end speaks of. Only a guess: the same characters may stand in `data`.
fn guess(text: &str) -> Option<Kind> {
    let mut start = text.len().saturating_sub(GUESS_WINDOW);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let window = text.get(start..)?;
    if let Some(name) = usual_name(window) {
        return Kind::from_name(name);
    }
    // As a value it stands in `"object":"event"`, with which full envelopes end.
    window.rmatch_indices("\"event\"").find_map(|(at, key)| {
        let value = window.get(at + key.len()..)?.trim_start().strip_prefix(':')?;
        Kind::from_name(value.trim_start().strip_prefix('"')?.split_once('"')?.0)
    })
}

/// The name in front of the members that WorkOS mostly writes last, without a search.
fn usual_name(text: &str) -> Option<&str> {
    const TIME: &str = "2021-06-25T19:07:33.155Z";

    let text = text.strip_suffix('}')?;
    let text = text.strip_suffix(r#","object":"event""#).unwrap_or(text);
    let text = text.strip_suffix(r#","context":{}"#).unwrap_or(text).strip_suffix('"')?;
    let text = text.get(..text.len().checked_sub(TIME.len())?)?;
    let text = text.strip_suffix(r#"","created_at":""#)?;
    let name = text.bytes().rposition(|byte| byte == b'"')?;
    let (before, name) = text.split_at_checked(name + 1)?;
    before.ends_with(r#""event":""#).then_some(name)
}

/// The fields of an envelope as text, each as it last stands.
#[derive(Default)]
struct Fields<'a> {
    id: Option<&'a RawValue>,
    event: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
    created_at: Option<&'a RawValue>,
    context: Option<&'a RawValue>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Fields::default();
                while let Some(key) = map.next_key()? {
                    match key {
                        Key::Context => fields.context = map.next_value()?,
                        Key::CreatedAt => fields.created_at = map.next_value()?,
                        Key::Data => fields.data = map.next_value()?,
                        Key::Event => fields.event = map.next_value()?,
                        Key::Id => fields.id = map.next_value()?,
                        Key::Unknown => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// Field by field.
fn plain(body: &Bytes, text: &str, envelope: &mut Envelope) -> Result<(), PayloadFault> {
    let fields: Fields<'_> = serde_json::from_str(text)
        .map_err(|error| PayloadFault::Envelope { at: offset(text, &error) })?;
    envelope.id = field(text, fields.id)?.filter(Required::is_present);
    if envelope.id.is_none() {
        return Err(PayloadFault::Missing("id"));
    }
    envelope.context = fields.context.map(|raw| EventContext::from_body(raw, body));
    envelope.data = None;
    match (field(text, fields.event)?.ok_or(PayloadFault::Missing("event"))?, fields.data) {
        (Name::Known(kind), Some(raw)) => {
            ReadData { kind, body, into: &mut envelope.data }
                .deserialize(&mut serde_json::Deserializer::from_str(raw.get()))
                .map_err(|error| PayloadFault::Data {
                    event: kind.name(),
                    at: start(text, raw) + offset(raw.get(), &error),
                })?;
        }
        (Name::Known(_), None) => return Err(PayloadFault::Missing("data")),
        (Name::Unknown(name), raw) => {
            let data = raw.unwrap_or(RawValue::NULL).to_owned();
            envelope.data = Some(EventData::Unknown(UnknownEvent { name, data }));
        }
    }
    envelope.created_at = field(text, fields.created_at)?;
    Ok(())
}

fn field<'a, T: Deserialize<'a>>(
    text: &str,
    raw: Option<&'a RawValue>,
) -> Result<Option<T>, PayloadFault> {
    let Some(raw) = raw else {
        return Ok(None);
    };
    serde_json::from_str(raw.get()).map_err(|_| PayloadFault::Envelope { at: start(text, raw) })
}

/// Where in the text a part of it begins.
fn start(text: &str, part: &RawValue) -> usize {
    part.get().as_ptr().addr().saturating_sub(text.as_ptr().addr())
}

/// The byte that an error of serde_json speaks of. Its message would quote the body, its place does not.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let lines_before = error.line().saturating_sub(1);
    let line_start: usize = text.split_inclusive('\n').take(lines_before).map(str::len).sum();
    line_start + error.column()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    /// Else it would be right, but not fast.
    #[test]
    fn the_fast_way_is_taken_for_what_is_usual() {
        let data = format!(r#"{{"id":"u","name":"{}"}}"#, "é".repeat(GUESS_WINDOW));
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

    /// Else it would be right, but not fast.
    #[test]
    fn the_name_before_the_usual_end_needs_no_search() {
        let time = r#""created_at":"2026-01-15T12:00:00.000Z""#;
        let start = r#"{"id":"e","data":{},"event":"dsync.user.updated","#;
        for end in
            ["", r#","context":{}"#, r#","object":"event""#, r#","context":{},"object":"event""#]
        {
            let text = format!("{start}{time}{end}}}");
            assert_eq!(usual_name(&text), Some("dsync.user.updated"), "{text}");
        }
        for text in [
            format!("{start}{time}}}\n"),
            format!("{start}{time}}}}}"),
            format!("{start}{time},{time}}}"),
            format!(r#"{{"event":"dsync.user.updated","data":{{}},{time}}}"#),
            format!(r#"{{"name":"dsync.user.updated",{time}}}"#),
            "}".to_owned(),
            String::new(),
        ] {
            assert_eq!(usual_name(&text), None, "{text}");
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
        fn the_fast_way_says_what_the_plain_way_says(fields in prop::collection::vec(field(), 0..8)) {
            let text = format!("{{{}}}", fields.join(","));
            let body = Bytes::from(text.clone());
            let (mut quickly, mut plainly) = (Envelope::default(), Envelope::default());
            if fast(&body, &text, &mut quickly).is_some() {
                let read = plain(&body, &text, &mut plainly);
                prop_assert!(read.is_ok(), "{text}: {:?}", read.err());
                prop_assert_eq!(quickly, plainly, "{}", text);
            }
        }

        /// Of what is no usual envelope nothing may be left when it is read field by field.
        #[test]
        fn the_plain_way_keeps_nothing_of_the_fast_one(fields in prop::collection::vec(field(), 0..8)) {
            let text = format!("{{{}}}", fields.join(","));
            let (mut anew, mut again) = (Envelope::default(), Envelope::default());
            let body = Bytes::from(text.clone());
            let _ = fast(&body, &text, &mut again);
            let anew_says = plain(&body, &text, &mut anew);
            let again_says = plain(&body, &text, &mut again);
            prop_assert_eq!(anew_says, again_says, "{}", text);
            if anew_says.is_ok() {
                prop_assert_eq!(anew, again, "{}", text);
            }
        }
    }
}
