//! The pages of a long history: each entry is on exactly one of them.

use std::collections::HashMap;

use axum::Router;
use serde_json::json;

use crate::{
    client::{next, open, page, rows},
    databases::on_both,
    events::{directory, directory_data, event, user, user_data},
    support::{World, user as emulated_user},
};

/// The rows of all pages about a user, and how many pages there are.
async fn walk(app: &Router, user: &str) -> (Vec<String>, usize) {
    let (mut all, mut path, mut pages) = (Vec::new(), Some(format!("user?id={user}")), 0);
    while let Some(this) = path {
        let html = page(app, &format!("/{this}")).await;
        let found = rows(&html, "history");
        assert!(!found.is_empty(), "{this}");
        all.extend(found);
        path = next(&html);
        pages += 1;
        assert!(pages < 50, "the pages do not end");
    }
    (all, pages)
}

/// How many rows each event has.
fn counts(rows: &[String]) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for row in rows.iter().filter(|row| row.contains("event_")) {
        let (_, id) = row.split_once("event_").unwrap();
        *counts.entry(id.split(' ').next().unwrap()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn events_that_arrived_in_small_batches() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        mirror.apply_all(&[directory("d"), user("u", "active")]).await.unwrap();
        let mut expected = 2;
        for batch in 0..40_u32 {
            let size = 1 + batch % 7;
            let events: Vec<_> = (0..size)
                .map(|number| {
                    let second = 100 + batch * 10 + number;
                    let state = if second % 2 == 0 { "active" } else { "inactive" };
                    event(
                        &format!("{batch}_{number}"),
                        "user.updated",
                        second,
                        &user_data("u", state, second),
                    )
                })
                .collect();
            mirror.apply_all(&events).await.unwrap();
            expected += events.len();
        }
        let (rows, pages) = walk(&open(&mirror), "u").await;
        assert!(pages > 3, "{pages}");
        assert_eq!((rows.len(), counts(&rows).len()), (expected, expected));
    })
    .await;
}

/// More events than a page has arrived at the same time, and most of them changed nothing.
#[tokio::test]
async fn events_that_arrived_in_one_large_batch() {
    const EVENTS: usize = 120;
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d1", 2, 0).await;
        world.run().await;
        let changed = |state: &str| {
            let mut data = emulated_user("d1", 1);
            data["state"] = json!(state);
            data
        };
        world.lose("user.updated", &changed("inactive"));
        world.run().await;

        let mut events: Vec<_> = (0..EVENTS)
            .map(|number| {
                let state = if number % 2 == 0 { "active" } else { "inactive" };
                world.lose("user.updated", &changed(state))
            })
            .collect();
        // The newer ones first, but for the last of the batch.
        events.reverse();
        events.rotate_left(1);
        world.mirror.apply_all(&events).await.unwrap();
        world.lose("user.updated", &changed("active"));
        world.run().await;
        world.equal().await;

        let (rows, pages) = walk(&open(&world.mirror), "d1_u1").await;
        assert_eq!(pages, 3);
        let counts = counts(&rows);
        assert!(counts.values().all(|count| *count == 1), "{counts:?}");
        // The first events are those of the directory and of the user.
        assert_eq!(counts.len(), EVENTS + 2);
        let is_listed = |event: &tower_workos::DirectoryEvent| {
            counts.contains_key(event.id().as_str().trim_start_matches("event_"))
        };
        assert!(events.iter().all(is_listed));
        assert!(rows.iter().filter(|row| row.contains("nothing about this user")).count() > 100);
        // The changes without an event: before the batch, and after it.
        let found: Vec<_> =
            (0..rows.len()).filter(|row| rows[*row].contains("Found by a comparison")).collect();
        assert_eq!(found, [0, EVENTS + 1], "{rows:#?}");
        assert!(rows[0].contains("Access granted"), "{}", rows[0]);
        assert!(rows[EVENTS + 1].contains("Access revoked"), "{}", rows[EVENTS + 1]);
    })
    .await;
}

/// A directory changes more often than a page has rows, and the user hardly does.
#[tokio::test]
async fn many_changes_of_the_directory() {
    const CHANGES: u32 = 60;
    on_both(async |database| {
        let mirror = database.mirror().await;
        mirror.apply_all(&[directory("d"), user("u", "active")]).await.unwrap();
        let mut events = Vec::new();
        for number in 0..CHANGES {
            let (second, state) =
                (100 + number, ["inactive", "active"][usize::from(number % 2 == 1)]);
            let data = directory_data("d", state, second);
            events.push(event(&format!("d{number}"), "activated", second, &data));
            if number % 30 == 10 {
                let data = user_data("u", "active", second);
                events.push(event(&format!("u{number}"), "user.updated", second, &data));
            }
        }
        for event in &events {
            mirror.apply(event).await.unwrap();
        }
        let (rows, pages) = walk(&open(&mirror), "u").await;
        assert_eq!(pages, 2);
        let expected: Vec<_> = events.iter().rev().map(|it| it.id().as_str().to_owned()).collect();
        let with = |text: &str| rows.iter().filter(|row| row.contains(text)).count();
        assert_eq!((with("gives no access"), with("gives access")), (30, 30), "{rows:#?}");
        assert_eq!(rows.len(), expected.len() + 2);
        for (row, id) in rows.iter().zip(expected) {
            assert!(row.contains(&format!("{id} ")), "{id} is not in {row}");
        }
    })
    .await;
}
