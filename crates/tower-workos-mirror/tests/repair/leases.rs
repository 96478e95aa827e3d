//! Runs that overlap, die or lose their lease.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::{Semaphore, mpsc};
use tower_workos_mirror::{DirectoryOutcome, ReconcileErrorKind};

use crate::{
    databases::{Database, on_both},
    support::{STATE, World, nothing_is_left, outcomes, rows},
};

/// Stops the response to the list of members until a permit is added. Each stop is announced.
fn stop(world: &World) -> (mpsc::UnboundedReceiver<()>, Arc<Semaphore>) {
    let (sender, stopped) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&go);
    let armed = Mutex::new(true);
    world.proxy.stop(move |call| {
        let is_armed = std::mem::take(&mut *armed.lock().unwrap());
        let is_it = call.lists("/directory_users", "group");
        if !is_it {
            *armed.lock().unwrap() = is_armed;
            return None;
        }
        is_armed.then(|| {
            let _ = sender.send(());
            Arc::clone(&permits)
        })
    });
    (stopped, go)
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it took too long")
}

/// Waits until a spawned clean-up is done.
async fn eventually_nothing_is_left(database: &Database) {
    soon(async {
        while !rows(database, &["stage", "run"]).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

async fn world(database: &Database) -> World {
    let world = World::start(database).await;
    world.told("d", 12, 1).await;
    assert!(world.run().await.is_complete());
    world.emulator.remove_silently("d_u1").unwrap();
    world.wait(120);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_is_busy() {
    on_both(async |database| {
        let world = world(database).await;
        let (mut stopped, go) = stop(&world);
        let (one, two) = (world.reconciler(), world.reconciler());
        let clone = one.clone();
        let run = tokio::spawn(async move { one.run().await });
        soon(stopped.recv()).await.unwrap();
        for other in [&two, &clone] {
            let error = soon(other.run()).await.unwrap_err();
            assert_eq!(error.kind(), ReconcileErrorKind::Busy);
            let error = soon(other.dry_run()).await.unwrap_err();
            assert_eq!(error.kind(), ReconcileErrorKind::Busy);
        }
        let mut progress = clone.progress();
        let now = std::future::poll_fn(|context| {
            futures_core::Stream::poll_next(std::pin::Pin::new(&mut progress), context)
        });
        assert!(soon(now).await.unwrap().is_running);
        go.add_permits(1);
        assert!(soon(run).await.unwrap().unwrap().is_complete());
        world.equal().await;
        nothing_is_left(database).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_dropped_leaves_nothing() {
    on_both(async |database| {
        let world = world(database).await;
        let before = rows(database, &["change"]).await;
        let (mut stopped, _go) = stop(&world);
        let reconciler = world.reconciler();
        tokio::select! {
            _ = reconciler.run() => panic!("it was stopped"),
            _ = soon(stopped.recv()) => {}
        }
        assert_eq!(rows(database, &["change"]).await, before);
        eventually_nothing_is_left(database).await;
        world.proxy.clear();
        assert!(world.reconciler().run().await.unwrap().is_complete());
        world.equal().await;
        nothing_is_left(database).await;
    })
    .await;
}

/// A process that was killed can't clean up. Its directory is not listed any more.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_run_left_is_removed() {
    on_both(async |database| {
        let world = world(database).await;
        database
            .run(
                "INSERT INTO workos_mirror_run (subject, run, expires_at) VALUES ('gone', 'dead', 0), ('d', 'dead', 0), \
                 ('environment default', 'dead', 0), ('alive', 'other', 9000000000000000); \
                 INSERT INTO workos_mirror_stage (directory_id, kind, id, user_id, item) VALUES \
                 ('gone', 'user', 'u', '', '{}'), ('gone', 'user', 'v', '', '{}'), ('d', 'user', 'd_u1', '', NULL), \
                 ('never', 'user', 'w', '', '{}'), ('alive', 'user', 'x', '', '{}')",
            )
            .await;
        assert!(world.reconciler().run().await.unwrap().is_complete());
        world.equal().await;
        assert_eq!(database.column("id", "workos_mirror_stage").await, ["x"]);
        let leases = database.column("subject", "workos_mirror_run").await;
        assert!(!leases.contains(&"d".to_owned()), "{leases:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_replaced_writes_nothing() {
    on_both(async |database| {
        let world = world(database).await;
        let (mut stopped, go) = stop(&world);
        let one = world.reconciler();
        let run = tokio::spawn(async move { one.run().await });
        soon(stopped.recv()).await.unwrap();
        // The process slept, and another one takes over.
        database.run("UPDATE workos_mirror_run SET expires_at = 0").await;
        let report = soon(world.reconciler().run()).await.unwrap();
        assert!(report.is_complete());
        world.equal().await;
        let tables = [STATE.as_slice(), &["repair"]].concat();
        let before = rows(database, &tables).await;
        go.add_permits(1);
        let error = soon(run).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ReconcileErrorKind::Busy);
        assert_eq!(rows(database, &tables).await, before);
        nothing_is_left(database).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_another_run_is_busy() {
    on_both(async |database| {
        let world = world(database).await;
        world.told("e", 2, 0).await;
        world.wait(120);
        database
            .run("INSERT INTO workos_mirror_run (subject, run, expires_at) VALUES ('d', 'other', 9000000000000000)")
            .await;
        let report = world.reconciler().run().await.unwrap();
        let expected = [("d", DirectoryOutcome::Busy), ("e", DirectoryOutcome::Complete)];
        assert_eq!(outcomes(&report), expected);
        database.run("DELETE FROM workos_mirror_run").await;
        assert!(world.reconciler().run().await.unwrap().is_complete());
        world.equal().await;
    })
    .await;
}
