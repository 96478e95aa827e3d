//! What there is at a moment, as JSON, and how another's idea of it differs.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tower_workos::Timestamp;

use super::record::{DirectoryRecord, GroupRecord, MembershipRecord, UserRecord};

/// What there is, each list in the order of its ids: the same state is the same JSON.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// The directories.
    #[serde(default)]
    pub directories: Vec<DirectoryRecord>,
    /// The groups.
    #[serde(default)]
    pub groups: Vec<GroupRecord>,
    /// The users, active or not.
    #[serde(default)]
    pub users: Vec<UserRecord>,
    /// Who is in which group.
    #[serde(default)]
    pub memberships: Vec<MembershipRecord>,
    /// The ids of the users who have access.
    #[serde(default)]
    pub access: Vec<String>,
}

impl Snapshot {
    /// Compares with the state that an application says it holds.
    ///
    /// `held` is an object with lists named as this type's fields. Only what it names is judged: a list that is not
    /// there is left out, and of an object only the fields that are there, besides its id. `access` may be a list of
    /// ids or of objects with an `id`. Times are compared as times; `null` is as good as absent.
    ///
    /// # Errors
    ///
    /// [`ComparisonError`] where `held` has another shape, or names none of the lists.
    pub fn compare(&self, held: &Value) -> Result<Comparison, ComparisonError> {
        let held = held.as_object().ok_or(ComparisonError::NotAnObject)?;
        // A struct of strings, times and lists is always JSON.
        let expected = serde_json::to_value(self).unwrap_or_default();
        let mut comparison = Comparison::default();
        for section in Section::ALL {
            let Some(held) = held.get(section.name()).filter(|held| !held.is_null()) else {
                comparison.left_out.push(section);
                continue;
            };
            let held = section.by_key(held).ok_or(ComparisonError::Shape(section))?;
            let expected = expected.get(section.name()).and_then(|list| section.by_key(list));
            compare_section(section, expected.unwrap_or_default(), held, &mut comparison);
            comparison.compared.push(section);
        }
        if comparison.compared.is_empty() {
            return Err(ComparisonError::NothingToCompare);
        }
        Ok(comparison)
    }

    pub(super) fn finish(mut self) -> Self {
        let active = self.users.iter().filter(|user| user.is_active());
        self.access = active.map(|user| user.id.clone()).collect();
        self.access.sort_unstable();
        self.directories.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        self.groups.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        self.users.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        self.memberships
            .sort_unstable_by(|a, b| (&a.group_id, &a.user_id).cmp(&(&b.group_id, &b.user_id)));
        self
    }
}

/// Shows numbers only.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("directories", &self.directories.len())
            .field("groups", &self.groups.len())
            .field("users", &self.users.len())
            .field("memberships", &self.memberships.len())
            .field("access", &self.access.len())
            .finish()
    }
}

/// A list of a [`Snapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Section {
    /// Who has access.
    Access,
    /// The directories.
    Directories,
    /// The groups.
    Groups,
    /// Who is in which group.
    Memberships,
    /// The users.
    Users,
}

impl Section {
    /// All of them, the most telling first.
    pub const ALL: [Self; 5] =
        [Self::Access, Self::Directories, Self::Users, Self::Groups, Self::Memberships];

    /// The list's name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Directories => "directories",
            Self::Groups => "groups",
            Self::Memberships => "memberships",
            Self::Users => "users",
        }
    }

    fn by_key(self, list: &Value) -> Option<BTreeMap<String, Map<String, Value>>> {
        list.as_array()?.iter().map(|entry| self.keyed(entry)).collect()
    }

    fn keyed(self, entry: &Value) -> Option<(String, Map<String, Value>)> {
        let text = |key| entry.get(key).and_then(Value::as_str);
        let key = match self {
            Self::Access => entry.as_str().or_else(|| text("id"))?.to_owned(),
            Self::Memberships => format!("{} in {}", text("user_id")?, text("group_id")?),
            Self::Directories | Self::Groups | Self::Users => text("id")?.to_owned(),
        };
        let fields = match self {
            Self::Access => Map::new(),
            _ => entry.as_object().cloned().unwrap_or_default(),
        };
        Some((key, fields))
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a held state differs from what it should be; from [`Snapshot::compare`].
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// The lists that were compared.
    pub compared: Vec<Section>,
    /// The lists that the held state does not have.
    pub left_out: Vec<Section>,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// One thing that is not as it should be. `Display` is a line about it, with the values.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Difference {
    /// A field has another value.
    Field {
        /// The list.
        section: Section,
        /// The object's id.
        key: String,
        /// The field.
        field: String,
        /// What it should be.
        expected: Value,
        /// What it is.
        held: Value,
    },
    /// It should be there.
    Missing {
        /// The list.
        section: Section,
        /// The object's id.
        key: String,
    },
    /// It should not be there.
    Unexpected {
        /// The list.
        section: Section,
        /// The object's id.
        key: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field { section, key, field, expected, held } => {
                write!(f, "{section}: {key}: `{field}` is {held}, and should be {expected}")
            }
            Self::Missing { section: Section::Access, key } => {
                write!(f, "access: {key} is shut out, and should have access")
            }
            Self::Missing { section, key } => write!(f, "{section}: {key} is missing"),
            Self::Unexpected { section: Section::Access, key } => {
                write!(f, "access: {key} has access, and should NOT")
            }
            Self::Unexpected { section, key } => {
                write!(f, "{section}: {key} is there, and should not be")
            }
        }
    }
}

/// Without the values.
impl fmt::Debug for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, section, key, field) = match self {
            Self::Field { section, key, field, .. } => ("Field", section, key, Some(field)),
            Self::Missing { section, key } => ("Missing", section, key, None),
            Self::Unexpected { section, key } => ("Unexpected", section, key, None),
        };
        let mut debug = f.debug_struct(kind);
        debug.field("section", section).field("key", key);
        if let Some(field) = field {
            debug.field("field", field);
        }
        debug.finish_non_exhaustive()
    }
}

/// A held state that can't be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ComparisonError {
    /// It is no JSON object.
    NotAnObject,
    /// It has none of the lists.
    NothingToCompare,
    /// A list is none, or something in it has no id.
    Shape(Section),
}

impl fmt::Display for ComparisonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject => f.write_str("the application's state is not a JSON object"),
            Self::NothingToCompare => f.write_str(
                "the application's state has none of `access`, `directories`, `users`, `groups`, `memberships`",
            ),
            Self::Shape(Section::Access) => {
                f.write_str("`access` is not a list of ids, or of objects with an `id`")
            }
            Self::Shape(Section::Memberships) => f.write_str(
                "`memberships` is not a list of objects with a `user_id` and a `group_id`",
            ),
            Self::Shape(section) => write!(f, "`{section}` is not a list of objects with an `id`"),
        }
    }
}

impl std::error::Error for ComparisonError {}

fn compare_section(
    section: Section,
    expected: BTreeMap<String, Map<String, Value>>,
    mut held: BTreeMap<String, Map<String, Value>>,
    comparison: &mut Comparison,
) {
    for (key, expected) in expected {
        let Some(held) = held.remove(&key) else {
            comparison.differences.push(Difference::Missing { section, key });
            continue;
        };
        for (field, expected) in expected {
            let Some(held) = held.get(&field) else { continue };
            if !same(&expected, held) {
                comparison.differences.push(Difference::Field {
                    section,
                    key: key.clone(),
                    field,
                    expected,
                    held: held.clone(),
                });
            }
        }
    }
    let unexpected = held.into_keys().map(|key| Difference::Unexpected { section, key });
    comparison.differences.extend(unexpected);
}

fn same(expected: &Value, held: &Value) -> bool {
    let time = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    expected == held || time(expected).is_some_and(|expected| time(held) == Some(expected))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn snapshot() -> Snapshot {
        let user = |id: &str, state: &str| UserRecord {
            id: id.to_owned(),
            state: Some(state.to_owned()),
            updated_at: "2026-01-05T09:00:00.500Z".parse().ok(),
            ..UserRecord::default()
        };
        let membership = MembershipRecord { group_id: "g".to_owned(), user_id: "u2".to_owned() };
        Snapshot {
            users: vec![user("u2", "active"), user("u1", "inactive")],
            memberships: vec![membership],
            ..Snapshot::default()
        }
        .finish()
    }

    fn differences(held: Value) -> Vec<String> {
        let comparison = snapshot().compare(&held).unwrap();
        comparison.differences.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn its_own_json_has_no_difference() {
        let held = serde_json::to_value(snapshot()).unwrap();
        let comparison = snapshot().compare(&held).unwrap();
        assert_eq!(comparison.differences, []);
        assert_eq!(comparison.compared, Section::ALL);
        let again: Snapshot = serde_json::from_value(held).unwrap();
        assert_eq!(again, snapshot());
    }

    #[test]
    fn only_what_is_held_is_judged() {
        let comparison = snapshot().compare(&json!({"access": ["u2"], "groups": null})).unwrap();
        assert_eq!(comparison.differences, []);
        assert_eq!(comparison.compared, [Section::Access]);
        assert_eq!(comparison.left_out.len(), 4);
        let users = json!([
            {"id": "u1", "email": null, "extra": 1},
            {"id": "u2", "updated_at": "2026-01-05T10:00:00.5+01:00"},
        ]);
        assert_eq!(differences(json!({ "users": users })), [""; 0]);
    }

    #[test]
    fn what_differs_is_said() {
        assert_eq!(
            differences(json!({
                "access": [{"id": "u1"}],
                "users": [{"id": "u1", "state": "active"}, {"id": "u3"}],
                "memberships": [{"user_id": "u1", "group_id": "g"}],
            })),
            [
                "access: u2 is shut out, and should have access",
                "access: u1 has access, and should NOT",
                r#"users: u1: `state` is "active", and should be "inactive""#,
                "users: u2 is missing",
                "users: u3 is there, and should not be",
                "memberships: u2 in g is missing",
                "memberships: u1 in g is there, and should not be",
            ]
        );
    }

    #[test]
    fn other_shapes_are_errors() {
        let compare = |held: Value| snapshot().compare(&held).unwrap_err();
        assert_eq!(compare(json!([])), ComparisonError::NotAnObject);
        assert_eq!(compare(json!({"user": []})), ComparisonError::NothingToCompare);
        assert_eq!(compare(json!({"users": {}})), ComparisonError::Shape(Section::Users));
        assert_eq!(compare(json!({"users": [{}]})), ComparisonError::Shape(Section::Users));
        assert_eq!(compare(json!({"access": [7]})), ComparisonError::Shape(Section::Access));
        assert_eq!(
            compare(json!({"memberships": [{"user_id": "u"}]})),
            ComparisonError::Shape(Section::Memberships)
        );
    }

    #[test]
    fn debug_shows_nobody() {
        let difference = Difference::Field {
            section: Section::Users,
            key: "u".into(),
            field: "email".into(),
            expected: json!("canary"),
            held: json!("canary"),
        };
        let user = UserRecord { email: Some("canary".into()), ..UserRecord::default() };
        assert!(!format!("{difference:?} {user:?} {:?}", snapshot()).contains("canary"));
    }
}
