//! Named histories in every order, on both databases.

use serde_json::{Value, json};
use tower_workos::DirectoryEvent;

use crate::{
    at, both,
    databases::on_both,
    event,
    fold::Views,
    group, parse,
    shown::{check, expected, state},
    user,
};

/// All permutations of the numbers below `count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else { return vec![Vec::new()] };
    let mut longer = Vec::new();
    for order in orders(last) {
        for place in 0..count {
            let mut order = order.clone();
            order.insert(place, last);
            longer.push(order);
        }
    }
    longer
}

/// What the views show after these events, in any order, one by one and at once.
async fn after(events: &[DirectoryEvent]) -> Views {
    let snapshot = state(events);
    on_both(async |database| {
        let mirror = database.mirror().await;
        for order in orders(events.len()) {
            let events: Vec<_> = order.iter().map(|&it| events.get(it).unwrap().clone()).collect();
            database.empty().await;
            let mut changes = Vec::new();
            for event in &events {
                changes.extend(mirror.apply(event).await.unwrap());
            }
            check(database, &snapshot, &changes, false).await;
            database.empty().await;
            let changes = mirror.apply_all(&events).await.unwrap();
            check(database, &snapshot, &changes, false).await;
        }
    })
    .await;
    expected(&snapshot)
}

fn has_access(views: &Views) -> bool {
    !views.access.is_empty()
}

#[tokio::test]
async fn at_equal_times_the_version_without_access_counts() {
    let left = event("1", "user.updated", 3, &user("u", "inactive", 1));
    let hired = event("2", "user.created", 3, &user("u", "active", 1));
    assert!(!has_access(&after(&[left, hired]).await));
}

#[tokio::test]
async fn at_an_equal_updated_at_the_later_event_counts() {
    let left = event("2", "user.updated", 3, &user("u", "inactive", 1));
    let returned = event("1", "user.updated", 4, &user("u", "active", 1));
    assert!(has_access(&after(&[left, returned]).await));
}

#[tokio::test]
async fn at_equal_times_the_greater_event_id_counts() {
    let names = ["9", "10"].map(|id| {
        let mut group = group("g", 1);
        *group.get_mut("name").unwrap() = json!(id);
        event(id, "group.updated", 3, &group)
    });
    after(&names).await;
}

#[tokio::test]
async fn at_equal_times_a_removal_counts() {
    let both = both(&user("u", "active", 1), &group("g", 1));
    let added = event("2", "group.user_added", 3, &both);
    let removed = event("1", "group.user_removed", 3, &both);
    assert_eq!(after(&[added, removed]).await.memberships.len(), 0);
}

/// The first event has its time in its id, the second has no time.
#[tokio::test]
async fn events_without_created_at() {
    let undated = json!({"id": "u", "directory_id": "d", "state": "inactive"});
    let body = |id: &str, data: &Value| {
        parse(&json!({"id": format!("event_{id}"), "event": "dsync.user.updated", "data": data}))
    };
    let left = body("01KE6P53G80000000000000000", &undated);
    let hired = event("1", "user.created", 4, &user("u", "active", 4));
    assert!(!has_access(&after(&[left.clone(), hired]).await));
    let returned = event("1", "user.created", 6, &user("u", "active", 6));
    assert!(has_access(&after(&[left, returned]).await));

    let unknown = body("1", &undated);
    let grant = json!({"id": "u", "directory_id": "d", "state": "active"});
    let undated = event("2", "user.created", 4, &grant);
    assert!(!has_access(&after(&[unknown, undated]).await));

    let both = both(&user("u", "active", 1), &group("g", 1));
    let name = "dsync.group.user_removed";
    let removed = parse(&json!({"id": "event_3", "event": name, "data": both}));
    let added = event("1", "group.user_added", 1, &both);
    assert_eq!(after(&[removed, added]).await.memberships.len(), 1);
}

#[tokio::test]
async fn unknown_ids() {
    let removed = both(&user("u1", "active", 9), &group("g1", 9));
    let events = [
        event("1", "user.deleted", 1, &json!({"id": "u"})),
        event("2", "user.updated", 9, &user("u", "active", 9)),
        event("3", "group.user_removed", 9, &removed),
        event("4", "group.deleted", 9, &json!({"id": "g2"})),
    ];
    assert_eq!(after(&events).await, Views::default());
}

#[tokio::test]
async fn a_membership_before_its_user() {
    let bare = both(&json!({"id": "u"}), &json!({"id": "g"}));
    let events = [
        event("1", "group.user_added", 9, &bare),
        event("2", "user.created", 1, &user("u", "active", 1)),
        event("3", "group.created", 1, &group("g", 1)),
    ];
    let views = after(&events).await;
    assert!(has_access(&views) && views.memberships.contains("g u"));
}

#[tokio::test]
async fn a_group_that_is_deleted_before_a_user_joins() {
    let events = [
        event("1", "group.deleted", 1, &json!({"id": "g", "directory_id": "d"})),
        event("2", "group.user_added", 9, &both(&user("u", "active", 9), &group("g", 9))),
        event("3", "group.updated", 9, &group("g", 9)),
    ];
    let views = after(&events).await;
    assert!(has_access(&views) && views.memberships.is_empty() && views.groups.is_empty());
}

#[tokio::test]
async fn a_directory_that_is_deleted_before_everything() {
    let events = [
        event("1", "deleted", 1, &json!({"id": "d", "state": "deleting"})),
        event("2", "activated", 9, &json!({"id": "d", "state": "active", "updated_at": at(9)})),
        event("3", "group.user_added", 9, &both(&user("u", "active", 9), &group("g", 9))),
    ];
    assert_eq!(after(&events).await, Views::default());
}

#[tokio::test]
async fn a_directory_whose_state_ends_access() {
    let hired = event("1", "user.created", 1, &user("u", "active", 1));
    for state in [json!("inactive"), json!(""), json!(7), json!("unheard_of")] {
        let data = json!({"id": "d", "name": "n", "state": state, "updated_at": at(2)});
        let closed = event("2", "activated", 2, &data);
        let views = after(&[hired.clone(), closed]).await;
        assert!(!has_access(&views) && views.users.contains("u@d"), "{state}");
    }
}

#[tokio::test]
async fn an_unknown_time_is_not_reported() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let data = user("u", "active", 1);
        let undated = parse(&json!({"id": "event_1", "event": "dsync.user.created", "data": data}));
        let changes = mirror.apply(&undated).await.unwrap();
        assert!(changes.iter().all(|change| change.happened_at.is_none()));
        assert_eq!(database.count("workos_mirror_change WHERE happened_at IS NULL").await, 2);
    })
    .await;
}
