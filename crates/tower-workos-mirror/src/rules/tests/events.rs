//! The rules for events. Every history is applied in every order.

use serde_json::{Value, json};
use tower_workos::DirectoryEvent;

use super::{World, active, after, assert_access, at, both, event, group, inactive, undated, user};
use crate::rules::document::ObjectKind;

fn names(world: &World) -> Vec<String> {
    let document = world.documents().remove("g").map(|document| document.0);
    let name = document.into_iter().flatten().nth(2);
    name.and_then(|name| name.into_text()).into_iter().collect()
}

#[test]
fn updated_at_is_compared_first() {
    let newer = event("1", "user.updated", 1, &inactive(2));
    let later = event("2", "user.updated", 2, &active(1));
    assert_access(&[&newer, &later], false);
}

#[test]
fn at_an_equal_updated_at_the_later_event_counts() {
    let left = event("2", "user.updated", 1, &inactive(1));
    let returned = event("1", "user.updated", 2, &active(1));
    assert_access(&[&left, &returned], true);
}

#[test]
fn at_equal_times_not_active_counts() {
    for state in [json!("inactive"), json!("unheard_of"), json!(7), json!(""), json!(null)] {
        let left = event("1", "user.updated", 1, &user(&state, &at(1)));
        let hired = event("2", "user.created", 1, &active(1));
        assert_access(&[&left, &hired], false);
    }
}

#[test]
fn at_equal_times_and_flags_the_greater_event_id_counts() {
    let nine = event("9", "group.updated", 3, &group("nine", 1));
    let ten = event("10", "group.updated", 3, &group("ten", 1));
    // Ids are compared as text.
    assert_eq!(names(&after(&[&nine, &ten])), ["nine"]);
}

#[test]
fn an_active_version_without_updated_at_sorts_lowest() {
    let grant = event("9", "user.updated", 9, &user(&json!("active"), &Value::Null));
    assert_access(&[&grant], true);
    assert_access(&[&grant, &event("1", "user.updated", 1, &inactive(1))], false);
    // Also if the time of the other one is unknown.
    let unknown = undated("1", "user.updated", &json!({"id": "u", "directory_id": "d"}));
    assert_access(&[&grant, &unknown], false);
}

#[test]
fn a_version_that_is_not_active_takes_the_time_of_its_event() {
    let left = event("1", "user.updated", 5, &user(&json!("inactive"), &Value::Null));
    assert_access(&[&left, &event("2", "user.updated", 4, &active(4))], false);
    assert_access(&[&left, &event("2", "user.updated", 6, &active(6))], true);
}

#[test]
fn without_created_at_the_time_in_the_id_counts() {
    // 2026-01-05T09:00:05Z.
    let id = "01KE6P53G80000000000000000";
    let left = undated(id, "user.updated", &user(&json!("inactive"), &Value::Null));
    assert_access(&[&left, &event("2", "user.updated", 4, &active(4))], false);
    assert_access(&[&left, &event("2", "user.updated", 6, &active(6))], true);
}

#[test]
fn a_user_in_a_membership_event_is_a_version() {
    let hired = event("1", "user.created", 1, &active(1));
    for name in ["group.user_added", "group.user_removed"] {
        let moved = event("2", name, 2, &both(&inactive(2), &group("", 1)));
        assert_access(&[&hired, &moved], false);
        let unreadable = user(&json!({"is": "active"}), &at(2));
        let moved = event("2", name, 2, &both(&unreadable, &group("", 1)));
        assert_access(&[&hired, &moved], false);
    }
}

#[test]
fn a_user_without_state_or_updated_at_in_a_membership_event_is_not_a_version() {
    let hired = event("1", "user.created", 1, &active(1));
    for user in [
        json!({"id": "u"}),
        user(&Value::Null, &at(2)),
        user(&json!("inactive"), &Value::Null),
        user(&json!("inactive"), &json!("soon")),
    ] {
        let added = event("2", "group.user_added", 2, &both(&user, &group("", 1)));
        assert_access(&[&hired, &added], true);
        assert_access(&[&added], false);
    }
}

#[test]
fn a_group_without_updated_at_in_a_membership_event_is_not_a_version() {
    let unnamed = json!({"id": "g", "name": "undated"});
    let added = event("1", "group.user_added", 9, &both(&active(1), &unnamed));
    assert_eq!(names(&after(&[&added])), [""; 0]);
    let named = json!({"id": "g", "name": "own"});
    let created = event("0", "group.created", 1, &named);
    assert_eq!(names(&after(&[&added, &created])), ["own"]);
}

#[test]
fn joining_is_evidence() {
    let bare = both(&json!({"id": "u"}), &json!({"id": "g"}));
    let views = after(&[&event("1", "group.user_added", 1, &bare)]).views();
    assert!(views.users.contains("u@d") && views.groups.contains("g@d"));
    assert!(views.memberships.contains("g u") && views.directories.is_empty());
}

#[test]
fn removals_and_deletions_are_not_evidence() {
    let removed = event("1", "group.user_removed", 5, &both(&active(4), &group("", 4)));
    let gone = event("2", "group.deleted", 5, &json!({"id": "g2", "directory_id": "d"}));
    assert_eq!(after(&[&removed, &gone]).views(), Default::default());
}

#[test]
fn the_version_in_a_removal_counts_once_there_is_evidence() {
    let removed = event("1", "group.user_removed", 5, &both(&inactive(4), &group("new", 4)));
    let hired = event("2", "user.created", 1, &active(1));
    let created = event("3", "group.created", 1, &group("old", 1));
    let world = after(&[&removed, &hired, &created]);
    assert_eq!(world.views().access, Default::default());
    assert_eq!(names(&world), ["new"]);
}

#[test]
fn a_deletion_is_final_also_of_an_unknown_id() {
    let hired = event("2", "user.updated", 9, &active(9));
    let added = event("3", "group.user_added", 9, &both(&active(9), &group("", 9)));
    let gone = event("1", "user.deleted", 1, &json!({"id": "u"}));
    let views = after(&[&gone, &hired, &added]).views();
    assert!(views.users.is_empty() && views.memberships.is_empty() && !views.groups.is_empty());
    let gone = event("1", "group.deleted", 1, &json!({"id": "g"}));
    let views = after(&[&gone, &hired, &added]).views();
    assert!(views.groups.is_empty() && views.memberships.is_empty() && !views.users.is_empty());
    let gone = event("1", "deleted", 1, &json!({"id": "d"}));
    let connected = event("4", "activated", 9, &json!({"id": "d", "state": "active"}));
    assert_eq!(after(&[&gone, &hired, &added, &connected]).views(), Default::default());
}

#[test]
fn a_deleted_user_is_erased() {
    let hired = event("2", "user.updated", 9, &active(9));
    let gone = event("1", "user.deleted", 1, &active(1));
    for events in [[&hired, &gone], [&gone, &hired]] {
        let world = World::after(events);
        let user = world.user("u");
        assert!(user.document().is_none() && user.evidence_at.is_none() && user.list.is_none());
        assert_eq!(user.directory_id.as_deref(), Some("d"));
    }
    let mut at_once = World::default();
    at_once.apply(&[gone]);
    assert!(at_once.user("u").document().is_none());
}

/// No personal data is stored of users whose directory is deleted. Late events are erased as they arrive.
#[test]
fn a_user_of_a_deleted_directory_is_erased() {
    let gone = event("1", "deleted", 1, &json!({"id": "d"}));
    let hired = event("2", "user.updated", 9, &active(9));
    let world = World::after([&gone, &hired]);
    let document = world.user("u").document().expect("a version").0.clone();
    let values = document.iter().filter_map(|value| value.as_text()).collect::<Vec<_>>();
    assert_eq!(values, ["active"]);
    assert_eq!(document.iter().filter_map(|value| value.as_int()).count(), 0);
}

/// WorkOS never sends such events. But if the directory were set once, the first event would count.
#[test]
fn the_smallest_directory_id_counts() {
    let of = |id, directory| {
        let data =
            json!({"id": "u", "directory_id": directory, "state": "active", "updated_at": at(1)});
        event(id, "user.updated", 1, &data)
    };
    let gone = |directory| event("3", "deleted", 1, &json!({"id": directory}));
    let (first, second) = (of("1", "d1"), of("2", "d2"));
    assert_access(&[&first, &second, &gone("d1")], false);
    // Also after the other directory was deleted.
    for order in super::orders(3) {
        let events = [&first, &second, &gone("d2")];
        let world = World::after(order.iter().filter_map(|&place| events.get(place).copied()));
        assert!(world.views().access.contains("u"));
        assert_eq!(world.fold.views(), world.views());
    }
    let mut at_once = World::after([&second]);
    at_once.apply(&[gone("d2"), first]);
    assert!(at_once.views().access.contains("u"));
    assert_eq!(at_once.fold.views(), at_once.views());
}

#[test]
fn any_event_names_the_directory_and_none_clears_it() {
    let unnamed = json!({"id": "u", "state": "active", "updated_at": at(1)});
    let hired = event("1", "user.created", 1, &unnamed);
    let gone = event("2", "deleted", 1, &json!({"id": "d"}));
    assert_access(&[&hired, &gone], true);
    let bare = both(&json!({"id": "u"}), &json!({"id": "g"}));
    for name in ["group.user_added", "group.user_removed"] {
        assert_access(&[&hired, &gone, &event("3", name, 1, &bare)], false);
    }
    // The object's own id precedes the membership's, even if it is greater.
    let own = json!({"id": "u", "directory_id": "z"});
    let added = event("1", "group.user_added", 1, &both(&own, &json!({"id": "g"})));
    let views = after(&[&added]).views();
    assert!(views.users.contains("u@z") && views.groups.contains("g@d"));
}

#[test]
fn a_membership_is_decided_by_the_latest_operation() {
    let data = both(&active(1), &group("", 1));
    let added = event("1", "group.user_added", 5, &data);
    for (second, is_member) in [(4, true), (5, false), (6, false)] {
        // If two have the same time, the removal counts, whatever its id is.
        for id in ["0", "2"] {
            let removed = event(id, "group.user_removed", second, &data);
            assert_eq!(!after(&[&added, &removed]).views().memberships.is_empty(), is_member);
        }
    }
    // An unknown time is the lowest, even compared with an implausible one.
    let removed = undated("2", "group.user_removed", &data);
    assert!(!after(&[&added, &removed]).views().memberships.is_empty());
    let ancient = json!({"id": "event_3", "event": "dsync.group.user_added", "data": data,
                         "created_at": "0001-01-01T00:00:00Z"});
    let ancient = DirectoryEvent::parse(ancient.to_string().into()).expect("a genuine event");
    assert!(!after(&[&ancient, &removed]).views().memberships.is_empty());
}

#[test]
fn a_membership_can_precede_its_user_and_its_group() {
    let added = event("1", "group.user_added", 5, &both(&active(4), &group("new", 4)));
    let hired = event("2", "user.created", 1, &inactive(1));
    let created = event("3", "group.created", 1, &group("old", 1));
    let world = after(&[&added, &hired, &created]);
    assert_eq!(world.views().memberships.len(), 1);
    assert!(world.views().access.contains("u"));
    assert_eq!(names(&world), ["new"]);
}

#[test]
fn some_directory_states_end_access() {
    let hired = event("1", "user.created", 1, &active(1));
    let states = ["active", "linked", "validating", "invalid_credentials"];
    let open = states.map(|state| (json!(state), true)).into_iter().chain([(json!(null), true)]);
    let states = ["inactive", "unlinked", "deleting", "unheard_of", ""];
    let closed = states.map(|state| (json!(state), false)).into_iter().chain([(json!(7), false)]);
    for (state, has_access) in open.chain(closed) {
        let connected = json!({"id": "d", "state": state, "updated_at": at(5)});
        let connected = event("3", "activated", 5, &connected);
        let world = after(&[&hired, &connected]);
        assert_eq!(world.views().access.contains("u"), has_access, "{state}");
        // Only access ends.
        assert_eq!((world.views().users.len(), world.views().directories.len()), (1, 1));
        // Of two versions at the same time, the one that ends access counts.
        let again = json!({"id": "d", "state": "active", "updated_at": at(5)});
        assert_access(&[&hired, &connected, &event("4", "activated", 5, &again)], has_access);
        // Without `updated_at`, it takes the time of its event.
        let undated = event("3", "activated", 6, &json!({"id": "d", "state": state}));
        assert_access(&[&hired, &undated, &event("4", "activated", 5, &again)], has_access);
    }
}

#[test]
fn tokens_and_unknown_events_change_nothing() {
    let token = event("1", "token.created", 1, &json!({"id": "u", "directory_id": "d"}));
    let unknown = event("2", "user.promoted", 1, &active(1));
    let world = after(&[&token, &unknown]);
    assert!(world.rows.directories.is_empty() && world.rows.groups.is_empty());
    assert!(world.rows.users.is_empty() && world.rows.members.is_empty());
    assert_eq!(world.rows.directory_ids(), [""; 0]);
    assert_eq!(ObjectKind::Group.state_column(), None);
}
