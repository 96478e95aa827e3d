//! Events with few fields. Times are seconds of one hour.

use serde_json::{Value, json};
use tower_workos::DirectoryEvent;

pub(crate) fn time(second: u32) -> Value {
    json!(format!("2026-02-03T09:{:02}:{:02}Z", second / 60, second % 60))
}

/// An event whose id is `event_` and these characters.
pub(crate) fn event(id: &str, name: &str, second: u32, data: &Value) -> DirectoryEvent {
    let (id, name) = (format!("event_{id}"), format!("dsync.{name}"));
    let body = json!({"id": id, "event": name, "created_at": time(second), "data": data});
    DirectoryEvent::parse(body.to_string().into()).unwrap()
}

pub(crate) fn directory_data(id: &str, state: &str, second: u32) -> Value {
    json!({
        "id": id, "name": format!("Name of {id}"), "state": state, "type": "okta scim v2.0",
        "organization_id": "org_1", "updated_at": time(second),
    })
}

pub(crate) fn directory(id: &str) -> DirectoryEvent {
    event(&format!("of_{id}"), "activated", 0, &directory_data(id, "active", 0))
}

pub(crate) fn user_data(id: &str, state: &str, second: u32) -> Value {
    json!({
        "id": id, "directory_id": "d", "email": format!("{id}@example.com"), "first_name": "Ada", "last_name": "Quint",
        "state": state, "updated_at": time(second),
    })
}

/// The user becomes known with this state.
pub(crate) fn user(id: &str, state: &str) -> DirectoryEvent {
    event(&format!("of_{id}"), "user.created", 1, &user_data(id, state, 1))
}

/// Two changes: a user is created and has access.
pub(crate) fn joined(number: usize) -> DirectoryEvent {
    user(&format!("user_{number:05}"), "active")
}

pub(crate) fn group_data(id: &str) -> Value {
    json!({"id": id, "directory_id": "d", "name": format!("Name of {id}"), "updated_at": time(0)})
}

pub(crate) fn group(id: &str) -> DirectoryEvent {
    event(&format!("of_{id}"), "group.created", 0, &group_data(id))
}

pub(crate) fn member(
    id: &str,
    user: &str,
    group: &str,
    second: u32,
    joins: bool,
) -> DirectoryEvent {
    let name = if joins { "group.user_added" } else { "group.user_removed" };
    let data = json!({"user": {"id": user}, "group": group_data(group)});
    event(id, name, second, &data)
}
