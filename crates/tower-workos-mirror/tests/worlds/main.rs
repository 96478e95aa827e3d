//! Simulated worlds: whatever was lost before the last run began, the mirror equals the truth after it.
//!
//! `WORLDS` sets the number of worlds for each test.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../databases/mod.rs"]
mod databases;
mod sim;

use std::{env, io::Write as _, time::Duration};

use databases::Database;
use sim::Sim;
use tower_workos_mirror::{ReconcileError, ReconcileReport};

const MARGIN: Duration = Duration::from_secs(60);
/// A stale list of the API is this old.
const LAG: Duration = Duration::from_secs(30);

fn worlds(default: u64) -> u64 {
    env::var("WORLDS").map_or(default, |number| number.parse().unwrap())
}

fn report(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A world whose last run begins in the middle of its life. From a margin before this run on, webhooks arrive, late and out
/// of order; before, 30 % were lost.
async fn live(sim: &Sim, margin: Duration) -> Result<ReconcileReport, ReconcileError> {
    // The first run of an empty mirror.
    let run = async || sim.reconciler().await.margin(margin).build().run().await;
    let first = run().await;
    sim.live(110).await;
    let second = run().await;
    sim.live(110).await;
    let third = run().await;
    sim.live(80).await;
    sim.world.lock().await.is_lossy = false;
    // `Date` has no fractions of a second.
    sim.advance(MARGIN + LAG + Duration::from_secs(2)).await;
    let last = run().await;
    sim.live(30).await;
    sim.world.lock().await.deliver_all().await;
    first.and(second).and(third).and(last)
}

/// The worlds that end with a difference, and the number of differences.
async fn differing(count: u64, lag: Duration, margin: Duration) -> Vec<(u64, Vec<String>)> {
    let mut differing = Vec::new();
    for seed in 0..count {
        // Postgres takes longer.
        let database = if seed % 10 == 9 { Database::postgres().await } else { None };
        let database = match database {
            Some(database) => database,
            None => Database::sqlite().await,
        };
        let mirror = database.mirror().await;
        let sim = Sim::new(seed, mirror, lag).await;
        let mut differences = match live(&sim, margin).await {
            Ok(last) if last.is_complete() => Vec::new(),
            Ok(last) => vec![format!("not complete: {:?}", last.directories)],
            Err(error) => vec![format!("failed: {error}")],
        };
        differences.extend(sim.world.lock().await.differences().await);
        assert!(!differences.is_empty() || sim.world.lock().await.lost > 40, "seed {seed}");
        if !differences.is_empty() {
            differing.push((seed, differences));
        }
        drop(sim);
        database.drop().await;
    }
    differing
}

#[tokio::test]
async fn the_mirror_equals_the_truth_after_the_last_run() {
    let count = worlds(60);
    let differing = differing(count, LAG, MARGIN).await;
    report(&format!("{count} worlds, {} end with a difference", differing.len()));
    assert_eq!(differing, []);
}

/// A fence that is later than what the lists show, instead of earlier: lists then win over events that they do not contain.
#[tokio::test]
async fn a_fence_dated_after_the_read_is_wrong() {
    let count = worlds(60) / 3;
    let differing = differing(count, MARGIN, Duration::ZERO).await;
    report(&format!(
        "{count} worlds with the fence dated after the read: {} end with a difference",
        differing.len()
    ));
    assert!(differing.len() > usize::try_from(count / 10).unwrap(), "{differing:?}");
}

/// If the API lags behind by more than the margin, a run can go wrong, and the next one repairs it.
#[tokio::test]
async fn a_lag_above_the_margin_is_repaired_by_the_next_run() {
    let count = worlds(60) / 6;
    let lag = MARGIN * 5 / 2;
    let mut wrong = 0;
    for seed in 0..count {
        let database = Database::sqlite().await;
        let sim = Sim::new(seed, database.mirror().await, lag).await;
        // At the start, such an API does not show any of the directories: that is an error.
        let _ = live(&sim, MARGIN).await.is_ok();
        wrong += usize::from(!sim.world.lock().await.differences().await.is_empty());
        sim.advance(MARGIN + lag * 2).await;
        let report = sim.reconciler().await.build().run().await.unwrap();
        assert!(report.is_complete(), "seed {seed}: {:?}", report.directories);
        assert_eq!(sim.world.lock().await.differences().await, [""; 0], "seed {seed}");
    }
    report(&format!("{count} worlds with a lag above the margin: {wrong} wrong, then none"));
    assert!(wrong > 0);
}
