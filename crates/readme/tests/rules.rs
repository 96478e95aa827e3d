//! Applies events that the simulated directory never sends, in every order: equal times, missing times, unknown states
//! and unknown ids.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::{Value, json};
use tower_workos::DirectoryEvent;

#[allow(
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    clippy::must_use_candidate,
    reason = "a sample"
)]
mod table {
    include!(concat!(env!("OUT_DIR"), "/table.rs"));
}

const README: &str = include_str!("../../../README.md");

fn user(name: &str, state: Value, updated_at: Value) -> Value {
    let data = json!({"id": "u", "directory_id": "d", "state": state, "updated_at": updated_at});
    json!({"event": format!("dsync.user.{name}"), "data": data})
}

fn membership(name: &str, state: &str) -> Value {
    let user = json!({"id": "u", "directory_id": "d", "state": state, "updated_at": at(9)});
    json!({"event": format!("dsync.group.user_{name}"), "data": {"user": user, "group": {"id": "g"}}})
}

fn at(second: u8) -> Value {
    json!(format!("2026-01-15T12:00:0{second}.000Z"))
}

/// Whether the user has access and whether it is a member after these events, each with the second at which it happened.
/// Applies each event twice, in every order.
#[track_caller]
fn after(events: &[(u8, Value)]) -> (bool, bool) {
    let events: Vec<_> = events
        .iter()
        .zip(1..)
        .map(|((second, event), number)| {
            let mut event = event.clone();
            let envelope = event.as_object_mut().unwrap();
            envelope.insert("id".into(), json!(format!("event_{number}")));
            envelope.insert("created_at".into(), at(*second));
            DirectoryEvent::parse(event.to_string().into()).unwrap()
        })
        .collect();
    let mut outcomes = Vec::new();
    for order in orders(events.len()) {
        let mut table = table::Users::default();
        for &place in order.iter().chain(order.iter().rev()) {
            table.apply(events.get(place).unwrap());
        }
        let (user, group) = ("u".into(), "g".into());
        outcomes.push((table.has_access(&user), table.is_member(&group, &user)));
    }
    let first = *outcomes.first().unwrap();
    assert!(
        outcomes.iter().all(|outcome| *outcome == first),
        "the outcome depends on the order: {outcomes:?}"
    );
    first
}

/// All permutations of the numbers below `count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else {
        return vec![Vec::new()];
    };
    let mut all = Vec::new();
    for order in orders(last) {
        for place in 0..count {
            let mut order = order.clone();
            order.insert(place, last);
            all.push(order);
        }
    }
    all
}

const NOBODY: (bool, bool) = (false, false);
const ACCESS: (bool, bool) = (true, false);

fn active() -> Value {
    json!("active")
}

#[test]
fn at_equal_times_the_inactive_state_wins() {
    let created = (1, user("created", active(), at(1)));
    for state in [json!("inactive"), json!("suspended"), json!("unheard_of"), Value::Null] {
        // The event's own time is before, at and after that of the grant.
        for second in [0, 1, 2] {
            let updated = (second, user("updated", state.clone(), at(1)));
            assert_eq!(after(&[created.clone(), updated]), NOBODY, "{state} {second}");
        }
        let before = (2, user("updated", state, at(0)));
        assert_eq!(after(&[created.clone(), before]), ACCESS);
    }
}

#[test]
fn a_grant_without_a_time_loses() {
    let undated = (9, user("updated", active(), Value::Null));
    assert_eq!(after(std::slice::from_ref(&undated)), ACCESS);
    let dated = (1, user("updated", json!("inactive"), at(1)));
    assert_eq!(after(&[undated.clone(), dated.clone()]), NOBODY);
    let both = (1, user("updated", json!("inactive"), Value::Null));
    assert_eq!(after(&[undated, both.clone()]), NOBODY);
    // A revocation without a time takes the time of its event.
    assert_eq!(after(&[(1, user("created", active(), at(0))), both.clone()]), NOBODY);
    assert_eq!(after(&[both, (2, user("updated", active(), at(2)))]), ACCESS);
}

#[test]
fn a_deletion_is_final_for_known_and_unknown_ids() {
    let deleted = (1, user("deleted", active(), at(1)));
    assert_eq!(after(std::slice::from_ref(&deleted)), NOBODY);
    let created = (0, user("created", active(), at(0)));
    let later = (5, user("updated", active(), at(5)));
    let added = (6, membership("added", "active"));
    assert_eq!(after(&[deleted, created, later, added]), NOBODY);
}

#[test]
fn a_membership_never_creates_a_user() {
    let added = (1, membership("added", "active"));
    let removed = (2, membership("removed", "active"));
    assert_eq!(after(std::slice::from_ref(&added)), NOBODY);
    assert_eq!(after(std::slice::from_ref(&removed)), NOBODY);
    let created = (0, user("created", active(), at(0)));
    assert_eq!(after(&[created.clone(), added.clone()]), (true, true));
    assert_eq!(after(&[created, added, removed]), ACCESS);
}

#[test]
fn at_equal_times_a_removal_wins() {
    let created = (0, user("created", active(), at(0)));
    let added = (3, membership("added", "active"));
    let removed = (3, membership("removed", "active"));
    assert_eq!(after(&[created.clone(), removed, added.clone()]), ACCESS);
    let before = (2, membership("removed", "active"));
    assert_eq!(after(&[created, added, before]), (true, true));
}

#[test]
fn a_membership_outlives_a_deactivation() {
    let created = (0, user("created", active(), at(0)));
    let added = (1, membership("added", "inactive"));
    let off = (2, user("updated", json!("inactive"), at(2)));
    let on = (4, user("updated", active(), at(4)));
    let removed = (3, membership("removed", "inactive"));
    assert_eq!(after(&[created.clone(), added.clone(), off.clone()]), (false, true));
    assert_eq!(after(&[created.clone(), added.clone(), off.clone(), on.clone()]), (true, true));
    // Removed while inactive: the reactivation must not restore the membership.
    assert_eq!(after(&[created, added, off, on, removed]), ACCESS);
}

#[test]
fn a_deleted_directory_revokes_later_arrivals() {
    let gone = (5, json!({"event": "dsync.deleted", "data": {"id": "d", "state": "active"}}));
    let created = (6, user("created", active(), at(6)));
    let added = (7, membership("added", "active"));
    // This event doesn't name the user's directory.
    let without_directory = json!({"id": "u", "state": "active", "updated_at": at(8)});
    let updated = (8, json!({"event": "dsync.user.updated", "data": without_directory}));
    assert_eq!(after(&[gone, created.clone(), added.clone(), updated]), NOBODY);
    // The deletion of another directory has no effect, and an unknown directory counts as live.
    let other = (5, json!({"event": "dsync.deleted", "data": {"id": "other"}}));
    assert_eq!(after(&[other, created, added]), (true, true));
}

#[test]
fn a_deleted_group_ends_later_memberships() {
    let created = (0, user("created", active(), at(0)));
    let gone = (1, json!({"event": "dsync.group.deleted", "data": {"id": "g"}}));
    let added = (2, membership("added", "active"));
    assert_eq!(after(&[created, gone, added]), ACCESS);
}

/// The code block after a sample's marker.
fn sample(name: &str) -> &'static str {
    let (_, after) =
        README.split_once(&format!("<!-- sample: {name} -->\n```rust\n")).expect("a sample");
    after.split_once("\n```\n").expect("its end").0
}

#[test]
fn the_rustdoc_has_the_same_sample() {
    let docs: String = include_str!("../../../src/lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .flat_map(|line| [line.strip_prefix(' ').unwrap_or(line), "\n"])
        .collect();
    assert!(docs.contains(sample("sessions")));
}
