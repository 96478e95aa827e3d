//! The lenient path of reading a body: it alone defines what a readable event is.
//!
//! An event needs an id, a name, and the id of each object that it is about. Any other field that can't be read counts as
//! absent, and its path is listed: somebody may lose access by this event, whatever its `idp_id` looks like.
//!
//! What a field must look like is not repeated here. An object is taken apart, each field is shown to the strict reader
//! alone, and what passes is put together again.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use serde::{
    Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::{RawValue, to_raw_value};

use crate::event::{
    Directory, DirectoryGroup, DirectoryToken, DirectoryUser, EventContext, EventData, EventId,
    GroupMembership, UnknownEvent,
    kind::Kind,
    macros::{Lazy, Required},
    parse::{Envelope, Key, Name, read_data},
    unreadable::{Fault, Unread},
};

/// At most this many unreadable entries of a list are listed by path.
const LISTED_ENTRIES: usize = 16;

/// Reads a body, of which this is the text, field by field. Text and body have no lone surrogates.
pub(super) fn read(body: &Bytes, text: &str, envelope: &mut Envelope) -> Result<(), Unread> {
    *envelope = Envelope::default();
    let mut fields = Fields::default();
    let complete = fields.read(text);
    let (id, name) = (fields.id(), fields.name());
    let read = complete.and_then(|()| {
        envelope.id = Some(id.clone().ok_or(Fault::id("id"))?);
        let name = name.as_ref().ok_or(Fault::Field { path: "event", expected: "a string" })?;
        envelope.created_at = fields.created_at.and_then(|raw| {
            let time = serde_json::from_str(raw.get());
            time.inspect_err(|_| envelope.unreadable.push("created_at".to_owned())).ok()
        });
        envelope.context = fields.context.map(|raw| EventContext::from_body(raw, body));
        data(body, name, fields.data, envelope)
    });
    read.map_err(|fault| Unread { id, name: name.map(|name| name.as_str().into()), fault })
}

/// The id and the name in a text that is not a readable event for this reason.
pub(super) fn only_names(text: &str, fault: Fault) -> Unread {
    let mut fields = Fields::default();
    let _ = fields.read(text);
    Unread { id: fields.id(), name: fields.name().map(|name| name.as_str().into()), fault }
}

fn data(
    body: &Bytes,
    name: &Name,
    raw: Option<&RawValue>,
    envelope: &mut Envelope,
) -> Result<(), Fault> {
    match name {
        Name::Unknown(name) => {
            let (name, data) = (name.clone(), raw.unwrap_or(RawValue::NULL).to_owned());
            envelope.data = Some(EventData::Unknown(UnknownEvent { name, data }));
        }
        Name::Known(kind) => {
            let raw = raw.ok_or(Fault::object("data"))?;
            if read_data(*kind, body, raw.get(), &mut envelope.data).is_none() {
                let readable = salvage(*kind, raw, &mut envelope.unreadable)?;
                let body = Bytes::from(readable.get().to_owned());
                let text = str::from_utf8(&body).unwrap_or_default();
                // Fields don't depend on each other: what passes alone passes together.
                read_data(*kind, &body, text, &mut envelope.data).ok_or(Fault::object("data"))?;
            }
        }
    }
    Ok(())
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
    /// Reads the whole text. After an error, the fields before it are there.
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
        Some(id).filter(Required::is_present)
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

/// The byte that an error of serde_json is about. Its message would quote the body, its position does not.
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

/// The fields of an object that are not `null`, each as it last occurs.
type Object = BTreeMap<String, Box<RawValue>>;

fn object(raw: &RawValue) -> Option<Object> {
    let fields: BTreeMap<String, Option<Box<RawValue>>> = serde_json::from_str(raw.get()).ok()?;
    Some(fields.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
}

/// Where an object is, and where its id.
#[derive(Clone, Copy)]
struct Place {
    object: &'static str,
    id: &'static str,
}

const DATA: Place = Place { object: "data", id: "data.id" };
const USER: Place = Place { object: "data.user", id: "data.user.id" };
const GROUP: Place = Place { object: "data.group", id: "data.group.id" };

/// What of an event's data can be read, as JSON; adds the paths of what can't.
fn salvage(
    kind: Kind,
    data: &RawValue,
    unreadable: &mut Vec<String>,
) -> Result<Box<RawValue>, Fault> {
    let data = object(data).ok_or(Fault::object("data"))?;
    match kind {
        Kind::Activated | Kind::Deleted => identified::<Directory>(data, DATA, unreadable),
        Kind::GroupCreated | Kind::GroupDeleted | Kind::GroupUpdated => {
            identified::<DirectoryGroup>(data, DATA, unreadable)
        }
        Kind::GroupUserAdded | Kind::GroupUserRemoved => membership(data, unreadable),
        Kind::TokenCreated | Kind::TokenRevoked => {
            identified::<DirectoryToken>(data, DATA, unreadable)
        }
        Kind::UserCreated | Kind::UserDeleted | Kind::UserUpdated => {
            identified::<DirectoryUser>(data, DATA, unreadable)
        }
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

/// Takes an object out of another one.
fn part<T: DeserializeOwned>(
    data: &mut Object,
    key: &str,
    place: Place,
    unreadable: &mut Vec<String>,
) -> Result<Box<RawValue>, Fault> {
    let part = data.remove(key).as_deref().and_then(object).ok_or(Fault::object(place.object))?;
    identified::<T>(part, place, unreadable)
}

/// An object that needs nothing but its id.
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

/// Removes the fields, and the entries of lists, with which `T` can't be read. `needed` is what it can't do without.
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
        if readable(value.get()) {
            return true;
        }
        let path = format!("{}.{key}", place.object);
        if let Some(entries) = entries(value).filter(|_| readable("[]")) {
            let listed_before = unreadable.len();
            let mut kept = Vec::new();
            for (index, entry) in entries.into_iter().enumerate() {
                if readable(&format!("[{entry}]")) {
                    kept.push(entry);
                } else if unreadable.len() - listed_before < LISTED_ENTRIES {
                    unreadable.push(format!("{path}[{index}]"));
                }
            }
            if let Ok(kept) = to_raw_value(&kept) {
                *value = kept;
                return true;
            }
        }
        unreadable.push(path);
        false
    });
}

fn entries(list: &RawValue) -> Option<Vec<Box<RawValue>>> {
    serde_json::from_str(list.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<(Envelope, Vec<String>), Unread> {
        let mut envelope = Envelope::default();
        read(&Bytes::from(text.to_owned()), text, &mut envelope)?;
        let unreadable = std::mem::take(&mut envelope.unreadable);
        Ok((envelope, unreadable))
    }

    fn paths(event: &str, data: &str) -> Vec<String> {
        of(&format!(r#"{{"id":"e","event":"{event}","data":{data}}}"#)).unwrap().1
    }

    #[test]
    fn what_is_left_out_is_listed_by_path() {
        for (event, data, expected) in [
            ("dsync.user.updated", r#"{"id":"u","role":"member"}"#, vec!["data.role"]),
            ("dsync.user.updated", r#"{"id":"u","role":{}}"#, vec!["data.role"]),
            ("dsync.user.updated", r#"{"id":"u","roles":[null]}"#, vec!["data.roles[0]"]),
            ("dsync.user.updated", r#"{"id":"u","roles":{"slug":"a"}}"#, vec!["data.roles"]),
            (
                "dsync.user.deleted",
                r#"{"id":"u","updated_at":"","name":false,"idp_id":42}"#,
                vec!["data.idp_id", "data.name", "data.updated_at"],
            ),
            ("dsync.activated", r#"{"id":"d","domains":["foo.com"]}"#, vec!["data.domains[0]"]),
            ("dsync.group.updated", r#"{"id":"g","name":7}"#, vec!["data.name"]),
            ("dsync.token.revoked", r#"{"id":"t","token_suffix":7}"#, vec!["data.token_suffix"]),
            (
                "dsync.group.user_removed",
                r#"{"directory_id":7,"user":{"id":"u","state":1},"group":{"id":"g","name":[]}}"#,
                vec!["data.user.state", "data.group.name", "data.directory_id"],
            ),
            // The last of a key that occurs twice counts, and null is absent.
            ("dsync.user.created", r#"{"id":7,"email":7,"id":"u","email":"x"}"#, vec![]),
            ("dsync.user.created", r#"{"id":"u","email":7,"email":null}"#, vec![]),
            ("dsync.user.created", r#"{"id":"u","email":7,"role":null}"#, vec!["data.email"]),
            // Of any size and depth, also in an object that is taken apart.
            ("dsync.user.created", r#"{"id":"u","x":1e999,"email":1e999}"#, vec!["data.email"]),
            // Free-form objects are read on demand.
            ("dsync.user.created", r#"{"id":"u","custom_attributes":7}"#, vec![]),
            // Known to another object only.
            ("dsync.user.created", r#"{"id":"u","token_suffix":7,"name":7}"#, vec!["data.name"]),
        ] {
            assert_eq!(paths(event, data), expected, "{data}");
        }
    }

    #[test]
    fn great_depth_harms_nothing_else() {
        let depth = if cfg!(miri) { 1000 } else { 100_000 };
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for key in ["x", "email", "roles", "role", "custom_attributes"] {
            let data = format!(r#"{{"id":"u","{key}":{deep},"name":7}}"#);
            let expected: &[&str] = match key {
                "email" => &["data.email", "data.name"],
                "role" => &["data.name", "data.role"],
                "roles" => &["data.name", "data.roles[0]"],
                _ => &["data.name"],
            };
            assert_eq!(paths("dsync.user.updated", &data), expected, "{key}");
        }
    }

    /// A list of nothing but odd entries would otherwise make a log line longer than the body.
    #[test]
    fn at_most_16_entries_of_a_list_are_listed() {
        let roles = vec!["7"; 1000].join(",");
        let data = format!(r#"{{"id":"u","roles":[{roles},{{"slug":"a"}}],"state":7}}"#);
        let paths = paths("dsync.user.updated", &data);
        assert_eq!((paths.len(), paths[15].as_str()), (17, "data.roles[15]"));
        assert_eq!(paths[16], "data.state");
        let text = format!(r#"{{"id":"e","event":"dsync.user.created","data":{data}}}"#);
        let (envelope, _) = of(&text).unwrap();
        let Some(EventData::UserCreated(user)) = envelope.data else { panic!() };
        assert_eq!((user.roles.len(), user.state), (1, None));
    }

    #[test]
    fn what_every_event_needs() {
        let user = r#"{"id":"u"}"#;
        let member = |user: &str, group: &str| format!(r#"{{"user":{user},"group":{group}}}"#);
        for (id, event, data, path) in [
            ("7", r#""x""#, "{}".to_owned(), "id"),
            (r#""""#, r#""x""#, "{}".to_owned(), "id"),
            (r#""e""#, "7", "{}".to_owned(), "event"),
            (r#""e""#, r#""dsync.deleted""#, "null".to_owned(), "data"),
            (r#""e""#, r#""dsync.deleted""#, "[]".to_owned(), "data"),
            (r#""e""#, r#""dsync.deleted""#, "{}".to_owned(), "data.id"),
            (r#""e""#, r#""dsync.deleted""#, r#"{"id":7}"#.to_owned(), "data.id"),
            (r#""e""#, r#""dsync.deleted""#, r#"{"id":""}"#.to_owned(), "data.id"),
            (r#""e""#, r#""dsync.deleted""#, r#"{"id":"d","id":null}"#.to_owned(), "data.id"),
            (r#""e""#, r#""dsync.group.user_added""#, user.to_owned(), "data.user"),
            (r#""e""#, r#""dsync.group.user_added""#, member("7", user), "data.user"),
            (r#""e""#, r#""dsync.group.user_added""#, member("{}", user), "data.user.id"),
            (r#""e""#, r#""dsync.group.user_added""#, member(user, "null"), "data.group"),
            (r#""e""#, r#""dsync.group.user_added""#, member(user, "{}"), "data.group.id"),
        ] {
            let text = format!(r#"{{"id":{id},"event":{event},"data":{data}}}"#);
            let unread = of(&text).unwrap_err();
            assert!(
                matches!(unread.fault, Fault::Field { path: at, .. } if at == path),
                "{text}: {unread:?}"
            );
            assert_eq!(unread.id.is_some(), path != "id", "{text}");
            assert_eq!(unread.name.is_some(), path != "event", "{text}");
        }
    }

    #[test]
    fn what_is_read_before_the_json_breaks_off_is_named() {
        let text = "{\"id\":\"e\",\n\"event\":\"dsync.deleted\",\"data\":{\"id\":";
        let unread = of(text).unwrap_err();
        assert_eq!(unread.fault, Fault::Syntax { at: text.len() });
        assert_eq!(unread.id, Some("e".into()));
        assert_eq!(unread.name.as_deref(), Some("dsync.deleted"));
        assert_eq!(only_names(text, Fault::NotUtf8 { at: 1 }).id, Some("e".into()));
        assert_eq!(of("[]").unwrap_err().fault, Fault::NotAnObject);
        assert_eq!(of(r#"{"id":"e"} x"#).unwrap_err().fault, Fault::Syntax { at: 12 });
    }
}
