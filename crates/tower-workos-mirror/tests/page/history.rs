//! What happened to a user.

use http::StatusCode;
use serde_json::json;
use tower_workos_mirror::Mirror;

use crate::{
    access::verdict,
    client::{get, open, page, rows},
    databases::{on_both, on_sqlite},
    events::{directory, directory_data, event, group, member, user, user_data},
    support::{World, user as emulated_user},
};

async fn history(mirror: &Mirror, id: &str) -> Vec<String> {
    rows(&page(&open(mirror), &format!("/user?id={id}")).await, "history")
}

/// The rows, the latest first, contain these texts in this order.
fn assert_rows(rows: &[String], expected: &[&[&str]]) {
    assert_eq!(rows.len(), expected.len(), "{rows:#?}");
    for (row, texts) in rows.iter().zip(expected) {
        let mut rest = row.as_str();
        for text in *texts {
            let Some((_, after)) = rest.split_once(text) else {
                panic!("{text:?} is not in {row:?}")
            };
            rest = after;
        }
    }
}

#[tokio::test]
async fn each_event_is_listed_with_what_it_changed() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let update = |id: &str, state: &str, second: u32| {
            event(id, "user.updated", second, &user_data("u", state, second))
        };
        // In separate transactions, as separate deliveries.
        for it in [
            directory("d"),
            user("u", "active"),
            group("g"),
            member("in", "u", "g", 2, true),
            update("off", "inactive", 10),
            // This one happened before, so it is late.
            update("late", "active", 5),
            // The same event again.
            update("off", "inactive", 10),
            // A new event with the same version.
            event("same", "user.updated", 11, &user_data("u", "inactive", 10)),
            member("out", "u", "g", 12, false),
            event("ended", "user.deleted", 20, &json!({"id": "u", "directory_id": "d"})),
            update("after_the_end", "active", 30),
        ] {
            mirror.apply(&it).await.unwrap();
        }
        let expected: [&[&str]; 9] = [
            &["09:00:30", "dsync.user.updated", "event_after_the_end", "nothing"],
            &["09:00:20", "dsync.user.deleted", "event_ended", "User removed"],
            &["09:00:12", "dsync.group.user_removed", "event_out", "Left a group", "Name of g"],
            &["09:00:11", "dsync.user.updated", "event_same", "nothing"],
            &["09:00:05", "late", "dsync.user.updated", "event_late", "nothing"],
            &["09:00:10", "dsync.user.updated", "event_off", "Access revoked"],
            &["09:00:02", "dsync.group.user_added", "event_in", "Joined a group", "Name of g"],
            &["09:00:01", "dsync.user.created", "event_of_u", "User added", "Access granted"],
            &["dsync.activated", "event_of_d", "Directory added"],
        ];
        let rows = history(&mirror, "u").await;
        assert_rows(&rows, &expected);
        let late: Vec<_> = rows.iter().map(|row| row.contains(" late ")).collect();
        assert_eq!(late.iter().filter(|is_late| **is_late).count(), 1, "{rows:#?}");
        assert!(late[4]);
    })
    .await;
}

#[tokio::test]
async fn the_end_of_the_directory_is_part_of_it() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        for it in [
            directory("d"),
            user("u", "active"),
            user("other", "active"),
            event("broken", "activated", 5, &directory_data("d", "inactive", 5)),
            event("well", "activated", 6, &directory_data("d", "active", 6)),
            event("gone", "deleted", 7, &json!({"id": "d"})),
        ] {
            mirror.apply(&it).await.unwrap();
        }
        let expected: [&[&str]; 5] = [
            &["09:00:07", "dsync.deleted", "event_gone", "Directory removed"],
            &["dsync.activated", "event_well", "Directory gives access"],
            &["dsync.activated", "event_broken", "Directory gives no access"],
            &["dsync.user.created", "event_of_u", "Access granted"],
            &["dsync.activated", "event_of_d", "Directory added"],
        ];
        assert_rows(&history(&mirror, "u").await, &expected);
    })
    .await;
}

#[tokio::test]
async fn what_a_comparison_with_the_api_found() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d1", 3, 1).await;
        world.run().await;
        let mut off = emulated_user("d1", 1);
        off["state"] = json!("inactive");
        let lost = world.lose("user.updated", &off);
        world.run().await;
        let mirror = &world.mirror;
        let rows = history(mirror, "d1_u1").await;
        assert!(rows[0].contains("Found by a comparison with the API"), "{rows:#?}");
        assert!(rows[0].contains("Access revoked"), "{rows:#?}");
        let said = verdict(mirror, "d1_u1").await;
        assert!(said.contains("comparison with the API"), "{said}");
        // The event arrives in the end, and changes nothing.
        mirror.apply(&lost).await.unwrap();
        let rows = history(mirror, "d1_u1").await;
        assert!(rows[0].contains(lost.id().as_str()) && rows[0].contains("nothing"), "{rows:#?}");
        assert!(rows[1].contains("Found by a comparison with the API"), "{rows:#?}");
    })
    .await;
}

#[tokio::test]
async fn unknown_users_have_no_page() {
    on_sqlite(async |database| {
        let mirror = database.mirror().await;
        mirror.apply(&user("u", "active")).await.unwrap();
        for path in
            ["/user", "/user?id=", "/user?id=U", "/user?id=u2", "/group?id=u", "/directory?id=u"]
        {
            let reply = get(&open(&mirror), path).await;
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "{path}");
            assert!(reply.body.contains("<h1>No such "), "{path}");
        }
        // A directory without an event of its own has one.
        page(&open(&mirror), "/user?id=u").await;
    })
    .await;
}
