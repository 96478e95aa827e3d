//! Directories, users and groups as the API shows them.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use serde_json::value::RawValue;
use tower_workos::Timestamp;

/// The id of an object.
pub(crate) type Id = Arc<str>;

/// An object's place in a list: its creation, in Unix milliseconds, then its id.
pub(crate) type Place = (i64, Id);

/// The members of a JSON object.
pub(super) type Fields<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Directory,
    User,
    Group,
}

/// A directory, a user or a group. The stores share it.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) id: Id,
    /// When it was created, in Unix milliseconds.
    pub(crate) created_at: i64,
    /// The directory that a user or a group belongs to; empty if that is unknown.
    pub(crate) directory: Id,
    pub(crate) kind: Kind,
    /// Whether the state grants access to a user, or does not end the access of a directory's users.
    pub(crate) active: bool,
    /// The state of a directory, as the events name it.
    pub(crate) state: Option<Box<str>>,
    /// The object in the format of the API, without the last brace, because some members depend on the request.
    pub(crate) json: Box<[u8]>,
}

impl Item {
    pub(crate) fn place(&self) -> Place {
        (self.created_at, Arc::clone(&self.id))
    }

    /// The JSON object, without the members that depend on the request.
    pub(crate) fn complete(&self) -> Vec<u8> {
        [&self.json, b"}".as_slice()].concat()
    }

    /// This item with other members, without a change of its place.
    pub(super) fn with(&self, members: &[(&str, &RawValue)]) -> Self {
        let json = self.complete();
        let state = self.state.as_deref().map(raw);
        let mut fields: Fields<'_> = serde_json::from_slice(&json).unwrap_or_default();
        if let Some(state) = &state {
            fields.insert("state".into(), state);
        }
        for (name, value) in members {
            fields.insert((*name).into(), value);
        }
        let context = Context {
            kind: self.kind,
            happened_at: self.created_at,
            directory: Some(&self.directory),
        };
        let changed = context.item(&fields, |_| None);
        changed.map_or_else(|| self.clone(), |item| Self { created_at: self.created_at, ..item })
    }

    /// The member with this name, if it is a text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let json = self.complete();
        let fields: Fields<'_> = serde_json::from_slice(&json).ok()?;
        text(&fields, name)
    }
}

/// What a new item needs, apart from the members in the event.
pub(super) struct Context<'a> {
    pub(super) kind: Kind,
    /// When the event happened, in Unix milliseconds.
    pub(super) happened_at: i64,
    /// The directory that the event names, for an object that does not name its own.
    pub(super) directory: Option<&'a str>,
}

impl Context<'_> {
    /// Converts an object of an event to the format of the API. `None` if it has no id.
    ///
    /// `organization` returns the organization of a directory.
    pub(super) fn item(
        &self,
        fields: &Fields<'_>,
        organization: impl FnOnce(&str) -> Option<Id>,
    ) -> Option<Item> {
        let id = text(fields, "id").filter(|id| !id.is_empty())?;
        let directory = text(fields, "directory_id");
        let directory = directory.as_deref().or(self.directory).unwrap_or_default();
        let directory = if self.kind == Kind::Directory { "" } else { directory };
        let created_at = text(fields, "created_at").and_then(|text| millis(&text));
        let organization_id = organization(directory).map(|id| json(&*id));
        let happened_at = json(&Timestamp::from_unix_millis_saturating(self.happened_at));
        let directory_id = json(&directory);

        let mut members = Members::default();
        for (name, value) in fields {
            members.add(self.kind, name, value.get());
        }
        members.add_default("created_at", Some(happened_at));
        match self.kind {
            Kind::Directory => {
                members.add_default("external_key", Some("\"\"".to_owned()));
                members.add_default("domain", domain(fields));
            }
            Kind::User | Kind::Group => {
                members.add_default("directory_id", Some(directory_id));
                members.add_default("organization_id", organization_id);
                members.add_default("raw_attributes", Some("{}".to_owned()));
                if self.kind == Kind::User {
                    members.add_default("custom_attributes", Some("{}".to_owned()));
                }
            }
        }
        let state = text(fields, "state");
        let active = match (self.kind, state.as_deref()) {
            (Kind::Directory, None) => !is_present(fields, "state"),
            (Kind::Directory, Some("active" | "validating" | "invalid_credentials")) => true,
            (Kind::User, Some("active")) => true,
            _ => self.kind == Kind::Group,
        };
        Some(Item {
            id: id.into(),
            created_at: created_at.unwrap_or(self.happened_at),
            directory: directory.into(),
            kind: self.kind,
            active,
            state: state.filter(|_| self.kind == Kind::Directory).map(Into::into),
            json: members.json(self.kind),
        })
    }
}

/// The members of an object in the format of the API.
#[derive(Default)]
struct Members<'a>(BTreeMap<&'a str, Cow<'a, str>>);

impl<'a> Members<'a> {
    fn add(&mut self, kind: Kind, name: &'a str, value: &'a str) {
        // `groups`, `metadata` and the state of a directory are added to each response.
        let is_skipped = match name {
            "object" | "previous_attributes" | "groups" | "domains" | "metadata" => true,
            "state" => kind == Kind::Directory,
            _ => false,
        };
        if !is_skipped {
            self.0.insert(name, value.into());
        }
    }

    /// Sets a member that is absent or `null`.
    fn add_default(&mut self, name: &'a str, value: Option<String>) {
        if let Some(value) = value
            && self.0.get(name).is_none_or(|value| value == "null")
        {
            self.0.insert(name, value.into());
        }
    }

    fn json(self, kind: Kind) -> Box<[u8]> {
        let start = match kind {
            Kind::Directory => r#"{"object":"directory""#,
            Kind::User => r#"{"object":"directory_user""#,
            Kind::Group => r#"{"object":"directory_group""#,
        };
        let mut out = start.as_bytes().to_vec();
        for (name, value) in self.0 {
            for part in [",", &json(name), ":", &value] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        out.into_boxed_slice()
    }
}

/// The state of a directory in the API, which has other names than the events.
pub(crate) fn listed_state(state: &str) -> &str {
    match state {
        "active" => "linked",
        "inactive" => "unlinked",
        other => other,
    }
}

/// The first domain of a directory in an event, as JSON.
fn domain(fields: &Fields<'_>) -> Option<String> {
    let domains: Vec<Fields<'_>> = serde_json::from_str(fields.get("domains")?.get()).ok()?;
    text(domains.first()?, "domain").map(|domain| json(&domain))
}

/// Whether a member is there and not `null`.
fn is_present(fields: &Fields<'_>, name: &str) -> bool {
    fields.get(name).is_some_and(|value| value.get() != "null")
}

/// A member that is a text.
pub(super) fn text(fields: &Fields<'_>, name: &str) -> Option<String> {
    serde_json::from_str(fields.get(name)?.get()).ok()
}

/// A member that is an object.
pub(super) fn object<'a>(fields: &Fields<'a>, name: &str) -> Option<Fields<'a>> {
    serde_json::from_str(fields.get(name)?.get()).ok()
}

/// A time as Unix milliseconds.
pub(crate) fn millis(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_unix_millis)
}

fn raw(text: &str) -> Box<RawValue> {
    // What `json` returns is valid JSON.
    RawValue::from_string(json(text)).unwrap_or_default()
}

pub(crate) fn json(value: &(impl serde::Serialize + ?Sized)) -> String {
    // Texts and times can always be serialized.
    serde_json::to_string(value).unwrap_or_default()
}
