//! Lists that are wrong once, directories that fail again and again, and the last directory of an environment.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tower_workos_mirror::{DirectoryOutcome, DriftAction, EventsPoller, ReconcileErrorKind};

use crate::{
    databases::on_both,
    support::{World, drift, outcomes},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_lost_many_members_is_listed_again() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 120, 2).await;
        assert!(world.run().await.is_complete());
        // The first list of one group lacks 21 of its 60 members.
        let lists = AtomicUsize::new(0);
        world.proxy.rule(move |call, reply| {
            if call.query.get("group").is_some_and(|it| it == "d_g0")
                && lists.fetch_add(1, Ordering::Relaxed) == 0
            {
                reply.items().truncate(39);
            }
        });
        let report = world.run().await;
        assert_eq!(outcomes(&report), [("d", DirectoryOutcome::Incomplete)]);
        assert_eq!(report.total(DriftAction::Withheld), 21);
        world.equal().await;

        // Both lists lack them.
        world.proxy.clear();
        for n in 0..21 {
            world.emulator.set_membership(&format!("d_u{}", 2 * n), "d_g0", false).unwrap();
        }
        let report = world.run().await;
        assert!(report.is_complete(), "{:?}", report.directories);
        assert_eq!(report.total(DriftAction::Applied), 21);
        world.equal().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_always_fails_does_not_make_every_run_the_first() {
    on_both(async |database| {
        let world = World::start(database).await;
        for id in ["d", "e"] {
            world.told(id, 30, 2).await;
        }
        world.proxy.rule(|call, reply| {
            if call.query.get("directory").is_some_and(|it| it == "e") {
                reply.fail(400);
            }
        });
        world.emulator.remove_silently("d_u3").unwrap();
        let failed = ("e", DirectoryOutcome::Failed);
        let report = world.run().await;
        assert_eq!(outcomes(&report), [("d", DirectoryOutcome::FirstRun), failed]);
        let report = world.run().await;
        assert_eq!(outcomes(&report), [("d", DirectoryOutcome::Complete), failed]);
        assert!(drift(&report, DriftAction::Applied).contains(&"user_deleted d_u3".to_owned()));

        // It was never compared, so its first comparison withholds removals.
        world.proxy.clear();
        world.emulator.remove_silently("e_u3").unwrap();
        let report = world.run().await;
        let complete = DirectoryOutcome::Complete;
        assert_eq!(outcomes(&report), [("d", complete), ("e", DirectoryOutcome::FirstRun)]);
        assert_eq!(outcomes(&world.run().await), [("d", complete), ("e", complete)]);
        world.equal().await;
    })
    .await;
}

/// Directories that fail each time are not an outage, however many there are.
#[tokio::test(flavor = "multi_thread")]
async fn directories_that_always_fail_do_not_stop_the_others() {
    on_both(async |database| {
        let world = World::start(database).await;
        let ids: Vec<_> = (b'a'..=b'n').map(|it| char::from(it).to_string()).collect();
        for id in &ids {
            world.told(id, 2, 1).await;
        }
        assert!(world.run().await.is_complete());
        let fails = |id: &String| id.as_str() < "m";
        for status in [400, 403] {
            world.proxy.clear();
            world.proxy.rule(move |call, reply| {
                if call.query.get("directory").is_some_and(fails) {
                    reply.fail(status);
                }
            });
            let report = world.run().await;
            for (id, directory) in ids.iter().zip(&report.directories) {
                let (failed, complete) = (DirectoryOutcome::Failed, DirectoryOutcome::Complete);
                let expected = if fails(id) { failed } else { complete };
                assert_eq!(directory.outcome, expected, "{id}");
                // All were tried. A key without permissions looks like an outage.
                let reason = directory.reason.as_deref().unwrap_or_default();
                assert!(status == 403 || !reason.contains("several other"), "{id}: {reason}");
            }
        }
    })
    .await;
}

/// Two directories are absent, but the API answers for one of them only.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_the_api_does_not_answer_for_may_be_absent() {
    on_both(async |database| {
        let world = World::start(database).await;
        for id in ["d", "e", "f"] {
            world.told(id, 2, 1).await;
        }
        assert!(world.run().await.is_complete());
        world.proxy.rule(|call, reply| {
            reply.hide(call, |id| id == "e" || id == "f");
            if call.path == "/directories/f" {
                reply.fail(400);
            }
        });
        let report = world.run().await;
        let expected = [
            ("d", DirectoryOutcome::Complete),
            ("e", DirectoryOutcome::Breaker),
            ("f", DirectoryOutcome::Failed),
        ];
        assert_eq!(outcomes(&report), expected);
        assert_eq!(world.access().await.len(), 6);
    })
    .await;
}

/// The API shows no directory of the mirror any more, as if the key belonged to another environment. The events show that it
/// does not.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_directory_can_be_deleted() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 30, 2).await;
        assert!(world.run().await.is_complete());
        let poller = EventsPoller::new(world.mirror.clone(), world.api.clone());
        poller.drain().await.unwrap();
        world.lose("deleted", &json!({"id": "d"}));
        world.wait(120);
        assert_eq!(poller.drain().await.unwrap().events, 1);
        assert_eq!(world.counts().await, [0; 5]);
        assert!(world.run().await.is_complete());

        // If its deletion is no event, or too old, the events show that the key is right, but not that it is gone.
        world.told("e", 30, 2).await;
        assert!(world.run().await.is_complete());
        world.emulator.remove_silently("e").unwrap();
        let report = world.run().await;
        assert_eq!(outcomes(&report), [("e", DirectoryOutcome::Breaker)]);
        assert_eq!(world.counts().await, [1, 2, 30, 30, 30]);
        let allowed = world.builder().allow_mass_removal(true).build();
        assert!(allowed.run().await.unwrap().is_complete());
        assert_eq!(world.counts().await, [0; 5]);

        // If there are no events either, it needs a decision.
        world.told("f", 3, 1).await;
        assert!(world.run().await.is_complete());
        world.wait(120);
        poller.drain().await.unwrap();
        world.emulator.remove_silently("f").unwrap();
        let error = world.reconciler().run().await.unwrap_err();
        assert_eq!(error.kind(), ReconcileErrorKind::Environment);
        assert_eq!(world.counts().await, [1, 1, 3, 3, 3]);
        let allowed = world.builder().allow_new_environment(true).allow_mass_removal(true).build();
        assert!(allowed.run().await.unwrap().is_complete());
        assert_eq!(world.counts().await, [0; 5]);
    })
    .await;
}
