//! The world changes while a run reads it.

use std::sync::{Arc, Mutex};

use dsync_emulator::Emulator;
use serde_json::json;
use tower_workos_mirror::DirectoryOutcome;

use crate::{
    databases::on_both,
    proxy::Call,
    support::{World, membership, outcomes, user},
};

/// Does something to the world once, after the response to the first call that matches.
fn once(
    world: &World,
    matches: impl Fn(&Call) -> bool + Send + 'static,
    mut act: impl FnMut(&Emulator) + Send + 'static,
) -> Arc<Mutex<bool>> {
    let done = Arc::new(Mutex::new(false));
    let (emulator, is_done) = (Arc::clone(&world.emulator), Arc::clone(&done));
    world.proxy.rule(move |call, _| {
        let mut done = is_done.lock().unwrap();
        if !*done && matches(call) {
            *done = true;
            act(&emulator);
        }
    });
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_deleted_while_the_lists_are_read() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 12, 3).await;
        assert!(world.run().await.is_complete());
        let is_users = |call: &Call| call.lists("/directory_users", "directory");
        let done = once(&world, is_users, |emulator| emulator.remove_silently("d_g1").unwrap());
        let report = world.run().await;
        assert!(*done.lock().unwrap());
        assert_eq!(outcomes(&report), [("d", DirectoryOutcome::Complete)]);
        assert_eq!(world.counts().await, [1, 3, 12, 12, 12], "it existed when the run began");
        world.proxy.clear();
        assert!(world.run().await.is_complete());
        world.equal().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_joins_while_the_lists_are_read() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 12, 3).await;
        let events = [
            world.event("user.created", &user("d", 50)),
            world.event("group.user_added", &membership("d", 50, 1)),
        ];
        let is_users = |call: &Call| call.lists("/directory_users", "directory");
        once(&world, is_users, move |emulator| {
            for event in &events {
                emulator.record(event.raw().clone()).unwrap();
            }
        });
        let report = world.run().await;
        assert_eq!(outcomes(&report), [("d", DirectoryOutcome::Complete)]);
        assert_eq!(report.directories[0].users, 12);
        // The list of members shows the user as well.
        assert_eq!(world.counts().await, [1, 3, 13, 13, 13]);
        world.proxy.clear();
        assert!(world.run().await.is_complete());
        world.equal().await;
    })
    .await;
}

/// Events from before the fence arrive after the run.
#[tokio::test(flavor = "multi_thread")]
async fn late_events_do_not_bring_back_what_the_lists_lacked() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 12, 3).await;
        assert!(world.run().await.is_complete());
        // All of this is lost or late: a user, a membership and a group were created, then deleted.
        let mut late = vec![
            world.lose("user.created", &user("d", 50)),
            world.lose("user.updated", &user("d", 4)),
            world.lose("group.user_added", &membership("d", 5, 0)),
            world.lose("group.created", &crate::support::group("d", 9)),
            world.lose("group.user_added", &membership("d", 6, 9)),
        ];
        world.lose("user.deleted", &json!({"id": "d_u50", "directory_id": "d"}));
        world.lose("user.deleted", &json!({"id": "d_u4", "directory_id": "d"}));
        world.lose("group.deleted", &json!({"id": "d_g9", "directory_id": "d"}));
        world.emulator.set_membership("d_u5", "d_g0", false).unwrap();
        let report = world.run().await;
        assert_eq!(outcomes(&report), [("d", DirectoryOutcome::Complete)]);
        world.equal().await;
        late.reverse();
        for event in &late {
            world.mirror.apply(event).await.unwrap();
            world.equal().await;
        }
        // What happened after the fence wins.
        world.clock.advance(std::time::Duration::from_secs(1));
        world.tell("user.created", &user("d", 51)).await;
        world.tell("group.user_added", &membership("d", 51, 0)).await;
        world.equal().await;
        assert!(world.run().await.is_complete());
        world.equal().await;
    })
    .await;
}

/// Events that are later than the fence are not visible to the lists yet, or were delivered during the run.
#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_later_than_the_fence_win() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 12, 3).await;
        assert!(world.run().await.is_complete());
        world.wait(120);
        // In the last minute. The API does not show it yet.
        for event in [
            world.event("user.created", &user("d", 50)),
            world.event("group.user_added", &membership("d", 50, 0)),
            world.event("group.user_removed", &membership("d", 3, 0)),
            world.event("user.deleted", &json!({"id": "d_u4", "directory_id": "d"})),
        ] {
            world.mirror.apply(&event).await.unwrap();
        }
        let counts = [1, 3, 12, 11, 12];
        assert_eq!(world.counts().await, counts);
        let report = world.reconciler().run().await.unwrap();
        assert_eq!(outcomes(&report), [("d", DirectoryOutcome::Complete)]);
        assert_eq!(report.counts, []);
        assert_eq!(world.counts().await, counts);
    })
    .await;
}
