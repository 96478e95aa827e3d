//! The access change of each event.

use serde_json::{Value, json};
use tower_workos::{AccessChange, DirectoryEvent, testing::sample};

use super::{event, parse};

#[test]
fn every_event_has_the_right_access_change() {
    fn of(event: &DirectoryEvent) -> String {
        match event.access_change() {
            None => "none".into(),
            Some(AccessChange::Granted(user)) => format!("granted {}", user.id),
            Some(AccessChange::Changed(user)) => format!("changed {}", user.id),
            Some(AccessChange::Revoked(user)) => format!("revoked {}", user.id),
            Some(AccessChange::MembershipAdded { user, group, .. }) => {
                format!("added {} to {}", user.id, group.id)
            }
            Some(AccessChange::MembershipRemoved { user, group, .. }) => {
                format!("removed {} from {}", user.id, group.id)
            }
            Some(AccessChange::GroupChanged(group)) => format!("group changed {}", group.id),
            Some(AccessChange::GroupRevoked(group)) => format!("group revoked {}", group.id),
            Some(AccessChange::DirectoryRevoked(directory)) => {
                format!("directory revoked {}", directory.id)
            }
            Some(other) => panic!("{other:?}"),
        }
    }
    let user = |state: Value, previous: Value| json!({"id": "u", "state": state, "previous_attributes": previous});
    let stateless = |previous: Value| json!({"id": "u", "previous_attributes": previous});
    let member = |state: Value| json!({"user": {"id": "u", "state": state}, "group": {"id": "g"}});
    let active = || json!("active");
    for (name, data, expected) in [
        ("dsync.activated", json!({"id": "d"}), "none"),
        ("dsync.activated", json!({"id": "d", "state": "inactive"}), "none"),
        ("dsync.deleted", json!({"id": "d", "state": "active"}), "directory revoked d"),
        ("dsync.group.created", json!({"id": "g"}), "none"),
        ("dsync.group.updated", json!({"id": "g"}), "group changed g"),
        ("dsync.group.deleted", json!({"id": "g"}), "group revoked g"),
        ("dsync.group.user_added", member(active()), "added u to g"),
        ("dsync.group.user_added", member(Value::Null), "added u to g"),
        (
            "dsync.group.user_added",
            json!({"user": {"id": "u"}, "group": {"id": "g"}}),
            "added u to g",
        ),
        ("dsync.group.user_added", member(json!("inactive")), "revoked u"),
        ("dsync.group.user_added", member(json!("suspended")), "revoked u"),
        ("dsync.group.user_added", member(json!("unheard_of")), "revoked u"),
        // Unreadable, which is different from absent.
        ("dsync.group.user_added", member(json!(7)), "revoked u"),
        ("dsync.group.user_removed", member(json!(7)), "removed u from g"),
        ("dsync.user.created", user(json!(7), Value::Null), "revoked u"),
        ("dsync.user.updated", user(json!(7), json!({"state": "active"})), "revoked u"),
        ("dsync.group.user_removed", member(active()), "removed u from g"),
        ("dsync.group.user_removed", member(Value::Null), "removed u from g"),
        ("dsync.group.user_removed", member(json!("inactive")), "removed u from g"),
        ("dsync.group.user_removed", member(json!("suspended")), "removed u from g"),
        ("dsync.group.user_removed", member(json!("unheard_of")), "removed u from g"),
        ("dsync.token.created", json!({"id": "t"}), "none"),
        ("dsync.token.revoked", json!({"id": "t"}), "none"),
        ("dsync.user.created", user(active(), Value::Null), "granted u"),
        ("dsync.user.created", user(Value::Null, Value::Null), "revoked u"),
        ("dsync.user.created", stateless(Value::Null), "revoked u"),
        ("dsync.user.created", user(json!("inactive"), Value::Null), "revoked u"),
        ("dsync.user.created", user(json!("suspended"), Value::Null), "revoked u"),
        ("dsync.user.created", user(json!("unheard_of"), Value::Null), "revoked u"),
        ("dsync.user.created", user(json!("Active"), Value::Null), "revoked u"),
        ("dsync.user.deleted", user(active(), Value::Null), "revoked u"),
        ("dsync.user.deleted", user(json!("inactive"), Value::Null), "revoked u"),
        ("dsync.user.deleted", user(Value::Null, Value::Null), "revoked u"),
        ("dsync.user.updated", user(active(), json!({"email": "x"})), "changed u"),
        ("dsync.user.updated", user(active(), Value::Null), "changed u"),
        ("dsync.user.updated", user(json!("inactive"), json!({"state": "active"})), "revoked u"),
        ("dsync.user.updated", user(json!("inactive"), json!({})), "revoked u"),
        ("dsync.user.updated", user(json!("suspended"), json!({"state": "active"})), "revoked u"),
        ("dsync.user.updated", user(json!("inactive"), json!({"state": "suspended"})), "revoked u"),
        ("dsync.user.updated", user(active(), json!({"state": "inactive"})), "granted u"),
        ("dsync.user.updated", user(active(), json!({"state": "suspended"})), "granted u"),
        ("dsync.user.updated", user(active(), json!({"state": null})), "granted u"),
        ("dsync.user.updated", user(active(), json!({"state": "active"})), "changed u"),
        // The state has disappeared, whether or not the change is listed.
        ("dsync.user.updated", user(Value::Null, json!({"state": "active"})), "revoked u"),
        ("dsync.user.updated", stateless(json!({"state": "active"})), "revoked u"),
        ("dsync.user.updated", user(Value::Null, json!({"state": "inactive"})), "revoked u"),
        ("dsync.user.updated", stateless(json!({"state": "inactive"})), "revoked u"),
        ("dsync.user.updated", stateless(json!({"state": null})), "revoked u"),
        ("dsync.user.updated", stateless(json!({"email": "x"})), "revoked u"),
        ("dsync.user.updated", stateless(Value::Null), "revoked u"),
    ] {
        assert_eq!(of(&event(name, data.clone())), expected, "{name} {data}");
    }
    assert!(matches!(
        parse(sample::USER_DEACTIVATED).unwrap().access_change(),
        Some(AccessChange::Revoked(_))
    ));
}
