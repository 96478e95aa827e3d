//! Random histories about few ids with few times, so that there are many ties.
//!
//! The integration tests use this file, too.

use proptest::prelude::*;
use serde_json::{Value, json};
use tower_workos::DirectoryEvent;

const NAMES: &str = "activated activated deleted user.created user.updated user.updated user.deleted \
    group.created group.updated group.deleted group.user_added group.user_added group.user_removed \
    group.user_removed token.created unheard_of";

/// Random events. If `contradict` is set, they disagree about the directory of a user or a group, which WorkOS never does.
pub(crate) fn history(
    contradict: bool,
    length: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<DirectoryEvent>> {
    prop::collection::vec(event(contradict), length).prop_map(|bodies| {
        let numbered = bodies.into_iter().zip(0..);
        let event = |(mut body, number): (Value, u32)| {
            if let Some(id) = body.get_mut("id") {
                *id = json!(format!("event_{number}"));
            }
            DirectoryEvent::parse(body.to_string().into()).expect("a genuine event")
        };
        numbered.map(event).collect()
    })
}

fn time() -> impl Strategy<Value = Value> {
    let time = |second| json!((second < 4).then(|| format!("2026-01-05T09:00:0{second}Z")));
    (0..6_u8).prop_map(time)
}

fn event(contradict: bool) -> impl Strategy<Value = Value> {
    let name = prop::sample::select(NAMES.split(' ').collect::<Vec<_>>());
    let states = [json!("active"), json!("active"), json!("inactive"), json!("x"), json!(7)];
    let states = states.into_iter().chain([json!("validating"), json!(""), json!(null)]);
    let state = prop::sample::select(states.collect::<Vec<_>>());
    let numbers = (0..100_u8, 0..4_u8, 0..3_u8);
    let times = [time(), time(), time()];
    let directories = [0..4_u8, 0..4_u8, 0..4_u8];
    (name, numbers, times, directories, state).prop_map(
        move |(name, (text, user, group), times, directories, state)| {
            let [created_at, of_user, of_group] = times;
            // The user's number decides which directory everything belongs to; 3 means that the event names none.
            let group = if contradict { group } else { user % 2 + 2 * (group % 2) };
            let directory = |number: u8| {
                let number = if contradict || number == 3 { number } else { user % 2 };
                json!((number < 3).then(|| format!("d{number}")))
            };
            let [own, of_users, of_groups] = directories.map(directory);
            let user = json!({
                "id": format!("u{user}"), "directory_id": of_users, "email": format!("{text}@x.y"),
                "state": state, "updated_at": of_user, "idp_id": format!("idp{}", text % 3),
                "organization_id": (text % 2 == 0).then_some("o"),
            });
            let group = json!({
                "id": format!("g{group}"), "directory_id": of_groups, "name": text.to_string(),
                "updated_at": of_group, "organization_id": (text % 2 == 0).then_some("o"),
            });
            let data = match name {
                "activated" | "deleted" => json!({
                    "id": own.as_str().unwrap_or("d0"), "name": text.to_string(), "state": state,
                    "updated_at": of_user, "organization_id": "o",
                }),
                "user.created" | "user.updated" | "user.deleted" => user,
                "group.user_added" | "group.user_removed" => {
                    json!({"directory_id": own, "user": user, "group": group})
                }
                _ => group,
            };
            json!({"id": null, "event": format!("dsync.{name}"), "created_at": created_at, "data": data})
        },
    )
}
