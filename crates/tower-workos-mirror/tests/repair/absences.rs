//! What the API lacks.

use tower_workos_mirror::{DirectoryOutcome, DriftAction, ReconcileReport};

use crate::{
    databases::on_both,
    proxy::{Call, Reply},
    support::{World, drift, nothing_is_left, outcomes, user},
};

fn outcome(report: &ReconcileReport) -> DirectoryOutcome {
    report.directories[0].outcome
}

/// The number of the user in an id.
fn number(id: &str) -> Option<u32> {
    id.rsplit_once("_u")?.1.parse().ok()
}

fn hide(call: &Call, reply: &mut Reply, users: impl Fn(u32) -> bool) {
    reply.hide(call, |id| number(id).is_some_and(&users));
}

fn remove(world: &World, users: std::ops::Range<u32>) {
    for n in users {
        world.emulator.remove_silently(&format!("d_u{n}")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_run_withholds_removals() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 30, 2).await;
        world.emulator.remove_silently("d_u3").unwrap();
        world.emulator.remove_silently("d_g0").unwrap();
        world.emulator.set_membership("d_u5", "d_g1", false).unwrap();
        world.emulator.set_role("d_u7", "owner").unwrap();
        let report = world.run().await;
        assert!(report.is_first && !report.is_complete());
        assert_eq!(outcomes(&report), [("d", DirectoryOutcome::FirstRun)]);
        let withheld = drift(&report, DriftAction::Withheld);
        let expected = [
            "group_deleted d_g0",
            "membership_removed d_g1 d_u3",
            "membership_removed d_g1 d_u5",
            "user_deleted d_u3",
            "user_revoked d_u3",
        ];
        assert_eq!(withheld, expected);
        assert_eq!(drift(&report, DriftAction::Applied), ["user_updated d_u7"]);
        assert_eq!(world.counts().await, [1, 2, 30, 30, 30]);
        assert_eq!(world.proxy.count("/directory_users/"), 0, "nothing to confirm yet");

        let report = world.run().await;
        assert!(!report.is_first && report.is_complete());
        assert_eq!(drift(&report, DriftAction::Applied), expected);
        assert_eq!(report.confirmations, 2);
        world.equal().await;
        assert_eq!(world.run().await.counts, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_shows_half_its_users_removes_nobody() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 100, 2).await;
        assert!(world.run().await.is_complete());
        let half = |call: &Call, reply: &mut Reply| hide(call, reply, |n| n % 2 == 1);
        world.proxy.rule(half);
        let report = world.run().await;
        assert_eq!(outcome(&report), DirectoryOutcome::Breaker);
        assert_eq!(report.total(DriftAction::Withheld), 50 * 3);
        assert_eq!(report.total(DriftAction::Applied), 0);
        assert_eq!(world.proxy.count("/directory_users/"), 0);
        world.equal().await;

        world.wait(120);
        let report = world.builder().allow_mass_removal(true).build().run().await.unwrap();
        assert!(report.is_complete());
        assert_eq!((report.total(DriftAction::Applied), report.confirmations), (50 * 3, 50));
        // The group 1 has no members any more.
        assert_eq!(world.counts().await, [1, 2, 50, 50, 50]);

        world.proxy.clear();
        let report = world.run().await;
        assert_eq!(report.total(DriftAction::Applied), 50 * 3);
        world.equal().await;
        assert_eq!(world.access().await.len(), 100);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_twenty_and_more_than_a_quarter_is_much() {
    on_both(async |database| {
        for (users, absent, expected) in [
            (40, 20, DirectoryOutcome::Complete),
            (40, 21, DirectoryOutcome::Breaker),
            (200, 50, DirectoryOutcome::Complete),
            (200, 51, DirectoryOutcome::Breaker),
        ] {
            let world = World::start(database).await;
            database.empty().await;
            database.run("DELETE FROM workos_mirror_repair").await;
            world.told("d", users, 0).await;
            assert!(world.run().await.is_complete());
            remove(&world, 0..absent);
            let report = world.run().await;
            assert_eq!(outcome(&report), expected, "{absent} of {users}");
            let withheld = if expected == DirectoryOutcome::Complete { 0 } else { 2 * absent };
            assert_eq!(report.total(DriftAction::Withheld), u64::from(withheld));
            if withheld == 0 {
                world.equal().await;
            }
        }
    })
    .await;
}

/// What the lists bring counts as a part of the directory, also in a dry run, which does not merge it.
#[tokio::test(flavor = "multi_thread")]
async fn groups_and_memberships_are_counted_as_well() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 84, 1).await;
        assert!(world.run().await.is_complete());
        for n in 0..22 {
            world.emulator.set_membership(&format!("d_u{n}"), "d_g0", false).unwrap();
        }
        let report = world.run().await;
        assert_eq!(outcome(&report), DirectoryOutcome::Breaker, "22 of 84 memberships");
        assert_eq!(report.total(DriftAction::Withheld), 22);

        // Of 88 memberships, 22 are no longer more than a quarter.
        for n in 84..88 {
            world.lose("user.created", &user("d", n));
            world.emulator.set_membership(&format!("d_u{n}"), "d_g0", true).unwrap();
        }
        world.wait(120);
        let dry = world.reconciler().dry_run().await.unwrap();
        assert_eq!(outcome(&dry), DirectoryOutcome::Complete);
        let report = world.run().await;
        assert_eq!(outcome(&report), DirectoryOutcome::Complete);
        assert_eq!(drift(&dry, DriftAction::Reported), drift(&report, DriftAction::Applied));
        world.equal().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_absence_is_confirmed_once() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 500, 0).await;
        assert!(world.run().await.is_complete());
        remove(&world, 0..100);
        world.proxy.clear();
        let report = world.run().await;
        assert!(report.is_complete());
        assert_eq!(report.confirmations, 100);
        let calls = world.proxy.calls();
        let confirmed: Vec<_> =
            calls.iter().filter(|(path, _)| path.starts_with("/directory_users/")).collect();
        assert_eq!(confirmed.len(), 100);
        assert!(confirmed.iter().all(|(_, count)| **count == 1));
        world.equal().await;
        assert_eq!(world.access().await.len(), 400);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_absences_need_a_second_list() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 500, 0).await;
        assert!(world.run().await.is_complete());
        // The second list has one user more.
        world.proxy.rule(|call, reply| {
            let first = call.page < 5;
            hide(call, reply, |n| n < if first { 101 } else { 100 });
        });
        let report = world.run().await;
        assert_eq!(outcome(&report), DirectoryOutcome::Incomplete);
        assert_eq!(report.directories[0].reason.as_deref(), Some("two lists in succession differ"));
        world.equal().await;

        world.proxy.rule(|call, reply| hide(call, reply, |n| n < 101));
        let report = world.run().await;
        assert!(report.is_complete());
        assert_eq!((world.proxy.count("/directory_users/"), report.confirmations), (0, 0));
        assert_eq!(world.proxy.calls()["/directory_users"], 2 * 5);
        assert_eq!(world.access().await.len(), 399);
        // It is removed in several transactions.
        nothing_is_left(database).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_lacks_what_exists_removes_nobody() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 30, 1).await;
        assert!(world.run().await.is_complete());
        remove(&world, 4..5);
        world.emulator.set_role("d_u7", "owner").unwrap();
        world.proxy.rule(|call, reply| {
            if call.path == "/directory_users" {
                hide(call, reply, |n| n == 7);
            }
        });
        let report = world.run().await;
        assert_eq!(outcome(&report), DirectoryOutcome::Incomplete);
        let calls = world.proxy.calls();
        assert_eq!((calls["/directory_users/d_u4"], calls["/directory_users/d_u7"]), (1, 2));
        // What the API showed is merged nevertheless.
        assert_eq!(world.counts().await, [1, 1, 30, 30, 30]);
        let state = world.mirror.state().await.unwrap();
        let seven = state.users.iter().find(|user| user.id.as_str() == "d_u7").unwrap();
        assert_eq!(seven.role.as_deref(), Some("owner"));

        world.proxy.clear();
        assert!(world.run().await.is_complete());
        world.equal().await;
    })
    .await;
}

/// The object was deleted before the list was read. A replica that lags behind still has it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_replica_still_had_is_removed_in_the_same_run() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 30, 1).await;
        assert!(world.run().await.is_complete());
        remove(&world, 4..5);
        world.proxy.rule(|call, reply| {
            if call.path == "/directory_users/d_u4" && call.page == 0 {
                reply.status = 200;
                reply.body = user("d", 4);
            }
        });
        let report = world.run().await;
        assert_eq!(outcome(&report), DirectoryOutcome::Complete);
        world.equal().await;
    })
    .await;
}
