//! Runs without faults.

use std::{pin::Pin, time::Duration};

use dsync_emulator::Faults;
use futures_core::Stream as _;
use tower_workos_mirror::{ApiClient, ApiKey, DirectoryOutcome, DriftAction, Reconciler};

use crate::{
    databases::on_both,
    support::{Ticker, World, drift, outcomes},
};

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

/// Temporary faults, at random.
#[tokio::test(flavor = "multi_thread")]
async fn faults_that_pass_change_nothing() {
    on_both(async |database| {
        let world = World::start(database).await;
        for id in ["d", "e", "f"] {
            world.fill(id, 130, 5);
        }
        let share = |text: &str| text.parse().unwrap();
        let faults = Faults::new().errors(share("5%")).throttle(share("25%")).broken(share("5%"));
        world.emulator.set_faults(faults.short_pages(share("50%")).odd_items(share("30%")));
        let key = ApiKey::new(world.emulator.api_key()).unwrap();
        let api = ApiClient::builder(key).base_url(world.emulator.url()).attempts(20);
        let api = api.timer(Ticker::new(&world.clock)).build().unwrap();
        world.wait(120);
        let report = Reconciler::new(world.mirror.clone(), api.clone()).run().await.unwrap();
        assert!(report.is_complete(), "{:?}", report.directories);
        assert!(api.throttled() > 0);
        let requests = world.emulator.requests();
        assert_eq!(requests.total, report.requests, "each attempt counts");
        assert!(requests.by_status[&200] < requests.total);
        world.equal().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_reported() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.fill("d", 250, 3);
        world.fill("e", 10, 0);
        world.wait(120);
        let reconciler = world.reconciler();
        let mut progress = reconciler.progress();
        let watched = tokio::spawn(async move {
            let mut all = Vec::new();
            while let Some(now) =
                std::future::poll_fn(|context| Pin::new(&mut progress).poll_next(context)).await
            {
                all.push(now);
            }
            all
        });
        let report = reconciler.run().await.unwrap();
        drop(reconciler);
        let all = tokio::time::timeout(Duration::from_secs(30), watched).await.unwrap().unwrap();
        for (before, after) in all.iter().zip(all.iter().skip(1)) {
            assert!(before.read <= after.read && before.merged <= after.merged, "{all:?}");
            assert!(before.done <= after.done && before.requests <= after.requests, "{all:?}");
        }
        let last = all.last().unwrap();
        assert_eq!((last.is_running, last.directories, last.done), (false, 2, 2));
        assert_eq!(last.requests, report.requests);
        // Members are read with the users that they are.
        assert_eq!(last.merged, 250 + 3 + 250 + 10);
        assert!(all.iter().any(|it| it.is_running && it.read > 0 && it.merged == 0));
    })
    .await;
}
