//! The fold of the feed is what the views show, as the documentation of `ChangeKind` says.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use dsync_cli::directory::{Deliveries, Life, Order, Plan, Snapshot, State};
use tower_workos::DirectoryEvent;
use tower_workos_mirror::{Change, ChangeKind};

use crate::{
    database::on_both,
    folded::{Folded, VIEWS},
    soon,
};

/// What the views show in this state.
fn expected(snapshot: &Snapshot) -> [Vec<String>; 5] {
    let mut views = [
        snapshot.directories.iter().map(|it| it.id.clone()).collect::<Vec<_>>(),
        snapshot.groups.iter().map(|it| it.id.clone()).collect(),
        snapshot.users.iter().map(|it| it.id.clone()).collect(),
        snapshot.access.clone(),
        snapshot.memberships.iter().map(|it| format!("{} {}", it.group_id, it.user_id)).collect(),
    ];
    views.iter_mut().for_each(|view| view.sort());
    views
}

fn deliveries(seed: u64) -> (Vec<DirectoryEvent>, Snapshot) {
    let plan = Plan::new(seed).directories(6).users(60).groups(12).events(900);
    let order = Order::new(seed).reorder(50);
    let order = order.duplicates("5%".parse().unwrap()).late("2%".parse().unwrap());
    let events: Vec<_> = Deliveries::new(Life::new(plan), order)
        .map(|it| DirectoryEvent::parse(it.event().body().clone()).unwrap())
        .collect();
    let mut state = State::default();
    events.iter().for_each(|event| state.apply(event));
    (events, state.snapshot())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fold_of_the_feed_is_the_views() {
    on_both(async |database| {
        let (mut start, mut deletions) = (0, 0);
        let mut folded = Folded::default();
        for seed in 1..=3 {
            let (events, snapshot) = deliveries(seed);
            let events = Arc::new(events);
            // Three processes share the deliveries, in small batches of various sizes.
            let mut writers = Vec::new();
            for writer in 0..3_usize {
                let (mirror, events) = (database.mirror().await, Arc::clone(&events));
                writers.push(tokio::spawn(async move {
                    let mut batch = writer;
                    let mut from = writer * 7;
                    while from < events.len() {
                        batch = (batch * 5 + 3) % 17;
                        let to = (from + 1 + batch).min(events.len());
                        mirror.apply_all(&events[from..to]).await.unwrap();
                        // Some batches overlap with those of others.
                        from = to + batch;
                    }
                    // In the end, no event is missing.
                    let third = events.iter().skip(writer).step_by(3).cloned().collect::<Vec<_>>();
                    for batch in third.chunks(7) {
                        mirror.apply_all(batch).await.unwrap();
                    }
                }));
            }
            // Meanwhile, a fourth one sweeps and a fifth one reads.
            let mirror = database.mirror().await;
            let upkeep = tokio::spawn(async move {
                mirror.run_upkeep(Duration::from_millis(3), std::future::pending()).await;
            });
            let mirror = database.builder(database.pool(3).await);
            let mirror = mirror.poll_interval(Duration::from_millis(5)).build().unwrap();
            let mut reader = mirror.changes(start);
            let read = tokio::spawn(async move {
                let mut changes: Vec<Change> = Vec::new();
                // Marks the end: a change that no event of this life causes.
                while let Some(change) = reader.next().await {
                    changes.push(change.unwrap());
                    let last = changes.last().and_then(|it| it.group_id.as_ref());
                    if last.is_some_and(|it| it.as_str().starts_with("end_")) {
                        break;
                    }
                }
                changes
            });
            for writer in writers {
                soon(writer).await.unwrap();
            }
            upkeep.abort();
            let end = format!("end_{seed}");
            database.mirror().await.apply(&crate::group(&end)).await.unwrap();
            let changes = soon(read).await.unwrap();
            assert!(changes.is_sorted_by(|a, b| a.seq < b.seq));
            let stored = database.count(&format!("workos_mirror_change WHERE seq > {start}")).await;
            assert_eq!(u64::try_from(changes.len()), Ok(stored));
            start = changes.last().unwrap().seq;
            deletions +=
                changes.iter().filter(|it| it.kind == ChangeKind::DirectoryDeleted).count();

            changes.iter().for_each(|change| folded.apply(change));
            let mut views = folded.views();
            let simulated = expected(&snapshot);
            for ((view, (key, name)), simulated) in views.iter_mut().zip(VIEWS).zip(simulated) {
                let mut rows = database.texts(&format!("SELECT {key} FROM {name}")).await;
                rows.sort();
                assert_eq!(*view, rows, "{name} with seed {seed}");
                let rows = rows.into_iter().collect::<BTreeSet<_>>();
                assert!(simulated.iter().all(|id| rows.contains(id)), "{name} with seed {seed}");
            }
        }
        assert!(deletions > 0);
    })
    .await;
}
