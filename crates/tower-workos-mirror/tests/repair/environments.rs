//! Keys of several environments.

use dsync_emulator::Emulator;
use tower_workos_mirror::{
    ApiClient, DirectoryOutcome, DriftAction, ReconcileErrorKind, Reconciler,
};

use crate::{
    databases::on_both,
    support::{STATE, World, client, nothing_is_left, outcomes, rows},
};

const COMPLETE: DirectoryOutcome = DirectoryOutcome::Complete;

/// Another environment at the same time, with a directory.
async fn other(world: &World, directory: &str) -> (Emulator, ApiClient) {
    let emulator = Emulator::builder().clock(world.clock.clone()).start().await.unwrap();
    for body in [
        world.event("activated", &crate::support::directory(directory)),
        world.event("user.created", &crate::support::user(directory, 1)),
        world.event("user.created", &crate::support::user(directory, 2)),
    ] {
        emulator.record(body.raw().clone()).unwrap();
    }
    let api = client(&emulator.url(), emulator.api_key(), &world.clock);
    (emulator, api)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_another_environment_revokes_nobody() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 5, 1).await;
        assert!(world.run().await.is_complete());
        let (_emulator, api) = other(&world, "x").await;
        world.wait(120);
        let before = rows(database, &STATE).await;
        let wrong = Reconciler::builder(world.mirror.clone(), api);
        for mass in [false, true] {
            let wrong = wrong.clone().allow_mass_removal(mass).build();
            let error = wrong.run().await.unwrap_err();
            assert_eq!(error.kind(), ReconcileErrorKind::Environment);
            assert!(error.to_string().contains("WORKOS_API_KEY"), "{error}");
            assert_eq!(wrong.dry_run().await.unwrap_err().kind(), ReconcileErrorKind::Environment);
        }
        assert_eq!(rows(database, &STATE).await, before);
        nothing_is_left(database).await;

        let report = wrong.allow_new_environment(true).build().run().await.unwrap();
        assert_eq!(outcomes(&report), [("d", DirectoryOutcome::Breaker), ("x", COMPLETE)]);
        assert_eq!(world.counts().await, [2, 1, 7, 5, 7]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn environments_that_share_a_mirror_leave_each_other_alone() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 5, 1).await;
        let (emulator, api) = other(&world, "x").await;
        // Its deliveries arrive at the same mirror.
        for event in [
            world.event("activated", &crate::support::directory("x")),
            world.event("user.created", &crate::support::user("x", 1)),
        ] {
            world.mirror.apply(&event).await.unwrap();
        }
        let one = world.builder().environment("one");
        let two = Reconciler::builder(world.mirror.clone(), api).environment("two");
        for _ in 0..2 {
            world.wait(120);
            let report = one.clone().build().run().await.unwrap();
            // Never listed: it may be the other one's.
            let expected = [("d", COMPLETE), ("x", DirectoryOutcome::Environment)];
            assert_eq!(outcomes(&report), expected);
            assert_eq!(world.counts().await, [2, 1, 6, 5, 6]);
        }
        for _ in 0..2 {
            let report = two.clone().build().run().await.unwrap();
            assert_eq!(outcomes(&report), [("x", COMPLETE)]);
            assert_eq!(report.total(DriftAction::Withheld), 0);
            assert_eq!(world.counts().await, [2, 1, 7, 5, 7]);
        }
        world.emulator.remove_silently("d_u1").unwrap();
        emulator.remove_silently("x_u1").unwrap();
        world.wait(120);
        assert_eq!(outcomes(&one.build().run().await.unwrap()), [("d", COMPLETE)]);
        assert_eq!(world.counts().await, [2, 1, 6, 4, 6]);
        assert_eq!(outcomes(&two.build().run().await.unwrap()), [("x", COMPLETE)]);
        assert_eq!(world.counts().await, [2, 1, 5, 4, 5]);

        // The name of one, and the key of the other.
        let before = rows(database, &STATE).await;
        let swapped = world.builder().environment("two").allow_mass_removal(true).build();
        let error = swapped.run().await.unwrap_err();
        assert_eq!(error.kind(), ReconcileErrorKind::Environment);
        assert_eq!(rows(database, &STATE).await, before);
    })
    .await;
}
