//! Events with few fields.

use serde_json::{Value, json};
use tower_workos::DirectoryEvent;

/// An event of second `at`.
pub(crate) fn event(name: &str, at: u32, data: Value) -> DirectoryEvent {
    let time = time(at);
    let key = data.get("id").or_else(|| data.pointer("/user/id")).cloned().unwrap_or_default();
    let key = key.as_str().unwrap_or_default();
    let body = json!({
        "id": format!("event_{name}_{at}_{key}"), "event": name, "created_at": time, "data": data,
    });
    DirectoryEvent::parse(body.to_string().into()).unwrap()
}

pub(crate) fn time(at: u32) -> String {
    format!("2026-01-15T{:02}:{:02}:{:02}.123456Z", at / 3600, at / 60 % 60, at % 60)
}

pub(crate) fn directory(id: &str, organization: &str) -> DirectoryEvent {
    directory_in(id, organization, "active", 1)
}

pub(crate) fn directory_in(id: &str, organization: &str, state: &str, at: u32) -> DirectoryEvent {
    let domains = json!([{"id": "org_domain_1", "domain": "example.com"}]);
    let data = json!({
        "object": "directory", "id": id, "organization_id": organization, "name": format!("Name of {id}"), "state": state,
        "type": "okta scim v2.0", "domains": domains, "created_at": time(0), "updated_at": time(at),
    });
    event("dsync.activated", at, data)
}

pub(crate) fn directory_deleted(id: &str, at: u32) -> DirectoryEvent {
    event("dsync.deleted", at, json!({"object": "directory", "id": id, "state": "deleting"}))
}

/// A user with all fields. `email` is also the start of the names.
pub(crate) fn user_data(
    id: &str,
    directory: &str,
    organization: Option<&str>,
    email: &str,
) -> Value {
    json!({
        "object": "directory_user", "id": id, "directory_id": directory, "organization_id": organization,
        "idp_id": format!("idp_{email}"), "email": email, "first_name": format!("{email} first"),
        "last_name": format!("{email} last"), "name": format!("{email} full"), "state": "active",
        "role": {"slug": "admin"}, "roles": [{"slug": "admin"}, {"slug": "member"}],
        "custom_attributes": {"job_title": "Engineer", "department_name": format!("{email} department"), "none": null},
        "created_at": time(0), "updated_at": time(1),
    })
}

pub(crate) fn user(
    id: &str,
    directory: &str,
    organization: Option<&str>,
    email: &str,
) -> DirectoryEvent {
    event("dsync.user.created", 1, user_data(id, directory, organization, email))
}

/// The user's latest version is not active.
pub(crate) fn user_inactive(
    id: &str,
    directory: &str,
    organization: Option<&str>,
    email: &str,
) -> DirectoryEvent {
    let mut data = user_data(id, directory, organization, email);
    data["state"] = json!("inactive");
    data["updated_at"] = json!(time(5));
    event("dsync.user.updated", 5, data)
}

pub(crate) fn user_deleted(id: &str, directory: &str, at: u32) -> DirectoryEvent {
    let data = json!({"object": "directory_user", "id": id, "directory_id": directory, "state": "inactive"});
    event("dsync.user.deleted", at, data)
}

pub(crate) fn group_data(id: &str, directory: &str, organization: Option<&str>) -> Value {
    json!({
        "object": "directory_group", "id": id, "directory_id": directory, "organization_id": organization,
        "idp_id": format!("idp_{id}"), "name": format!("Name of {id}"), "raw_attributes": {"size": 3},
        "created_at": time(0), "updated_at": time(1),
    })
}

pub(crate) fn group(id: &str, directory: &str, organization: Option<&str>) -> DirectoryEvent {
    event("dsync.group.created", 1, group_data(id, directory, organization))
}

pub(crate) fn group_deleted(id: &str, directory: &str, at: u32) -> DirectoryEvent {
    let data = json!({"object": "directory_group", "id": id, "directory_id": directory});
    event("dsync.group.deleted", at, data)
}

pub(crate) fn member(
    group: &str,
    user: &str,
    directory: &str,
    at: u32,
    joins: bool,
) -> DirectoryEvent {
    let name = if joins { "dsync.group.user_added" } else { "dsync.group.user_removed" };
    let data = json!({
        "directory_id": directory,
        "user": {"id": user, "directory_id": directory},
        "group": {"id": group, "directory_id": directory},
    });
    event(name, at, data)
}
