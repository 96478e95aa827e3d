//! Since when a user has, or has not, access.

use std::time::Duration;

use tower_workos::DirectoryEvent;
use tower_workos_mirror::Mirror;

use crate::{
    access::verdict,
    databases::{Database, on_both},
    events::{directory, directory_data, event, user, user_data},
};

/// An update of the name only.
fn renamed(state: &str) -> DirectoryEvent {
    let mut data = user_data("u", state, 100);
    data["first_name"] = "Grace".into();
    event("renamed", "user.updated", 100, &data)
}

fn state_of_directory(id: &str, state: &str, second: u32) -> DirectoryEvent {
    event(id, "activated", second, &directory_data("d", state, second))
}

/// What the page says before and after everything was purged that can be.
async fn before_and_after(database: &Database, mirror: &Mirror) -> [String; 2] {
    let before = verdict(mirror, "u").await;
    let forgetful = database.builder().retention(Duration::ZERO).build().unwrap();
    assert!(forgetful.upkeep().await.unwrap().changes > 0);
    assert_eq!(database.count("workos_mirror_change").await, 0);
    [before, verdict(mirror, "u").await]
}

#[tokio::test]
async fn a_later_update_of_the_name_is_not_the_start() {
    on_both(async |database| {
        for (state, access) in [("active", "has access"), ("suspended", "has no access")] {
            let mirror = database.mirror().await;
            database.empty().await;
            for it in [
                directory("d"),
                user("u", "active"),
                event("state", "user.updated", 5, &user_data("u", state, 5)),
                renamed(state),
            ] {
                mirror.apply(&it).await.unwrap();
            }
            let [before, after] = before_and_after(database, &mirror).await;
            let start = if state == "active" { "event_of_u" } else { "event_state" };
            assert!(before.contains(access) && before.contains(start), "{before}");
            assert!(after.contains(access), "{after}");
            assert!(after.contains("Since when is not known"), "{after}");
            for text in ["Since 2", "event", "comparison", "09:01:40", "09:00:05"] {
                assert!(
                    !after.replace("next event", "").contains(text),
                    "{text:?} is in {after:?}"
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn access_begins_when_the_directory_is_restored() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let says = async |event: &DirectoryEvent, texts: [&str; 2]| {
            mirror.apply(event).await.unwrap();
            let said = verdict(&mirror, "u").await;
            assert!(texts.iter().all(|text| said.contains(text)), "{texts:?}: {said}");
        };
        mirror.apply_all(&[directory("d"), user("u", "active")]).await.unwrap();
        says(&state_of_directory("off", "inactive", 5), ["09:00:05", "event_off"]).await;
        says(&state_of_directory("on", "active", 6), ["09:00:06", "event_on"]).await;
        let state =
            |id, state, second| event(id, "user.updated", second, &user_data("u", state, second));
        says(&state("u_off", "inactive", 8), ["09:00:08", "event_u_off"]).await;
        says(&state("u_on", "active", 9), ["09:00:09", "event_u_on"]).await;
        // Another directory says nothing about this user.
        let other = |id, state, second| {
            event(id, "activated", second, &directory_data("d2", state, second))
        };
        mirror.apply(&other("d2", "inactive", 20)).await.unwrap();
        says(&other("d2_on", "active", 21), ["09:00:09", "event_u_on"]).await;
    })
    .await;
}
