//! The world equals the life that it records, and what the API lists equals the world.

use std::time::Duration;

use dsync_emulator::{
    Emulator, WorldError,
    directory::{Life, Plan, Random, Snapshot, State},
};
use serde_json::{Value, json};
use tower_workos::DirectoryEvent;

use crate::support::{Api, EVENTS, id, time};

pub(crate) fn differences(held: &Snapshot, expected: &Snapshot) -> Vec<String> {
    let held = serde_json::to_vec(held).unwrap();
    let differences = expected.compare(&held).unwrap().differences;
    differences.iter().map(ToString::to_string).collect()
}

/// Reads the whole state from the API.
pub(crate) async fn read(api: &Api) -> Snapshot {
    let [mut directories, mut users, mut groups, mut memberships, mut access] =
        [const { Vec::<Value>::new() }; 5];
    for mut directory in api.all("/directories?").await {
        let of = id(&directory).to_owned();
        for group in api.all(&format!("/directory_groups?directory={of}")).await {
            for user in api.all(&format!("/directory_users?group={}", id(&group))).await {
                memberships.push(json!({ "group_id": group["id"], "user_id": user["id"] }));
            }
            groups.push(group);
        }
        for mut user in api.all(&format!("/directory_users?directory={of}")).await {
            if user["state"] == "active" {
                access.push(user["id"].clone());
            }
            user["role"] = user["role"]["slug"].take();
            user["job_title"] = user["custom_attributes"]["job_title"].clone();
            user["department_name"] = user["custom_attributes"]["department_name"].clone();
            users.push(user);
        }
        assert_eq!(directory["state"], "linked");
        directory["state"] = json!("active");
        directories.push(directory);
    }
    let state = json!({
        "directories": directories, "users": users, "groups": groups, "memberships": memberships,
        "access": access,
    });
    let expected: Snapshot = serde_json::from_value(state).unwrap();
    // Sorts the lists.
    let mut sorted = serde_json::to_value(expected).unwrap();
    for list in sorted.as_object_mut().unwrap().values_mut() {
        list.as_array_mut().unwrap().sort_by_key(ToString::to_string);
    }
    serde_json::from_value(sorted).unwrap()
}

#[tokio::test]
async fn after_any_life_the_world_is_the_state_of_the_life() {
    for seed in 0..40 {
        let directories = 1 + u32::try_from(seed % 3).unwrap();
        let plan = Plan::new(seed).directories(directories).users(40).groups(6).events(60 * seed);
        let (api, life) = Api::with_life(Emulator::builder(), plan).await;
        assert_eq!(differences(&api.emulator.snapshot(), &life.snapshot()), [""; 0], "seed {seed}");
        assert!(api.emulator.snapshot() == life.snapshot(), "seed {seed}");
    }
}

#[tokio::test]
async fn the_lists_show_the_world() {
    let plan = Plan::new(5).directories(3).users(250).groups(12).events(1500);
    let (api, life) = Api::with_life(Emulator::builder(), plan).await;
    assert_eq!(differences(&read(&api).await, &life.snapshot()), [""; 0]);
}

#[tokio::test]
async fn the_events_lead_to_the_world() {
    let plan = Plan::new(6).users(60).events(700);
    let (api, life) = Api::with_life(Emulator::builder(), plan).await;
    api.clock.advance(Duration::from_secs(3));
    let events = api.all(EVENTS).await;
    assert_eq!(events.len(), 700);
    let mut state = State::default();
    for event in &events {
        assert_eq!(event["object"], "event");
        state.apply(&DirectoryEvent::parse(event.to_string().into()).unwrap());
    }
    assert!(state.snapshot() == life.snapshot());
}

#[tokio::test]
async fn an_event_in_the_future_has_not_happened() {
    let api = Api::start().await;
    let mut life = Life::new(Plan::new(1).directories(1).users(3).groups(0).events(3));
    let first = life.next_at(api.clock.now()).unwrap();
    let second = life.next_at(api.clock.now()).unwrap();
    assert_eq!(first.created_at(), api.clock.now());
    assert!(second.created_at() > api.clock.now());
    api.emulator.record(&first).unwrap();
    api.emulator.record(&second).unwrap();
    assert_eq!(api.emulator.snapshot().users.len(), 0);
    let path = format!("{EVENTS}&order=desc");
    assert_eq!(api.get(&path).await.data().len(), 1);
    api.clock.advance(Duration::from_millis(1));
    assert_eq!(api.emulator.snapshot().users.len(), 1);
    assert_eq!(api.get(&path).await.data().len(), 2);
}

#[tokio::test]
async fn a_life_can_be_dated_when_it_happens() {
    let plan = Plan::new(3).users(30).events(300);
    let mut dated = Life::new(plan);
    let names: Vec<_> = Life::new(plan).map(|event| event.name()).collect();
    let mut random = Random::new(1, "pauses");
    let mut now = time("2030-05-05T00:00:00Z").as_unix_millis();
    let mut before = None;
    for name in names {
        let at = tower_workos::Timestamp::from_unix_millis(now).unwrap();
        let event = dated.next_at(at).unwrap();
        let parsed = DirectoryEvent::parse(event.body().clone()).unwrap();
        assert_eq!(event.name(), name);
        assert_eq!(parsed.created_at(), Some(event.created_at()));
        assert!(before < Some(event.created_at()), "{name}");
        if before < Some(at) {
            assert_eq!(event.created_at(), at);
        }
        if name == "dsync.user.updated" {
            let data: Value = serde_json::from_slice(event.body()).unwrap();
            assert_eq!(data["data"]["updated_at"], data["created_at"]);
        }
        before = Some(event.created_at());
        now += i64::try_from(random.below(3)).unwrap();
    }
    assert!(dated.next_at(time("2031-01-01T00:00:00Z")).is_none());
}

#[tokio::test]
async fn the_world_changes_without_events() {
    let plan = Plan::new(8).directories(2).users(20).groups(4).events(60);
    let (api, life) = Api::with_life(Emulator::builder(), plan).await;
    let mut expected = life.snapshot();
    let emulator = &api.emulator;

    let user = expected.users[3].id.clone();
    emulator.set_role(&user, "owner").unwrap();
    expected.users[3].role = Some("owner".into());
    let before = api.get(&format!("/directory_users/{user}")).await.body;
    assert_eq!(
        (&before["role"], &before["roles"]),
        (&json!({"slug": "owner"}), &json!([{"slug": "owner"}]))
    );
    assert_eq!(differences(&emulator.snapshot(), &expected), [""; 0]);

    let membership = expected.memberships.remove(0);
    emulator.set_membership(&membership.user_id, &membership.group_id, false).unwrap();
    assert_eq!(differences(&emulator.snapshot(), &expected), [""; 0]);
    emulator.set_membership(&membership.user_id, &membership.group_id, true).unwrap();
    expected.memberships.insert(0, membership);
    assert_eq!(differences(&emulator.snapshot(), &expected), [""; 0]);

    let gone = expected.users.remove(5).id;
    emulator.remove_silently(&gone).unwrap();
    expected.memberships.retain(|it| it.user_id != gone);
    expected.access.retain(|id| *id != gone);
    assert_eq!(differences(&emulator.snapshot(), &expected), [""; 0]);
    assert_eq!(api.get(&format!("/directory_users/{gone}")).await.status, 404);

    let directory = expected.directories[0].id.clone();
    emulator.set_member(&directory, "state", json!("inactive")).unwrap();
    let inside: Vec<_> =
        expected.users.iter().filter(|it| it.directory_id.as_ref() == Some(&directory)).collect();
    assert_eq!(api.get(&format!("/directories/{directory}")).await.body["state"], "unlinked");
    assert_eq!(emulator.snapshot().directories[0].state.as_deref(), Some("inactive"));
    assert!(!inside.is_empty());
    assert!(inside.iter().all(|user| !emulator.snapshot().access.contains(&user.id)));

    emulator.remove_silently(&directory).unwrap();
    let left = emulator.snapshot();
    assert!(left.users.iter().all(|user| user.directory_id.as_ref() != Some(&directory)));
    assert_eq!(left.directories.len(), expected.directories.len() - 1);
    assert_eq!(emulator.remove_silently(&directory), Err(WorldError::Unknown));
    assert_eq!(emulator.set_role("nobody", "x"), Err(WorldError::Unknown));
    assert_eq!(api.get(EVENTS).await.data().len(), 10);
}

#[tokio::test]
async fn the_last_event_wins_unless_the_object_is_deleted() {
    let api = Api::start().await;
    let event = |id: &str, name: &str, data: Value| {
        let body = json!({"id": id, "event": name, "data": data});
        api.emulator.record(body.to_string())
    };
    let user =
        |email: &str| json!({"id": "u", "directory_id": "d", "state": "active", "email": email});
    event("1", "dsync.user.created", user("new")).unwrap();
    event("2", "dsync.user.updated", user("old")).unwrap();
    event("2", "dsync.user.updated", user("a replay")).unwrap();
    assert_eq!(api.emulator.snapshot().users[0].email.as_deref(), Some("old"));
    assert_eq!(api.get("/directory_users?directory=d").await.ids(), ["u"]);
    let both = json!({"directory_id": "d", "user": {"id": "x"}, "group": {"id": "g"}});
    event("3", "dsync.group.user_removed", both.clone()).unwrap();
    assert_eq!(api.emulator.snapshot().users.len(), 1);
    event("4", "dsync.group.user_added", both).unwrap();
    assert_eq!(api.emulator.snapshot().memberships.len(), 1);
    event("5", "dsync.user.deleted", user("")).unwrap();
    event("6", "dsync.user.updated", user("late")).unwrap();
    assert_eq!(api.emulator.snapshot().users.len(), 1);
    event("7", "dsync.deleted", json!({"id": "d"})).unwrap();
    event("8", "dsync.user.created", json!({"id": "v", "directory_id": "d"})).unwrap();
    assert!(api.emulator.snapshot() == Snapshot::default());
    assert_eq!(event("9", "dsync.user.created", json!({})), Err(WorldError::Unreadable));
    assert_eq!(event("9", "dsync.group.user_added", json!({})), Err(WorldError::Unreadable));
    assert_eq!(api.emulator.record("{"), Err(WorldError::Unreadable));
    event("9", "connection.activated", json!({})).unwrap();
}
