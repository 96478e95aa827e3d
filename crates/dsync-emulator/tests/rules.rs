//! The rules of the state, one test for each. Every history is applied in every order.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use dsync_emulator::directory::{Snapshot, State};
use serde_json::{Value, json};
use tower_workos::DirectoryEvent;

fn at(second: u8) -> Value {
    json!(format!("2026-01-05T09:00:{second:02}.000Z"))
}

/// An event whose id is `event_` and these characters.
fn event(id: &str, name: &str, second: u8, data: &Value) -> DirectoryEvent {
    let body = json!({"id": format!("event_{id}"), "event": format!("dsync.{name}"), "created_at": at(second), "data": data});
    DirectoryEvent::parse(body.to_string().into()).unwrap()
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

/// A user and a group of which an event contains only the ids.
fn bare() -> Value {
    both(&json!({"id": "u"}), &json!({"id": "g"}))
}

fn apply<'a>(events: impl IntoIterator<Item = &'a DirectoryEvent>) -> Snapshot {
    let mut state = State::default();
    events.into_iter().for_each(|event| state.apply(event));
    state.snapshot()
}

/// The state after these events, which must be the same for every order and with repetitions.
#[track_caller]
fn after(events: &[&DirectoryEvent]) -> Snapshot {
    let first = apply(events.iter().copied());
    for order in orders(events.len()) {
        let order = order.iter().chain(order.iter().rev());
        let events = order.map(|&place| *events.get(place).unwrap());
        assert!(apply(events) == first, "the state depends on the order");
    }
    first
}

/// All permutations of the numbers below `count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else { return vec![Vec::new()] };
    let insert = |order: Vec<usize>, place| {
        let mut order = order;
        order.insert(place, last);
        order
    };
    let shorter = orders(last);
    (0..count)
        .flat_map(|place| shorter.iter().map(move |order| insert(order.clone(), place)))
        .collect()
}

#[track_caller]
fn assert_access(events: &[&DirectoryEvent], has_access: bool) {
    let expected: &[&str] = if has_access { &["u"] } else { &[] };
    assert_eq!(after(events).access, expected);
}

fn is_empty(snapshot: &Snapshot) -> bool {
    *snapshot == Snapshot::default()
}

#[test]
fn at_an_equal_updated_at_the_later_event_counts() {
    let left = event("1", "user.updated", 3, &inactive(1));
    let returned = event("2", "user.updated", 4, &active(1));
    assert_access(&[&left, &returned], true);
    let earlier = event("2", "user.updated", 2, &active(1));
    assert_access(&[&left, &earlier], false);
    // `updated_at` is compared first.
    let newer = event("3", "user.updated", 1, &active(2));
    assert_access(&[&left, &newer], true);
}

#[test]
fn at_equal_times_not_active_counts() {
    for state in [json!("inactive"), json!("suspended"), json!("unheard_of"), json!(7), Value::Null]
    {
        let left = user(&state, &at(1));
        let hired = |id| event(id, "user.created", 3, &active(1));
        let left = event("5", "user.updated", 3, &left);
        assert_access(&[&hired("4"), &left], false);
        assert_access(&[&hired("6"), &left], false);
    }
}

#[test]
fn at_equal_times_and_flags_the_greater_event_id_counts() {
    let named = |id, name| event(id, "group.updated", 3, &group(name, 1));
    let (nine, ten) = (named("9", "nine"), named("10", "ten"));
    let groups = after(&[&nine, &ten]).groups;
    // Ids are compared as text.
    assert_eq!(groups.first().unwrap().name.as_deref(), Some("nine"));
}

#[test]
fn an_active_version_without_a_time_loses() {
    let undated = event("9", "user.updated", 59, &user(&json!("active"), &Value::Null));
    assert_access(&[&undated], true);
    for dated in [inactive(1), user(&json!("inactive"), &json!("0001-01-01T00:00:00Z"))] {
        assert_access(&[&undated, &event("1", "user.updated", 1, &dated)], false);
    }
    let also_undated = event("1", "user.updated", 0, &user(&Value::Null, &Value::Null));
    assert_access(&[&undated, &also_undated], false);
    // The lowest time, of a revocation whose time is unknown, still wins against none.
    let body = r#"{"id":"event_1","event":"dsync.user.updated","data":{"id":"u"}}"#;
    let unknown = DirectoryEvent::parse(body.into()).unwrap();
    assert_access(&[&undated, &unknown], false);
    // A group is always active.
    let undated = json!({"id": "g", "name": "undated"});
    let undated = event("9", "group.updated", 59, &undated);
    let dated = event("1", "group.created", 1, &group("dated", 1));
    assert_eq!(after(&[&undated, &dated]).groups.first().unwrap().name.as_deref(), Some("dated"));
}

#[test]
fn a_version_that_is_not_active_takes_the_time_of_its_event() {
    let undated = event("1", "user.updated", 5, &user(&json!("inactive"), &Value::Null));
    assert_access(&[&undated, &event("2", "user.updated", 9, &active(4))], false);
    assert_access(&[&undated, &event("2", "user.updated", 1, &active(6))], true);
    // Without `created_at`, the time in the id: 2026-01-05T09:00:05Z and 2016.
    for (id, has_access) in
        [("01KE6P53G80000000000000000", false), ("01ARZ3NDEK0000000000000000", true)]
    {
        let body = format!(
            r#"{{"id":"event_{id}","event":"dsync.user.updated","data":{{"id":"u","state":"inactive"}}}}"#
        );
        let revoked = DirectoryEvent::parse(body.into()).unwrap();
        assert_access(&[&revoked, &event("2", "user.updated", 1, &active(4))], has_access);
    }
}

#[test]
fn a_removal_never_creates() {
    let removed = event("1", "group.user_removed", 5, &both(&active(4), &group("new", 4)));
    assert!(is_empty(&after(&[&removed])));
    let deleted = event("2", "user.deleted", 5, &active(4));
    let ended = event("3", "group.deleted", 5, &group("new", 4));
    let gone = event("4", "deleted", 5, &json!({"id": "d", "state": "active"}));
    assert!(is_empty(&after(&[&deleted, &ended, &gone])));
}

#[test]
fn the_version_in_a_removal_counts_once_evidence_arrives() {
    let removed = event("1", "group.user_removed", 5, &both(&inactive(4), &group("new", 4)));
    let hired = event("2", "user.created", 1, &active(1));
    let created = event("3", "group.created", 1, &group("old", 1));
    let snapshot = after(&[&removed, &hired, &created]);
    assert_eq!(snapshot.access, [""; 0]);
    assert_eq!(snapshot.groups.first().unwrap().name.as_deref(), Some("new"));
    let returned = event("1", "group.user_removed", 5, &both(&active(4), &group("new", 4)));
    let left = event("2", "user.updated", 1, &inactive(1));
    assert_access(&[&returned, &left], true);
}

#[test]
fn evidence_without_a_version_is_an_id_and_a_directory() {
    // Neither is a version: the time is absent.
    let user = json!({"id": "u", "state": "active", "email": "u@example.com"});
    let data = both(&user, &json!({"id": "g", "name": "name"}));
    let added = event("1", "group.user_added", 5, &data);
    let snapshot = serde_json::to_value(after(&[&added])).unwrap();
    let only = |object: &Value, id| {
        let fields = object.as_object().unwrap().iter();
        let present: Vec<_> = fields.filter(|(_, value)| !value.is_null()).collect();
        assert_eq!(json!(present), json!([["directory_id", "d"], ["id", id]]));
    };
    only(&snapshot["users"][0], "u");
    only(&snapshot["groups"][0], "g");
    assert_eq!(snapshot["memberships"], json!([{"group_id": "g", "user_id": "u"}]));
    assert_eq!(snapshot["access"], json!([]));
    // The directory was never seen, and an event about a member is not evidence for it.
    assert_eq!(snapshot["directories"], json!([]));
}

#[test]
fn a_user_in_a_membership_event_is_a_version_if_it_has_a_state_and_a_time() {
    let hired = event("1", "user.created", 1, &active(1));
    for name in ["group.user_added", "group.user_removed"] {
        for (state, updated_at, has_access) in [
            (json!("inactive"), at(2), false),
            (json!("inactive"), at(0), true),
            (json!("inactive"), Value::Null, true),
            (json!("inactive"), json!("soon"), true),
            (Value::Null, at(2), true),
            // Sent, but not readable.
            (json!(7), at(2), false),
            (json!({"is": "active"}), at(2), false),
        ] {
            let operation = event("2", name, 9, &both(&user(&state, &updated_at), &group("", 0)));
            assert_access(&[&hired, &operation], has_access);
        }
    }
}

#[test]
fn a_group_in_a_membership_event_is_a_version_if_it_has_a_time() {
    let created = event("1", "group.created", 1, &group("old", 1));
    for (updated_at, expected) in [(at(2), "new"), (at(0), "old"), (Value::Null, "old")] {
        let group = json!({"id": "g", "name": "new", "updated_at": updated_at});
        let added = event("2", "group.user_added", 9, &both(&json!({"id": "u"}), &group));
        let groups = after(&[&created, &added]).groups;
        assert_eq!(groups.first().unwrap().name.as_deref(), Some(expected));
    }
}

#[test]
fn a_deletion_of_an_unknown_id_is_final() {
    let data = both(&active(9), &group("", 9));
    let added = event("1", "group.user_added", 9, &data);
    let hired = event("2", "user.updated", 9, &active(9));
    let renamed = event("3", "group.updated", 9, &group("", 9));
    let user_gone = event("4", "user.deleted", 1, &json!({"id": "u"}));
    let snapshot = after(&[&user_gone, &hired, &added]);
    assert_eq!(
        (snapshot.users.len(), snapshot.groups.len(), snapshot.memberships.len()),
        (0, 1, 0)
    );
    // A group that is deleted before anybody is added.
    let group_gone = event("5", "group.deleted", 1, &json!({"id": "g"}));
    let snapshot = after(&[&group_gone, &renamed, &added]);
    assert_eq!(
        (snapshot.users.len(), snapshot.groups.len(), snapshot.memberships.len()),
        (1, 0, 0)
    );
    assert_eq!(snapshot.access, ["u"]);
}

#[test]
fn a_deleted_directory_ends_what_arrives_later() {
    let gone = event("1", "deleted", 1, &json!({"id": "d", "state": "active"}));
    let connected = event("2", "activated", 9, &json!({"id": "d", "state": "active"}));
    let hired = event("3", "user.created", 9, &active(9));
    let added = event("4", "group.user_added", 9, &both(&active(9), &group("", 9)));
    assert!(is_empty(&after(&[&gone, &connected, &hired, &added])));
    let other = event("1", "deleted", 1, &json!({"id": "other"}));
    assert_access(&[&other, &connected, &hired, &added], true);
}

#[test]
fn any_event_names_the_directory_and_none_clears_it() {
    let gone = event("1", "deleted", 1, &json!({"id": "d"}));
    let silent = json!({"id": "u", "state": "active", "updated_at": at(9)});
    let hired = event("2", "user.created", 1, &silent);
    assert_access(&[&gone, &hired], true);
    // The membership's own directory, also in a removal.
    for name in ["group.user_added", "group.user_removed"] {
        let operation = event("3", name, 1, &bare());
        assert_access(&[&gone, &hired, &operation], false);
        let owner = after(&[&hired, &operation]).users.first().unwrap().directory_id.clone();
        assert_eq!(owner.as_deref(), Some("d"));
    }
    // The directory that the user names does not apply to the group.
    let of_user = json!({"user": active(1), "group": {"id": "g"}});
    let added = event("4", "group.user_added", 1, &of_user);
    assert_eq!(after(&[&added]).groups.first().unwrap().directory_id, None);
    assert_eq!(after(&[&gone, &added]).groups.len(), 1);
}

#[test]
fn the_smallest_directory_id_counts() {
    let of = |id, directory, second| {
        let user = json!({"id": "u", "directory_id": directory, "state": "active", "updated_at": at(second)});
        event(id, "user.updated", second, &user)
    };
    let (first, second) = (of("1", "d1", 5), of("2", "d2", 9));
    let owner = after(&[&first, &second]).users.first().unwrap().directory_id.clone();
    assert_eq!(owner.as_deref(), Some("d1"));
    let gone = |directory| event("3", "deleted", 1, &json!({"id": directory}));
    assert_access(&[&first, &second, &gone("d1")], false);
    assert_access(&[&first, &second, &gone("d2")], true);
    // The object's own id precedes the membership's, even if it is greater.
    let user = json!({"id": "u", "directory_id": "z"});
    let added = event("1", "group.user_added", 1, &both(&user, &json!({"id": "g"})));
    let snapshot = after(&[&added]);
    assert_eq!(snapshot.users.first().unwrap().directory_id.as_deref(), Some("z"));
    assert_eq!(snapshot.groups.first().unwrap().directory_id.as_deref(), Some("d"));
}

#[test]
fn some_directory_states_end_access() {
    let hired = event("1", "user.created", 1, &active(1));
    let added = event("2", "group.user_added", 1, &both(&active(1), &group("", 1)));
    for (state, has_access) in [
        (json!("active"), true),
        (json!("linked"), true),
        (json!("validating"), true),
        (json!("invalid_credentials"), true),
        (Value::Null, true),
        (json!("inactive"), false),
        (json!("unlinked"), false),
        (json!("deleting"), false),
        (json!("unheard_of"), false),
        (json!(""), false),
        (json!(7), false),
    ] {
        let data = json!({"id": "d", "state": state, "updated_at": at(5)});
        let connected = event("3", "activated", 5, &data);
        let snapshot = after(&[&hired, &added, &connected]);
        let expected: &[&str] = if has_access { &["u"] } else { &[] };
        assert_eq!(snapshot.access, expected, "{state}");
        // Only access ends.
        assert_eq!((snapshot.users.len(), snapshot.memberships.len()), (1, 1));
        assert_eq!(snapshot.directories.len(), 1);

        // At equal times, the state that ends access counts.
        let data = json!({"id": "d", "state": "active", "updated_at": at(5)});
        for id in ["2", "4"] {
            let again = event(id, "activated", 5, &data);
            assert_access(&[&hired, &connected, &again], has_access);
        }
        // Without `updated_at`, it takes the time of its event.
        let undated = event("3", "activated", 6, &json!({"id": "d", "state": state}));
        let before = event("4", "activated", 5, &data);
        assert_access(&[&hired, &undated, &before], has_access);
    }
}

#[test]
fn at_equal_times_a_removal_counts() {
    let data = both(&active(1), &group("", 1));
    let added = event("9", "group.user_added", 5, &data);
    for (second, members) in [(4, 1), (5, 0), (6, 0)] {
        let removed = event("1", "group.user_removed", second, &data);
        assert_eq!(after(&[&added, &removed]).memberships.len(), members);
    }
    // An unknown time is the lowest.
    let body = json!({"id": "event_1", "event": "dsync.group.user_removed", "data": data});
    let removed = DirectoryEvent::parse(body.to_string().into()).unwrap();
    assert_eq!(after(&[&added, &removed]).memberships.len(), 1);
    let body = json!({"id": "event_2", "event": "dsync.group.user_added", "data": data,
                      "created_at": "0001-01-01T00:00:00Z"});
    let ancient = DirectoryEvent::parse(body.to_string().into()).unwrap();
    assert_eq!(after(&[&ancient, &removed]).memberships.len(), 1);
}
