//! The rules, each with the smallest example that fails without it.

mod changes;
mod events;
mod fold;
mod history;
mod laws;
mod lists;
mod world;

use serde_json::{Value, json};
use tower_workos::DirectoryEvent;

use world::World;

fn at(second: u8) -> Value {
    json!(format!("2026-01-05T09:00:{second:02}Z"))
}

/// The time `at(second)` as the tables store it.
fn micros(second: u8) -> i64 {
    crate::text::micros(at(second).as_str().and_then(|text| text.parse().ok()).expect("a time"))
}

/// An event whose id is `event_` and these characters.
fn event(id: &str, name: &str, second: u8, data: &Value) -> DirectoryEvent {
    let body = json!({"id": format!("event_{id}"), "event": format!("dsync.{name}"), "created_at": at(second), "data": data});
    DirectoryEvent::parse(body.to_string().into()).expect("a genuine event")
}

/// An event whose time is unknown.
fn undated(id: &str, name: &str, data: &Value) -> DirectoryEvent {
    let body = json!({"id": format!("event_{id}"), "event": format!("dsync.{name}"), "data": data});
    DirectoryEvent::parse(body.to_string().into()).expect("a genuine event")
}

fn user(state: &Value, updated_at: &Value) -> Value {
    json!({"id": "u", "directory_id": "d", "email": "u@example.com", "state": state, "updated_at": updated_at})
}

fn active(updated_at: u8) -> Value {
    user(&json!("active"), &at(updated_at))
}

fn inactive(updated_at: u8) -> Value {
    user(&json!("inactive"), &at(updated_at))
}

fn group(name: &str, updated_at: u8) -> Value {
    json!({"id": "g", "directory_id": "d", "name": name, "updated_at": at(updated_at)})
}

fn both(user: &Value, group: &Value) -> Value {
    json!({"directory_id": "d", "user": user, "group": group})
}

/// The world after these events, which shows the same for every order, with repetitions, and in one batch. The fold of
/// the changes shows it too.
#[track_caller]
fn after(events: &[&DirectoryEvent]) -> World {
    let first = World::after(events.iter().copied());
    for order in orders(events.len()) {
        let order: Vec<_> = order.iter().filter_map(|&place| events.get(place).copied()).collect();
        let twice = World::after(order.iter().chain(order.iter().rev()).copied());
        let mut at_once = World::default();
        at_once.apply(&order.into_iter().cloned().collect::<Vec<_>>());
        for world in [twice, at_once] {
            assert_eq!(world.views(), first.views(), "the views depend on the order");
            assert!(world.documents() == first.documents(), "the fields depend on the order");
            assert_eq!(world.fold.views(), first.views(), "the changes are not what happened");
        }
    }
    first
}

/// All permutations of the numbers below `count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else { return vec![Vec::new()] };
    let insert = |order: &[usize], place| {
        let mut order = order.to_vec();
        order.insert(place, last);
        order
    };
    let shorter = orders(last);
    let places = (0..count).flat_map(|place| shorter.iter().map(move |order| (place, order)));
    places.map(|(place, order)| insert(order, place)).collect()
}

#[track_caller]
fn assert_access(events: &[&DirectoryEvent], has_access: bool) {
    assert_eq!(after(events).views().access.contains("u"), has_access);
}
