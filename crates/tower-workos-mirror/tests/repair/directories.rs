//! Directories that come and go.

use serde_json::json;
use tower_workos_mirror::{ChangeKind, DirectoryOutcome, DriftAction};

use crate::{
    databases::on_both,
    support::{World, directory, drift, outcomes, user},
};

const COMPLETE: DirectoryOutcome = DirectoryOutcome::Complete;

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_whose_deletion_was_lost_becomes_absent() {
    on_both(async |database| {
        let world = World::start(database).await;
        for id in ["d", "e"] {
            world.told(id, 30, 2).await;
        }
        assert!(world.run().await.is_complete());
        world.emulator.remove_silently("e").unwrap();
        let report = world.run().await;
        assert_eq!(outcomes(&report), [("d", COMPLETE), ("e", COMPLETE)]);
        assert_eq!(report.confirmations, 1);
        let applied = drift(&report, DriftAction::Applied);
        assert_eq!(applied, ["directory_deleted e", "directory_revoked e"]);
        assert_eq!(world.counts().await, [1, 2, 30, 30, 30]);
        world.equal().await;

        let report = world.run().await;
        assert_eq!(outcomes(&report), [("d", COMPLETE)]);
        assert_eq!(report.counts, []);
        let feed = world.mirror.changes_page(0, 1000).await.unwrap();
        let revoked = feed.iter().filter(|it| it.kind == ChangeKind::DirectoryRevoked);
        assert_eq!(revoked.count(), 1);
        // The event was late.
        let deleted = world.event("deleted", &json!({"id": "e"}));
        world.mirror.apply(&deleted).await.unwrap();
        world.equal().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_absent_directories_trip_the_breaker() {
    on_both(async |database| {
        let world = World::start(database).await;
        for id in ["d", "e", "f"] {
            world.told(id, 3, 1).await;
        }
        assert!(world.run().await.is_complete());
        world.proxy.rule(|call, reply| reply.hide(call, |id| id == "e" || id == "f"));
        let report = world.run().await;
        let breaker = DirectoryOutcome::Breaker;
        assert_eq!(outcomes(&report), [("d", COMPLETE), ("e", breaker), ("f", breaker)]);
        let withheld = drift(&report, DriftAction::Withheld);
        let expected = [
            "directory_deleted e",
            "directory_deleted f",
            "directory_revoked e",
            "directory_revoked f",
        ];
        assert_eq!(withheld, expected);
        world.equal().await;

        world.wait(120);
        let report = world.builder().allow_mass_removal(true).build().run().await.unwrap();
        assert_eq!(drift(&report, DriftAction::Applied), expected);
        assert_eq!(world.counts().await, [1, 1, 3, 3, 3]);

        // They come back, with everything in them.
        world.proxy.clear();
        assert!(world.run().await.is_complete());
        world.equal().await;
        assert_eq!(world.counts().await, [3, 3, 9, 9, 9]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlinked_directory_loses_access() {
    on_both(async |database| {
        let world = World::start(database).await;
        for id in ["d", "e"] {
            world.told(id, 3, 1).await;
        }
        assert!(world.run().await.is_complete());
        world.emulator.set_member("e", "state", json!("inactive")).unwrap();
        let report = world.run().await;
        assert_eq!(drift(&report, DriftAction::Applied), ["directory_revoked e"]);
        assert_eq!(world.counts().await, [2, 2, 6, 6, 3]);
        world.equal().await;
        world.emulator.set_member("e", "state", json!("active")).unwrap();
        let report = world.run().await;
        assert_eq!(drift(&report, DriftAction::Applied), ["directory_restored e"]);
        world.equal().await;
    })
    .await;
}

/// Its row is missing, but its users are there.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_whose_events_were_both_lost_becomes_absent() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 3, 1).await;
        for n in 0..3 {
            let event = world.event("user.created", &user("lost", n));
            world.mirror.apply(&event).await.unwrap();
        }
        assert_eq!(world.counts().await, [1, 1, 6, 3, 6]);
        let report = world.run().await;
        assert_eq!(outcomes(&report)[1], ("lost", DirectoryOutcome::FirstRun));
        assert_eq!(world.counts().await, [1, 1, 6, 3, 6]);
        let report = world.run().await;
        assert_eq!(outcomes(&report), [("d", COMPLETE), ("lost", COMPLETE)]);
        world.equal().await;
        assert_eq!(outcomes(&world.run().await), [("d", COMPLETE)]);
    })
    .await;
}

/// An event arrived that the list does not show yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_newer_than_the_list_is_not_absent() {
    on_both(async |database| {
        let world = World::start(database).await;
        for id in ["d", "e"] {
            world.told(id, 3, 1).await;
        }
        assert!(world.run().await.is_complete());
        world.emulator.remove_silently("e").unwrap();
        world.wait(120);
        let event = world.event("activated", &directory("new"));
        world.mirror.apply(&event).await.unwrap();
        let event = world.event("user.created", &user("newer", 1));
        world.mirror.apply(&event).await.unwrap();
        let report = world.reconciler().run().await.unwrap();
        // One directory is absent, not three.
        assert_eq!(outcomes(&report), [("d", COMPLETE), ("e", COMPLETE)]);
        assert_eq!(world.counts().await, [2, 1, 4, 3, 4]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_exists_is_not_absent() {
    on_both(async |database| {
        let world = World::start(database).await;
        for id in ["d", "e"] {
            world.told(id, 3, 1).await;
        }
        assert!(world.run().await.is_complete());
        world.proxy.rule(|call, reply| {
            if call.path == "/directories" {
                reply.hide(call, |id| id == "e");
            }
        });
        let report = world.run().await;
        assert_eq!(outcomes(&report), [("d", COMPLETE), ("e", DirectoryOutcome::Incomplete)]);
        world.equal().await;
        // A request that fails concerns this directory only.
        world.proxy.rule(|call, reply| {
            reply.hide(call, |id| id == "e");
            if call.path == "/directories/e" {
                reply.fail(500);
            }
        });
        let report = world.run().await;
        assert_eq!(outcomes(&report), [("d", COMPLETE), ("e", DirectoryOutcome::Failed)]);
        world.equal().await;
    })
    .await;
}

/// A list that changes while it is read contains an item twice. Two comparisons of one directory would disturb each other.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_listed_twice_is_compared_once() {
    on_both(async |database| {
        let world = World::start(database).await;
        for id in ["d", "e"] {
            world.told(id, 3, 1).await;
        }
        world.proxy.rule(|call, reply| {
            if call.path == "/directories" {
                let first = reply.items()[0].clone();
                reply.items().push(first);
            }
        });
        let report = world.run().await;
        assert_eq!(outcomes(&report), [("d", COMPLETE), ("e", COMPLETE)]);
        world.equal().await;
    })
    .await;
}
