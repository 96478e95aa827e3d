//! The mirror in its databases.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

#[path = "../databases/mod.rs"]
mod databases;
#[path = "../../src/rules/tests/fold.rs"]
mod fold;
#[path = "../../src/rules/tests/history.rs"]
mod history;

mod histories;
mod hostile;
mod migrate;
mod rules;
mod shown;
mod transactions;
mod upgrade;

use serde_json::{Value, json};
use tower_workos::DirectoryEvent;

fn at(second: u8) -> Value {
    json!(format!("2026-01-05T09:00:{second:02}Z"))
}

fn parse(body: &Value) -> DirectoryEvent {
    DirectoryEvent::parse(body.to_string().into()).unwrap()
}

/// An event whose id is `event_` and these characters.
fn event(id: &str, name: &str, second: u8, data: &Value) -> DirectoryEvent {
    parse(
        &json!({"id": format!("event_{id}"), "event": format!("dsync.{name}"), "created_at": at(second), "data": data}),
    )
}

fn user(id: &str, state: &str, updated_at: u8) -> Value {
    json!({"id": id, "directory_id": "d", "email": format!("{id}@example.com"), "state": state, "updated_at": at(updated_at)})
}

fn group(id: &str, updated_at: u8) -> Value {
    json!({"id": id, "directory_id": "d", "name": id, "updated_at": at(updated_at)})
}

fn both(user: &Value, group: &Value) -> Value {
    json!({"directory_id": "d", "user": user, "group": group})
}
