//! Runs without faults.

use crate::{
    databases::on_both,
    support::{World, drift, outcomes},
};
use tower_workos_mirror::{DirectoryOutcome, DriftAction};

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_mirror_is_filled_from_the_api() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.fill("d", 250, 3);
        world.fill("e", 0, 0);
        let report = world.run().await;
        let complete = DirectoryOutcome::Complete;
        assert_eq!(outcomes(&report), [("d", complete), ("e", complete)]);
        assert!(!report.is_first && report.is_complete());
        world.equal().await;
        assert_eq!(world.counts().await, [2, 3, 250, 250, 250]);

        world.proxy.clear();
        let report = world.run().await;
        assert_eq!(report.drift, []);
        assert_eq!(report.counts, []);
        assert_eq!(drift(&report, DriftAction::Withheld), [""; 0]);
        // Directories, groups, users, and the members of each group.
        assert_eq!(report.requests, 1 + (1 + 3 + 3) + 2);
        assert_eq!(world.proxy.count(""), 10);
        world.equal().await;
    })
    .await;
}
