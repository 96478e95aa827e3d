//! What an event's body says, read the plain way from the protocol's tables.

#![expect(clippy::indexing_slicing, reason = "a JSON value without the key is `null`, not a panic")]

use serde_json::{Map, Value, json};
use tower_workos::Timestamp;

use crate::json::{Fault, Field, Kind, Node};

/// The type of a field.
#[derive(Clone, Copy, Debug)]
enum Type {
    /// Any JSON, kept as text.
    Any,
    Bool,
    /// The state of a directory, which has two names for some.
    DirectoryState,
    /// A text that is not empty.
    Id,
    List(&'static [Rule]),
    Object(&'static [Rule]),
    Text,
    Time,
}

/// A field of an object: its key, its type, whether it must be there.
type Rule = (&'static str, Type, bool);

const DIRECTORY: &[Rule] = &[
    ("id", Type::Id, true),
    ("organization_id", Type::Text, false),
    ("type", Type::Text, false),
    ("state", Type::DirectoryState, false),
    ("name", Type::Text, false),
    ("external_key", Type::Text, false),
    ("domains", Type::List(&[("id", Type::Id, true), ("domain", Type::Text, false)]), false),
    ("created_at", Type::Time, false),
    ("updated_at", Type::Time, false),
    ("previous_attributes", Type::Any, false),
];

const USER: &[Rule] = &[
    ("id", Type::Id, true),
    ("directory_id", Type::Text, false),
    ("organization_id", Type::Text, false),
    ("idp_id", Type::Text, false),
    ("email", Type::Text, false),
    ("first_name", Type::Text, false),
    ("last_name", Type::Text, false),
    ("name", Type::Text, false),
    ("state", Type::Text, false),
    ("custom_attributes", Type::Any, false),
    ("role", Type::Object(ROLE), false),
    ("roles", Type::List(ROLE), false),
    ("created_at", Type::Time, false),
    ("updated_at", Type::Time, false),
    ("previous_attributes", Type::Any, false),
];

const GROUP: &[Rule] = &[
    ("id", Type::Id, true),
    ("directory_id", Type::Text, false),
    ("organization_id", Type::Text, false),
    ("idp_id", Type::Text, false),
    ("name", Type::Text, false),
    ("raw_attributes", Type::Any, false),
    ("created_at", Type::Time, false),
    ("updated_at", Type::Time, false),
    ("previous_attributes", Type::Any, false),
];

const MEMBERSHIP: &[Rule] = &[
    ("user", Type::Object(USER), true),
    ("group", Type::Object(GROUP), true),
    ("directory_id", Type::Text, false),
];

const TOKEN: &[Rule] = &[
    ("id", Type::Id, true),
    ("directory_id", Type::Text, false),
    ("organization_id", Type::Text, false),
    ("token_suffix", Type::Text, false),
    ("created_at", Type::Time, false),
];

const ROLE: &[Rule] = &[("slug", Type::Text, true)];

const EMAIL: &[Rule] =
    &[("primary", Type::Bool, false), ("type", Type::Text, false), ("value", Type::Text, false)];

const ADDRESS: &[Rule] = &[
    ("primary", Type::Bool, false),
    ("type", Type::Text, false),
    ("raw_address", Type::Text, false),
    ("street_address", Type::Text, false),
    ("locality", Type::Text, false),
    ("region", Type::Text, false),
    ("postal_code", Type::Text, false),
    ("country", Type::Text, false),
];

const ACTOR: &[Rule] =
    &[("id", Type::Text, true), ("source", Type::Text, false), ("name", Type::Text, false)];

fn rules_of(event: &str) -> Option<&'static [Rule]> {
    Some(match event {
        "dsync.activated" | "dsync.deleted" => DIRECTORY,
        "dsync.user.created" | "dsync.user.updated" | "dsync.user.deleted" => USER,
        "dsync.group.created" | "dsync.group.updated" | "dsync.group.deleted" => GROUP,
        "dsync.group.user_added" | "dsync.group.user_removed" => MEMBERSHIP,
        "dsync.token.created" | "dsync.token.revoked" => TOKEN,
        _ => return None,
    })
}

/// An event as the plain reading has it. Absent and `null` are [`Value::Null`], times are nanoseconds of Unix time,
/// free-form JSON is its text.
#[derive(Debug, PartialEq)]
pub struct Event {
    /// The event's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it happened, in nanoseconds of Unix time.
    pub created_at: Option<i128>,
    /// The context's text.
    pub context: String,
    /// The fields of a known event's data; the text of an unknown one's.
    pub data: Value,
    /// The paths of what is there and can't be read, in alphabetical order.
    pub unreadable: Vec<String>,
}

/// What a body is.
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
    /// No JSON object.
    Other,
}

/// At most this many unreadable entries of a list have a path.
const LISTED_ENTRIES: usize = 16;

impl Event {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`Fault::Depth`] where it is too deep to tell.
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
                Some(rules) => lenient(last("data"), rules, "data", &mut unreadable),
                None => Ok(Value::from(last("data").map_or("null", |data| data.text))),
            },
        };
        let (id, name, mut data) = match (id, name, read) {
            (Some(id), Some(name), Ok(data)) => (id, name, data),
            (id, name, read) => {
                return Reading::DeadLetter { id, name, path: read.err().unwrap_or_default() };
            }
        };
        if !name.ends_with(".updated") {
            forget_previous(&mut data);
        }
        let time = last("created_at");
        let created_at = time.and_then(Node::as_str).and_then(moment);
        if time.is_some() && created_at.is_none() {
            unreadable.push("created_at".to_owned());
        }
        unreadable.sort();
        let context = last("context").map_or("{}", |context| context.text).to_owned();
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

    /// The address to reach a user at.
    #[must_use]
    pub fn primary_email(user: &Value) -> Option<String> {
        let said = |text: &Value| text.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        said(&user["email"]).or_else(|| {
            let emails = lookup(user["custom_attributes"].as_str()?, "emails").ok()??;
            let emails = attribute(&emails, "emails")?;
            let primary = emails.as_array()?.iter().filter(|email| email["primary"] == true);
            primary.map(|email| &email["value"]).find_map(said)
        })
    }

    /// What the event means for access: a word and the id of whom or what it concerns.
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

    /// Whether the state is among the former values, and was another than `active`.
    fn was_not_active(&self) -> bool {
        let previous = self.data["previous_attributes"].as_str().unwrap_or("{}");
        matches!(lookup(previous, "state"), Ok(Some(state)) if state.as_str() != Some("active"))
    }
}

/// A text that is not what it was asked for as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// The value of a key of a free-form object, as it last stands.
///
/// # Errors
///
/// Where this is no object with keys that are text.
pub fn lookup<'t>(text: &'t str, key: &str) -> Result<Option<Node<'t>>, Unreadable> {
    let node = Node::read(text).map_err(|_| Unreadable)?;
    let fields = node.as_object().ok_or(Unreadable)?;
    if fields.iter().any(|field| field.key().is_none()) {
        return Err(Unreadable);
    }
    Ok(last(fields, key).cloned())
}

/// A text, or what stands in the place of one without quotes.
#[must_use]
pub fn loose_text(node: &Node<'_>) -> Option<String> {
    match &node.kind {
        Kind::String(text) => text.clone(),
        Kind::Bool(_) | Kind::Number => Some(node.text.to_owned()),
        _ => None,
    }
}

/// A value of a type that attributes are asked for as. Of a list, what can be read.
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

/// An object of an event's data by its rules, without what can't be read; or the path of what it must not lack.
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
            (Type::Object(rules), node) if *required => {
                let mut part = lenient(node, rules, &path, unreadable)?;
                forget_previous(&mut part);
                part
            }
            (Type::Any, None) => json!("{}"),
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
                Value::Null
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

/// A small object by its rules, whole or not at all. If a key occurs twice, the earlier value does not count, but must be
/// readable.
fn object(node: &Node<'_>, rules: &[Rule]) -> Option<Value> {
    let mut object = Map::new();
    for field in node.as_object()? {
        let key = field.key()?;
        if let Some((_, of, _)) = rules.iter().find(|(name, ..)| *name == key) {
            let value = if field.value.is_null() { Value::Null } else { value(&field.value, *of)? };
            object.insert(key.to_owned(), value);
        }
    }
    for (key, of, required) in rules {
        let value = object.entry(*key).or_insert(Value::Null);
        let absent = value.is_null() || (matches!(of, Type::Id) && value == "");
        match of {
            _ if *required && absent => return None,
            Type::Any if absent => *value = json!("{}"),
            Type::List(_) if absent => *value = json!([]),
            _ => {}
        }
    }
    Some(Value::Object(object))
}

/// Only an update's own object has former values.
fn forget_previous(object: &mut Value) {
    if let Value::Object(fields) = object {
        fields.remove("previous_attributes");
    }
}

fn value(node: &Node<'_>, of: Type) -> Option<Value> {
    Some(match of {
        Type::Any => Value::from(node.text),
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
        Type::Object(rules) => {
            let mut object = object(node, rules)?;
            forget_previous(&mut object);
            object
        }
        Type::Time => Value::from(moment(node.as_str()?)?.to_string()),
    })
}

/// A time in nanoseconds of Unix time. In the forms that WorkOS writes it is worked out here; in others, which
/// RFC 3339 and its heirs allow, the library is believed.
fn moment(text: &str) -> Option<i128> {
    usual_moment(text).unwrap_or_else(|| text.parse::<Timestamp>().ok().map(nanoseconds))
}

/// A time of the library's in nanoseconds of Unix time.
#[must_use]
pub fn nanoseconds(time: Timestamp) -> i128 {
    let since =
        |duration: std::time::Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
    match std::time::SystemTime::from(time).duration_since(std::time::UNIX_EPOCH) {
        Ok(after) => since(after),
        Err(before) => -since(before.duration()),
    }
}

/// `None` where the text has another form, `Some(None)` where there is no such time.
fn usual_moment(text: &str) -> Option<Option<i128>> {
    let shape: String =
        text.chars().map(|char| if char.is_ascii_digit() { '0' } else { char }).collect();
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i128>().ok();
    let rest = shape
        .strip_prefix("0000-00-00T00:00:00")
        .or_else(|| shape.strip_prefix("0000-00-00 00:00:00"))?;
    let fraction = rest
        .strip_prefix('.')
        .map_or(0, |digits| digits.find(|char| char != '0').unwrap_or(digits.len()));
    if rest.starts_with('.') && !(1..=9).contains(&fraction) {
        return None;
    }
    let end = if fraction == 0 { 19 } else { 20 + fraction };
    let nanos = match fraction {
        0 => 0,
        _ => number(20, end)? * 10_i128.pow(9 - u32::try_from(fraction).ok()?),
    };
    let offset = match shape.get(end..)? {
        "" | "Z" => 0,
        "+00:00" | "-00:00" => {
            let minutes = number(end + 1, end + 3)? * 60 + number(end + 4, end + 6)?;
            if number(end + 1, end + 3)? > 23 || number(end + 4, end + 6)? > 59 {
                return None;
            }
            if text.get(end..)?.starts_with('-') { -minutes } else { minutes }
        }
        _ => return None,
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // A leap second has no Unix time of its own, and RFC 3339's first and last days don't fit everywhere.
    if second == 60 || !(1..9999).contains(&year) {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months = lengths.get(..usize::try_from(month).ok()?.saturating_sub(1));
    let length = usize::try_from(month - 1).ok().and_then(|month| lengths.get(month));
    let (Some(months), Some(length)) = (months, length) else { return Some(None) };
    if !(1..=*length).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return Some(None);
    }
    let years_before = |year: i128| {
        let before = year - 1;
        before * 365 + before / 4 - before / 100 + before / 400
    };
    let days = years_before(year) - years_before(1970) + months.iter().sum::<i128>() + day - 1;
    let minutes = (days * 24 + hour) * 60 + minute - offset;
    Some(Some((minutes * 60 + second) * 1_000_000_000 + nanos))
}
