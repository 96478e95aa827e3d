//! Runs that only report.

use serde_json::json;
use tower_workos_mirror::{DirectoryOutcome, DriftAction};

use crate::{
    databases::on_both,
    support::{STATE, World, drift, group, membership, nothing_is_left, outcomes, rows, user},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_reports_what_the_next_run_does() {
    on_both(async |database| {
        let world = World::start(database).await;
        for id in ["d", "e", "f"] {
            world.told(id, 30, 3).await;
        }
        assert!(world.run().await.is_complete());
        // Everything that can differ.
        for id in ["d_u3", "d_u4", "d_g1", "e"] {
            world.emulator.remove_silently(id).unwrap();
        }
        world.emulator.set_membership("d_u6", "d_g0", false).unwrap();
        world.emulator.set_membership("d_u7", "d_g2", true).unwrap();
        world.emulator.set_role("d_u8", "owner").unwrap();
        world.emulator.set_member("d_u9", "state", json!("inactive")).unwrap();
        world.emulator.set_member("f", "state", json!("inactive")).unwrap();
        world.emulator.set_member("d_g2", "name", json!("renamed")).unwrap();
        world.lose("user.created", &user("d", 40));
        world.lose("group.created", &group("d", 40));
        world.lose("group.user_added", &membership("d", 40, 40));
        world.fill("n", 2, 1);
        world.wait(120);

        let tables = [STATE.as_slice(), &["repair", "applied", "cursor"]].concat();
        let before = rows(database, &tables).await;
        let dry = world.reconciler().dry_run().await.unwrap();
        assert!(dry.dry_run);
        assert_eq!(rows(database, &tables).await, before);
        nothing_is_left(database).await;

        let report = world.reconciler().run().await.unwrap();
        assert!(!report.dry_run && report.is_complete());
        let reported = drift(&dry, DriftAction::Reported);
        assert_eq!(reported, drift(&report, DriftAction::Applied));
        assert!(reported.len() > 25, "{reported:?}");
        assert_eq!(outcomes(&dry), outcomes(&report));
        assert_eq!(dry.requests, report.requests);
        let fields = |report: &tower_workos_mirror::ReconcileReport| {
            let mut fields: Vec<_> = report.drift.iter().map(|it| it.fields.clone()).collect();
            fields.sort_unstable();
            fields
        };
        assert_eq!(fields(&dry), fields(&report));
        world.equal().await;
        nothing_is_left(database).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_an_empty_mirror_reports_everything() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.fill("d", 30, 3);
        world.wait(120);
        let before = rows(database, &STATE).await;
        let dry = world.reconciler().dry_run().await.unwrap();
        assert_eq!(rows(database, &STATE).await, before);
        let report = world.reconciler().run().await.unwrap();
        assert_eq!(drift(&dry, DriftAction::Reported), drift(&report, DriftAction::Applied));
        // A directory, groups, users with access, memberships.
        assert_eq!(dry.total(DriftAction::Reported), 1 + 3 + 2 * 30 + 30);
        world.equal().await;
    })
    .await;
}

/// A run that withholds reports the same, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_before_the_first_run_withholds() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 30, 3).await;
        world.emulator.remove_silently("d_u3").unwrap();
        world.wait(120);
        let dry = world.reconciler().dry_run().await.unwrap();
        assert_eq!(outcomes(&dry), [("d", DirectoryOutcome::FirstRun)]);
        let report = world.reconciler().run().await.unwrap();
        assert!(report.is_first, "a dry run does not count");
        assert_eq!(dry.drift, report.drift);
        assert_eq!(dry.total(DriftAction::Withheld), 3);
    })
    .await;
}
