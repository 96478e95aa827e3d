//! Random histories with many ties, missing fields and events that contradict each other: the order never matters.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use dsync_emulator::directory::{Random, Snapshot, State};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower_workos::DirectoryEvent;

fn apply<'a>(events: impl IntoIterator<Item = &'a DirectoryEvent>) -> Snapshot {
    let mut state = State::default();
    events.into_iter().for_each(|event| state.apply(event));
    state.snapshot()
}

const NAMES: &str = "activated activated deleted user.created user.updated user.updated user.deleted \
    group.created group.updated group.deleted group.user_added group.user_added group.user_removed \
    group.user_removed token.created";

/// A random event about few ids, with few times, so that there are many ties. It has no id yet.
fn event() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(NAMES.split(' ').collect::<Vec<_>>());
    let time = || {
        let time = |second| json!((second < 4).then(|| format!("2026-01-05T09:00:0{second}Z")));
        (0..6_u8).prop_map(time)
    };
    let directory =
        || prop::sample::select(vec![json!("d1"), json!("d2"), json!("d3"), json!(null)]);
    let states = json!(["active", "active", "inactive", "x", 7, null]);
    let state = prop::sample::select(states.as_array().unwrap().clone());
    let numbers = (0..100_u8, 0..4_u8, 0..3_u8);
    let times = [time(), time(), time()];
    let directories = [directory(), directory(), directory()];
    (name, numbers, times, directories, state).prop_map(|(name, numbers, times, directories, state)| {
        let (text, user, group) = numbers;
        let [created_at, of_user, of_group] = times;
        let [own, of_users, of_groups] = directories;
        let user = json!({
            "id": format!("u{user}"),
            "directory_id": of_users,
            "email": text.to_string(),
            "state": state,
            "updated_at": of_user,
        });
        let group = json!({
            "id": format!("g{group}"),
            "directory_id": of_groups,
            "name": text.to_string(),
            "updated_at": of_group,
        });
        let data = match name {
            "activated" | "deleted" => json!({
                "id": own.as_str().unwrap_or("d1"),
                "name": text.to_string(),
                "state": state,
                "updated_at": of_user,
            }),
            "user.created" | "user.updated" | "user.deleted" => user,
            "group.user_added" | "group.user_removed" => {
                json!({"directory_id": own, "user": user, "group": group})
            }
            _ => group,
        };
        json!({"id": null, "event": format!("dsync.{name}"), "created_at": created_at, "data": data})
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_order_and_repetition_of_ties_leads_to_one_state(
        bodies in prop::collection::vec(event(), 0..24), seed in any::<u64>(),
    ) {
        let events = bodies.into_iter().zip(0..).map(|(mut body, number)| {
            *body.get_mut("id").unwrap() = json!(format!("event_{number}"));
            DirectoryEvent::parse(body.to_string().into()).unwrap()
        });
        let events: Vec<_> = events.collect();
        let first = apply(&events);
        let mut random = Random::new(seed, "order");
        let mut orders = events.clone();
        orders.extend_from_within(..events.len() / 2);
        for _ in 0..4 {
            for place in (1..orders.len()).rev() {
                let other = random.below(u64::try_from(place).unwrap() + 1);
                orders.swap(place, usize::try_from(other).unwrap());
            }
            prop_assert!(apply(&orders) == first);
        }
    }
}
