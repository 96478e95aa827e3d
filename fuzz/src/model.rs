//! A simple model of how an event's body is read, based on the protocol's tables.

#![expect(clippy::indexing_slicing, reason = "a JSON value without the key is `null`, not a panic")]

use serde_json::{Map, Value, json};

use crate::{
    json::{Fault, Field, Kind, Node},
    moment::{moment, moment_in_id},
    rules::{ACTOR, ADDRESS, EMAIL, ROLE, Rule, Type, rules_of},
};

/// An event as the model reads it. Absent and `null` fields are [`Value::Null`], times are Unix times in nanoseconds, and
/// free-form JSON is text.
#[derive(Debug, PartialEq)]
pub struct Event {
    /// The event's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it happened according to `created_at` or else to the id, as Unix time in nanoseconds.
    pub created_at: Option<i128>,
    /// The text of the context.
    pub context: String,
    /// The fields of the data; for an unknown event, the text of the data.
    pub data: Value,
    /// The paths of the fields that can't be read, in alphabetical order.
    pub unreadable: Vec<String>,
}

/// The result of reading a body.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "matched whole, here and by the targets")]
pub enum Reading {
    /// An event.
    Event(Box<Event>),
    /// An object that lacks what every event needs.
    DeadLetter {
        /// The event's id, if there is one.
        id: Option<String>,
        /// Its name, if there is one.
        name: Option<String>,
        /// What it lacks.
        path: String,
    },
    /// Not a JSON object.
    Other,
}

/// At most this many unreadable entries of a list have a path.
const LISTED_ENTRIES: usize = 16;

impl Event {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`Fault::Depth`] if it is nested too deeply.
    pub fn read(body: &str) -> Result<Reading, Fault> {
        let read = Node::without_halves(body).and_then(|text| {
            let node = Node::read(&text)?;
            Ok(node.as_object().map_or(Reading::Other, Self::from_fields))
        });
        match read {
            Err(Fault::Syntax) => Ok(Reading::Other),
            read => read,
        }
    }

    fn from_fields(fields: &[Field<'_>]) -> Reading {
        let last = |key| last(fields, key).filter(|node| !node.is_null());
        let text = |key| last(key).and_then(Node::as_str).map(str::to_owned);
        let id = text("id").filter(|id| !id.is_empty());
        let name = text("event");
        let mut unreadable = Vec::new();
        let read = match (&id, &name) {
            (None, _) => Err("id".to_owned()),
            (_, None) => Err("event".to_owned()),
            (Some(_), Some(name)) => match rules_of(name) {
                Some(rules) => lenient(last("data"), &rules, "data", &mut unreadable),
                None => Ok(Value::from(last("data").map_or("null", |data| data.text))),
            },
        };
        let (id, name, data) = match (id, name, read) {
            (Some(id), Some(name), Ok(data)) => (id, name, data),
            (id, name, read) => {
                return Reading::DeadLetter { id, name, path: read.err().unwrap_or_default() };
            }
        };
        let time = last("created_at");
        let created_at = time.and_then(Node::as_str).and_then(moment);
        if time.is_some() && created_at.is_none() {
            unreadable.push("created_at".to_owned());
        }
        let created_at = created_at.or_else(|| moment_in_id(&id));
        let context = last("context");
        let context_object = context.filter(|context| context.as_object().is_some());
        if context.is_some() && context_object.is_none() {
            unreadable.push("context".to_owned());
        }
        unreadable.sort();
        let context = context_object.map_or("{}", |context| context.text).to_owned();
        Reading::Event(Box::new(Self { id, name, created_at, context, data, unreadable }))
    }

    /// The organization that the data names.
    #[must_use]
    pub fn organization_id(&self) -> Option<&str> {
        let data = &self.data;
        let own = data["organization_id"].as_str();
        let user = data["user"]["organization_id"].as_str();
        own.or(user).or(data["group"]["organization_id"].as_str())
    }

    /// The directory that the data names.
    #[must_use]
    pub fn directory_id(&self) -> Option<&str> {
        let data = &self.data;
        if matches!(self.name.as_str(), "dsync.activated" | "dsync.deleted") {
            return data["id"].as_str();
        }
        let own = data["directory_id"].as_str();
        let user = data["user"]["directory_id"].as_str();
        own.or(user).or(data["group"]["directory_id"].as_str())
    }

    /// The primary e-mail address of a user.
    #[must_use]
    pub fn primary_email(user: &Value) -> Option<String> {
        let said = |text: &Value| text.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        said(&user["email"]).or_else(|| {
            let emails = lookup(user["custom_attributes"].as_str()?, "emails")?;
            let emails = attribute(&emails, "emails")?;
            let primary = emails.as_array()?.iter().filter(|email| email["primary"] == true);
            primary.map(|email| &email["value"]).find_map(said)
        })
    }

    /// The access change of the event: a word, and the id of the object that it is about.
    #[must_use]
    pub fn access_change(&self) -> Option<(&'static str, &str)> {
        let (object, word) = match self.name.as_str() {
            "dsync.deleted" => (&self.data, "directory revoked"),
            "dsync.group.updated" => (&self.data, "group changed"),
            "dsync.group.deleted" => (&self.data, "group revoked"),
            "dsync.group.user_added" => (&self.data["user"], "added"),
            "dsync.group.user_removed" => (&self.data["user"], "removed"),
            "dsync.user.created" => (&self.data, "granted"),
            "dsync.user.updated" if self.was_not_active() => (&self.data, "granted"),
            "dsync.user.updated" => (&self.data, "changed"),
            "dsync.user.deleted" => (&self.data, "revoked"),
            _ => return None,
        };
        let stays = match word {
            "changed" | "granted" => object["state"] == "active",
            "added" => {
                let is_absent = object["state"].is_null()
                    && !self.unreadable.iter().any(|path| path == "data.user.state");
                is_absent || object["state"] == "active"
            }
            _ => true,
        };
        Some((if stays { word } else { "revoked" }, object["id"].as_str()?))
    }

    /// Whether the former values contain the state, and it was not `active`.
    fn was_not_active(&self) -> bool {
        let previous = self.data["previous_attributes"].as_str().unwrap_or("{}");
        lookup(previous, "state").is_some_and(|state| state.as_str() != Some("active"))
    }
}

/// The value of a key in a free-form object. If the key occurs more than once, the last value.
#[must_use]
pub fn lookup<'t>(object: &'t str, key: &str) -> Option<Node<'t>> {
    let node = Node::read(object).ok()?;
    last(node.as_object()?, key).cloned()
}

/// A string, or the JSON of a number or a boolean.
#[must_use]
pub fn loose_text(node: &Node<'_>) -> Option<String> {
    match &node.kind {
        Kind::String(text) => text.clone(),
        Kind::Bool(_) | Kind::Number => Some(node.text.to_owned()),
        _ => None,
    }
}

/// An attribute as the type that its method returns. For a list, the entries that can be read.
#[must_use]
pub fn attribute(node: &Node<'_>, key: &str) -> Option<Value> {
    let of = match key {
        "addresses" => Type::List(ADDRESS),
        "emails" => Type::List(EMAIL),
        "role" => Type::Object(ROLE),
        "roles" => Type::List(ROLE),
        "state" => Type::Text,
        "actor" => Type::Object(ACTOR),
        _ => return loose_text(node).map(Value::from),
    };
    value(node, of)
}

fn last<'a, 't>(fields: &'a [Field<'t>], key: &str) -> Option<&'a Node<'t>> {
    fields.iter().rev().find(|field| field.key() == Some(key)).map(|field| &field.value)
}

/// Reads an object of an event's data by its rules, without the unreadable fields. The error is the path of a required
/// field that is missing.
fn lenient(
    node: Option<&Node<'_>>,
    rules: &[Rule],
    path: &str,
    unreadable: &mut Vec<String>,
) -> Result<Value, String> {
    let fields = node.and_then(Node::as_object).ok_or(path)?;
    let mut object = Map::new();
    for (key, of, required) in rules {
        let path = format!("{path}.{key}");
        let node = last(fields, key).filter(|node| !node.is_null());
        let value = match (of, node) {
            (Type::Id, node) => {
                let id = node.and_then(Node::as_str).filter(|id| !id.is_empty());
                Value::from(id.ok_or(path)?)
            }
            (Type::Object(rules), node) if *required => lenient(node, rules, &path, unreadable)?,
            (Type::Attributes, None) => json!("{}"),
            (Type::List(_), None) => json!([]),
            (_, None) => Value::Null,
            (Type::List(rules), Some(node)) => match node.as_array() {
                Some(items) => entries(items, rules, &path, unreadable),
                None => {
                    unreadable.push(path);
                    json!([])
                }
            },
            (of, Some(node)) => value(node, *of).unwrap_or_else(|| {
                unreadable.push(path);
                if matches!(of, Type::Attributes) { json!("{}") } else { Value::Null }
            }),
        };
        object.insert((*key).to_owned(), value);
    }
    Ok(Value::Object(object))
}

fn entries(items: &[Node<'_>], rules: &[Rule], path: &str, unreadable: &mut Vec<String>) -> Value {
    let read: Vec<_> = items.iter().map(|item| object(item, rules)).collect();
    let odd = read.iter().enumerate().filter(|(_, item)| item.is_none());
    unreadable.extend(odd.take(LISTED_ENTRIES).map(|(index, _)| format!("{path}[{index}]")));
    read.into_iter().flatten().collect()
}

/// Reads a nested object by its rules, completely or not at all.
fn object(node: &Node<'_>, rules: &[Rule]) -> Option<Value> {
    let fields = node.as_object()?;
    if fields.iter().any(|field| field.key().is_none()) {
        return None;
    }
    let mut object = Map::new();
    for (key, of, required) in rules {
        let value = match last(fields, key).filter(|node| !node.is_null()) {
            Some(node) => value(node, *of)?,
            None => Value::Null,
        };
        let is_absent = value.is_null() || (matches!(of, Type::Id) && value == "");
        if *required && is_absent {
            return None;
        }
        object.insert((*key).to_owned(), value);
    }
    Some(Value::Object(object))
}

fn value(node: &Node<'_>, of: Type) -> Option<Value> {
    Some(match of {
        Type::Attributes => {
            node.as_object()?;
            Value::from(node.text)
        }
        Type::Bool => match node.kind {
            Kind::Bool(bool) => Value::from(bool),
            _ => return None,
        },
        Type::DirectoryState => match node.as_str()? {
            "linked" => Value::from("active"),
            "unlinked" => Value::from("inactive"),
            state => Value::from(state),
        },
        Type::Id | Type::Text => Value::from(node.as_str()?),
        Type::List(rules) => {
            node.as_array()?.iter().filter_map(|item| object(item, rules)).collect::<Value>()
        }
        Type::Object(rules) => object(node, rules)?,
        Type::Time => Value::from(moment(node.as_str()?)?.to_string()),
    })
}
