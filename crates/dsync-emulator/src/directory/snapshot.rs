//! The state at one time as JSON, and its comparison with the state of an application.

use std::{collections::HashMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};
use tower_workos::Timestamp;

use super::{
    difference::{Comparison, ComparisonError, Difference},
    record::{DirectoryRecord, GroupRecord, MembershipRecord, UserRecord},
    section::Section,
};

/// The state at one time. Each list is sorted by id, so that equal states have equal JSON.
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
    /// The memberships of users in groups.
    #[serde(default)]
    pub memberships: Vec<MembershipRecord>,
    /// The ids of the users who have access.
    #[serde(default)]
    pub access: Vec<String>,
}

impl Snapshot {
    /// Compares this state with the state that an application reports.
    ///
    /// `held` is JSON: an object whose lists are named like this type's fields. Only what it contains is compared: a
    /// missing list is skipped, and so is a missing field of an object. `access` is a list of ids or of objects with an
    /// `id`. Times are compared as times. `null` counts as missing.
    ///
    /// # Errors
    ///
    /// Returns a [`ComparisonError`] if `held` has another shape or contains none of the lists.
    pub fn compare(&self, held: &[u8]) -> Result<Comparison, ComparisonError> {
        // serde also deserializes a struct from a list.
        let is_object = held.trim_ascii_start().starts_with(b"{");
        let held: Held<'_> = serde_json::from_slice(held)
            .ok()
            .filter(|_| is_object)
            .ok_or(ComparisonError::NotAnObject)?;
        let mut comparison = Comparison::default();
        for section in Section::ALL {
            let Some(held) = held.section(section) else {
                comparison.left_out.push(section);
                continue;
            };
            let held = by_key(section, held).ok_or(ComparisonError::Shape(section))?;
            self.compare_section(section, held, &mut comparison.differences);
            comparison.compared.push(section);
        }
        if comparison.compared.is_empty() {
            return Err(ComparisonError::NothingToCompare);
        }
        Ok(comparison)
    }

    fn compare_section(
        &self,
        section: Section,
        mut held: HeldRecords<'_>,
        differences: &mut Vec<Difference>,
    ) {
        let mut one = |key: String, record: Option<Map<String, Value>>| {
            let Some(held) = held.remove(&key) else {
                differences.push(Difference::Missing { section, key });
                return;
            };
            // Only an object has an id.
            let held: Map<String, Value> = serde_json::from_str(held.get()).unwrap_or_default();
            for (field, expected) in record.unwrap_or_default() {
                let Some(held) = held.get(&field) else { continue };
                if !same(&expected, held) {
                    let (key, held) = (key.clone(), held.clone());
                    differences.push(Difference::Field { section, key, field, expected, held });
                }
            }
        };
        match section {
            Section::Access => self.access.iter().for_each(|id| one(id.clone(), None)),
            Section::Directories => {
                self.directories.iter().for_each(|it| one(it.id.clone(), fields(it)));
            }
            Section::Users => self.users.iter().for_each(|it| one(it.id.clone(), fields(it))),
            Section::Groups => self.groups.iter().for_each(|it| one(it.id.clone(), fields(it))),
            Section::Memberships => {
                let key = |it: &MembershipRecord| membership(&it.user_id, &it.group_id);
                self.memberships.iter().for_each(|it| one(key(it), None));
            }
        }
        let mut unexpected: Vec<_> = held.into_keys().collect();
        unexpected.sort_unstable();
        let unexpected = unexpected.into_iter();
        differences.extend(unexpected.map(|key| Difference::Unexpected { section, key }));
    }

    pub(crate) fn sorted(mut self) -> Self {
        self.access.sort_unstable();
        self.directories.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        self.groups.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        self.users.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        self.memberships
            .sort_unstable_by(|a, b| (&a.group_id, &a.user_id).cmp(&(&b.group_id, &b.user_id)));
        self
    }
}

/// Shows counts only.
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

/// An application's state. The lists remain text: there may be many records, so they are parsed one at a time.
#[derive(Deserialize)]
struct Held<'a> {
    #[serde(borrow, default)]
    access: Option<&'a RawValue>,
    #[serde(borrow, default)]
    directories: Option<&'a RawValue>,
    #[serde(borrow, default)]
    groups: Option<&'a RawValue>,
    #[serde(borrow, default)]
    memberships: Option<&'a RawValue>,
    #[serde(borrow, default)]
    users: Option<&'a RawValue>,
}

/// The records of a list by key.
type HeldRecords<'a> = HashMap<String, &'a RawValue>;

#[derive(Deserialize)]
struct ById {
    id: String,
}

impl<'a> Held<'a> {
    fn section(&self, section: Section) -> Option<&'a RawValue> {
        match section {
            Section::Access => self.access,
            Section::Directories => self.directories,
            Section::Groups => self.groups,
            Section::Memberships => self.memberships,
            Section::Users => self.users,
        }
    }
}

/// Indexes a list by key. `None` if it is not a list, or if an item has no key.
fn by_key(section: Section, list: &RawValue) -> Option<HeldRecords<'_>> {
    let list: Vec<&RawValue> = serde_json::from_str(list.get()).ok()?;
    list.into_iter().map(|record| Some((key(section, record)?, record))).collect()
}

fn key(section: Section, record: &RawValue) -> Option<String> {
    let text = record.get();
    if !text.starts_with('{') {
        return if section == Section::Access { serde_json::from_str(text).ok() } else { None };
    }
    match section {
        Section::Memberships => {
            let MembershipRecord { user_id, group_id } = serde_json::from_str(text).ok()?;
            Some(membership(&user_id, &group_id))
        }
        Section::Access | Section::Directories | Section::Groups | Section::Users => {
            serde_json::from_str(text).ok().map(|ById { id }| id)
        }
    }
}

fn membership(user: &str, group: &str) -> String {
    format!("{user} in {group}")
}

fn fields(record: &impl Serialize) -> Option<Map<String, Value>> {
    // A record serializes as an object.
    match serde_json::to_value(record) {
        Ok(Value::Object(fields)) => Some(fields),
        _ => None,
    }
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
            access: vec!["u2".to_owned()],
            ..Snapshot::default()
        }
        .sorted()
    }

    fn differences(held: Value) -> Vec<String> {
        let comparison = snapshot().compare(held.to_string().as_bytes()).unwrap();
        comparison.differences.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn its_own_json_has_no_differences() {
        let held = serde_json::to_value(snapshot()).unwrap();
        let comparison = snapshot().compare(held.to_string().as_bytes()).unwrap();
        assert_eq!(comparison.differences, []);
        assert_eq!(comparison.compared, Section::ALL);
        let again: Snapshot = serde_json::from_value(held).unwrap();
        assert_eq!(again, snapshot());
    }

    #[test]
    fn only_what_is_reported_is_compared() {
        let comparison = snapshot().compare(br#"{"access": ["u2"], "groups": null}"#).unwrap();
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
    fn differences_are_described() {
        assert_eq!(
            differences(json!({
                "access": [{"id": "u1"}],
                "users": [{"id": "u1", "state": "active"}, {"id": "u3"}],
                "memberships": [{"user_id": "u1", "group_id": "g"}],
            })),
            [
                "access: u2 should have access, but does not",
                "access: u1 should NOT have access, but does",
                r#"users: u1: `state` should be "inactive", but is "active""#,
                "users: u2 is missing",
                "users: u3 should not exist",
                "memberships: u2 in g is missing",
                "memberships: u1 in g should not exist",
            ]
        );
    }

    #[test]
    fn other_shapes_are_errors() {
        let compare = |held: Value| snapshot().compare(held.to_string().as_bytes()).unwrap_err();
        assert_eq!(compare(json!([])), ComparisonError::NotAnObject);
        assert_eq!(compare(json!({"user": []})), ComparisonError::NothingToCompare);
        assert_eq!(compare(json!({"users": {}})), ComparisonError::Shape(Section::Users));
        assert_eq!(compare(json!({"users": [["u"]]})), ComparisonError::Shape(Section::Users));
        assert_eq!(compare(json!({"users": [{}]})), ComparisonError::Shape(Section::Users));
        assert_eq!(compare(json!({"access": [7]})), ComparisonError::Shape(Section::Access));
        assert_eq!(
            compare(json!({"memberships": [{"user_id": "u"}]})),
            ComparisonError::Shape(Section::Memberships)
        );
    }

    #[test]
    fn debug_shows_no_personal_data() {
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
