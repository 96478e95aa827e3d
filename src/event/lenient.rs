//! The lenient path, which alone defines which events are readable.
//!
//! An event needs an id, a name, and the id of each object that it is about. Any other field that can't be read counts as
//! absent, and its path is listed: the event may revoke somebody's access, even if its `idp_id` is invalid.
//!
//! The types of the fields are not repeated here. An object is split into its fields, the strict reader reads each field
//! alone, and the readable fields are combined again.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::{RawValue, to_raw_value};

use crate::event::{
    data::{EventData, UnknownEvent},
    directory::Directory,
    duplicates::{Fields as Object, fields as object, last_of_each},
    envelope::{Envelope, Key, Name},
    group::{DirectoryGroup, GroupUpdated},
    id::EventId,
    kind::{Kind, ReadData},
    membership::GroupMembership,
    parse_error::{Fault, Unread},
    token::DirectoryToken,
    user::{DirectoryUser, UserUpdated},
};

/// At most this many unreadable entries of a list are listed by path.
const LISTED_ENTRIES: usize = 16;

/// Reads a text without lone surrogates field by field. Replaces the content of the envelope.
pub(super) fn read(text: &str, envelope: &mut Envelope) -> Result<(), Unread> {
    *envelope = Envelope::default();
    let mut fields = Fields::default();
    let complete = fields.read(text);
    let (id, name) = (fields.id(), fields.name());
    let read = complete.and_then(|()| {
        envelope.id = Some(id.clone().ok_or(Fault::id("id"))?);
        let name = name.as_ref().ok_or(Fault::Field { path: "event", expected: "a string" })?;
        let unreadable = &mut envelope.unreadable;
        envelope.created_at = optional("created_at", fields.created_at, unreadable);
        envelope.context = optional("context", fields.context, unreadable);
        envelope.data = Some(data(name, fields.data, unreadable)?);
        Ok(())
    });
    read.map_err(|fault| Unread { id, name: name.map(|name| name.as_str().into()), fault })
}

/// The error for a text that is not a readable event, with its id and name if they can be read.
pub(super) fn only_names(text: &str, fault: Fault) -> Unread {
    let mut fields = Fields::default();
    let _ = fields.read(text);
    Unread { id: fields.id(), name: fields.name().map(|name| name.as_str().into()), fault }
}

/// The value of a field that an event does not need.
fn optional<T: DeserializeOwned>(
    path: &str,
    raw: Option<&RawValue>,
    unreadable: &mut Vec<String>,
) -> Option<T> {
    let value = serde_json::from_str(raw?.get());
    value.inspect_err(|_| unreadable.push(path.to_owned())).ok()
}

fn data(
    name: &Name,
    raw: Option<&RawValue>,
    unreadable: &mut Vec<String>,
) -> Result<EventData, Fault> {
    let kind = match name {
        Name::Unknown(name) => {
            let data = raw.unwrap_or(RawValue::NULL).to_owned();
            return Ok(EventData::Unknown(UnknownEvent::new(name.clone(), data)));
        }
        Name::Known(kind) => *kind,
    };
    let raw = raw.ok_or(Fault::object("data"))?;
    if let Some(data) = read_data(kind, raw) {
        return Ok(data);
    }
    // Fields don't depend on each other: if each is readable alone, all are readable together.
    read_data(kind, &salvage(kind, raw, unreadable)?).ok_or(Fault::object("data"))
}

fn read_data(kind: Kind, raw: &RawValue) -> Option<EventData> {
    let mut data = None;
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    ReadData { kind, into: &mut data }.deserialize(&mut deserializer).ok()?;
    data
}

/// The fields of an envelope as text. If a key occurs twice, the last one counts, as in JavaScript.
#[derive(Default)]
struct Fields<'t> {
    id: Option<&'t RawValue>,
    event: Option<&'t RawValue>,
    data: Option<&'t RawValue>,
    created_at: Option<&'t RawValue>,
    context: Option<&'t RawValue>,
}

impl<'t> Fields<'t> {
    /// Reads the whole text. After an error, the fields before it are kept.
    fn read(&mut self, text: &'t str) -> Result<(), Fault> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = deserializer.deserialize_map(self).and_then(|()| deserializer.end());
        read.map_err(|error| {
            if error.is_data() {
                Fault::NotAnObject
            } else {
                Fault::Syntax { at: offset(text, &error) }
            }
        })
    }

    fn id(&self) -> Option<EventId> {
        let id: EventId = serde_json::from_str(self.id?.get()).ok()?;
        Some(id).filter(|id| !id.as_str().is_empty())
    }

    fn name(&self) -> Option<Name> {
        serde_json::from_str(self.event?.get()).ok()
    }
}

impl<'t> Visitor<'t> for &mut Fields<'t> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key()? {
            match key {
                Key::Context => self.context = map.next_value()?,
                Key::CreatedAt => self.created_at = map.next_value()?,
                Key::Data => self.data = map.next_value()?,
                Key::Event => self.event = map.next_value()?,
                Key::Id => self.id = map.next_value()?,
                Key::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The byte offset of a serde_json error. The error's message can quote the body, but its position can't.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let lines_before = error.line().saturating_sub(1);
    let line_start: usize = text.split_inclusive('\n').take(lines_before).map(str::len).sum();
    line_start + error.column()
}

impl Fault {
    fn id(path: &'static str) -> Self {
        Self::Field { path, expected: "a non-empty string" }
    }

    fn object(path: &'static str) -> Self {
        Self::Field { path, expected: "an object" }
    }
}

/// The paths of an object and of its id.
#[derive(Clone, Copy)]
struct Place {
    object: &'static str,
    id: &'static str,
}

const DATA: Place = Place { object: "data", id: "data.id" };
const USER: Place = Place { object: "data.user", id: "data.user.id" };
const GROUP: Place = Place { object: "data.group", id: "data.group.id" };

/// The readable part of an event's data, as JSON. Adds the paths of the unreadable fields.
fn salvage(
    kind: Kind,
    data: &RawValue,
    unreadable: &mut Vec<String>,
) -> Result<Box<RawValue>, Fault> {
    let data = object(data.get()).ok_or(Fault::object("data"))?;
    match kind {
        Kind::Activated | Kind::Deleted => identified::<Directory>(data, DATA, unreadable),
        Kind::GroupCreated | Kind::GroupDeleted => {
            identified::<DirectoryGroup>(data, DATA, unreadable)
        }
        Kind::GroupUpdated => identified::<GroupUpdated>(data, DATA, unreadable),
        Kind::GroupUserAdded | Kind::GroupUserRemoved => membership(data, unreadable),
        Kind::TokenCreated | Kind::TokenRevoked => {
            identified::<DirectoryToken>(data, DATA, unreadable)
        }
        Kind::UserCreated | Kind::UserDeleted => {
            identified::<DirectoryUser>(data, DATA, unreadable)
        }
        Kind::UserUpdated => identified::<UserUpdated>(data, DATA, unreadable),
    }
}

fn membership(mut data: Object, unreadable: &mut Vec<String>) -> Result<Box<RawValue>, Fault> {
    let user = part::<DirectoryUser>(&mut data, "user", USER, unreadable)?;
    let group = part::<DirectoryGroup>(&mut data, "group", GROUP, unreadable)?;
    let needed = r#""user":{"id":"u"},"group":{"id":"g"}"#;
    prune::<GroupMembership>(&mut data, DATA, needed, unreadable);
    data.insert("user".to_owned(), user);
    data.insert("group".to_owned(), group);
    to_raw_value(&data).map_err(|_| Fault::object("data"))
}

/// Removes an object from another one, and reads it.
fn part<T: DeserializeOwned>(
    data: &mut Object,
    key: &str,
    place: Place,
    unreadable: &mut Vec<String>,
) -> Result<Box<RawValue>, Fault> {
    let part = data.remove(key).and_then(|part| object(part.get()));
    let part = part.ok_or(Fault::object(place.object))?;
    identified::<T>(part, place, unreadable)
}

/// The readable part of an object that needs only its id.
fn identified<T: DeserializeOwned>(
    mut object: Object,
    place: Place,
    unreadable: &mut Vec<String>,
) -> Result<Box<RawValue>, Fault> {
    let id = object.remove("id").ok_or(Fault::id(place.id))?;
    if !serde_json::from_str(id.get()).is_ok_and(|id: String| !id.is_empty()) {
        return Err(Fault::id(place.id));
    }
    prune::<T>(&mut object, place, r#""id":"x""#, unreadable);
    object.insert("id".to_owned(), id);
    to_raw_value(&object).map_err(|_| Fault::object(place.object))
}

/// Removes the fields and list entries that prevent `T` from being read. `needed` contains the fields that `T` requires.
fn prune<T: DeserializeOwned>(
    object: &mut Object,
    place: Place,
    needed: &str,
    unreadable: &mut Vec<String>,
) {
    object.retain(|key, value| {
        let Ok(quoted) = serde_json::to_string(key) else { return false };
        let readable = |value: &str| {
            serde_json::from_str::<T>(&format!("{{{needed},{quoted}:{value}}}")).is_ok()
        };
        if let Some(read) = usable(value, readable) {
            *value = read;
            return true;
        }
        let path = format!("{}.{key}", place.object);
        if let Some(entries) = entries(value).filter(|_| readable("[]")) {
            let kept = readable_entries(entries, readable, &path, unreadable);
            if let Ok(kept) = to_raw_value(&kept) {
                *value = kept;
                return true;
            }
        }
        unreadable.push(path);
        false
    });
}

fn readable_entries(
    entries: Vec<Box<RawValue>>,
    readable: impl Fn(&str) -> bool,
    path: &str,
    unreadable: &mut Vec<String>,
) -> Vec<Box<RawValue>> {
    let listed_before = unreadable.len();
    let mut kept = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        match usable(entry, |entry| readable(&format!("[{entry}]"))) {
            Some(entry) => kept.push(entry),
            None if unreadable.len() - listed_before < LISTED_ENTRIES => {
                unreadable.push(format!("{path}[{index}]"));
            }
            None => {}
        }
    }
    kept
}

/// The value if it is readable, either as it is or with only the last of each duplicate key.
fn usable(value: &RawValue, readable: impl Fn(&str) -> bool) -> Option<Box<RawValue>> {
    if readable(value.get()) {
        return Some(value.to_owned());
    }
    last_of_each(value.get()).filter(|value| readable(value.get()))
}

fn entries(list: &RawValue) -> Option<Vec<Box<RawValue>>> {
    serde_json::from_str(list.get()).ok()
}

#[cfg(test)]
mod tests;
