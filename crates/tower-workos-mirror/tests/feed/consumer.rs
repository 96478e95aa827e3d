//! Consumers store their position and deliver at least once.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};
use tower_workos_mirror::{Change, FeedError, Mirror, MirrorPool};

use crate::{
    database::{Database, on_both},
    group, joined, numbers, soon,
};

async fn with_groups(database: &Database, groups: u32) -> (Mirror, Vec<i64>) {
    let mirror = database.mirror().await;
    let events: Vec<_> = (0..groups).map(|n| group(&format!("g{n}"))).collect();
    let changes = mirror.apply_all(&events).await.unwrap();
    (mirror, numbers(&changes))
}

#[tokio::test]
async fn a_consumer_continues_where_it_was() {
    on_both(async |database| {
        let (mirror, all) = with_groups(database, 5).await;
        let mut consumer = mirror.consumer("pages").batch(2);
        for _ in 0..2 {
            // Not acknowledged, so it is delivered again.
            assert_eq!(numbers(&soon(consumer.next()).await.unwrap()), all[..2]);
        }
        consumer.acknowledge(all[0]).await.unwrap();
        drop(consumer);

        // Another process continues after a crash.
        let mirror = database.mirror().await;
        let mut consumer = mirror.consumer("pages");
        assert_eq!(numbers(&soon(consumer.next()).await.unwrap()), all[1..]);
        consumer.acknowledge(all[3]).await.unwrap();
        // It never moves back.
        consumer.acknowledge(all[1]).await.unwrap();
        assert_eq!(numbers(&soon(consumer.next()).await.unwrap()), all[4..]);
        // Names are independent of each other.
        let mut other = mirror.consumer("cache");
        assert_eq!(numbers(&soon(other.next()).await.unwrap()), all);
    })
    .await;
}

#[tokio::test]
async fn a_consumer_can_start_now() {
    on_both(async |database| {
        let (mirror, all) = with_groups(database, 2).await;
        let mut consumer = mirror.consumer("pages").from_now();
        assert!(timeout(Duration::from_millis(200), consumer.next()).await.is_err());
        let changes = mirror.apply(&joined("a")).await.unwrap();
        assert_eq!(soon(consumer.next()).await.unwrap(), changes);
        // Only a new name starts at the end.
        assert_eq!(soon(mirror.consumer("pages").from_now().next()).await.unwrap(), changes);
        assert!(changes[0].seq > all[1]);
    })
    .await;
}

#[tokio::test]
async fn a_purged_consumer_recovers() {
    on_both(async |database| {
        let (mirror, all) = with_groups(database, 3).await;
        let mut consumer = mirror.consumer("pages").batch(1);
        soon(consumer.next()).await.unwrap();
        let sql =
            format!("UPDATE workos_mirror_change SET recorded_at = 0 WHERE seq <= {}", all[1]);
        database.execute(&sql).await;
        assert_eq!(mirror.upkeep().await.unwrap().changes, 2);
        for _ in 0..2 {
            match soon(consumer.next()).await {
                Err(FeedError::Purged { after: 0, purged, .. }) => assert_eq!(purged, all[1]),
                other => panic!("{other:?}"),
            }
        }
        let ran = mirror.consumer("pages").run(async |_| Ok::<_, ()>(()), pending());
        assert!(matches!(soon(ran).await, Err(FeedError::Purged { .. })));
        consumer.reset_to_start().await.unwrap();
        assert_eq!(numbers(&soon(consumer.next()).await.unwrap()), all[2..]);
        // A new consumer starts after the purged changes.
        assert_eq!(numbers(&soon(mirror.consumer("new").next()).await.unwrap()), all[2..]);
    })
    .await;
}

#[tokio::test]
async fn an_acknowledgement_commits_with_the_effects() {
    on_both(async |database| {
        let (mirror, all) = with_groups(database, 2).await;
        let (mut one, mut two) = (mirror.consumer("pages"), mirror.consumer("pages"));
        soon(one.next()).await.unwrap();
        soon(two.next()).await.unwrap();
        macro_rules! acknowledge {
            ($consumer:ident, $seq:expr, $end:ident) => {
                match mirror.pool() {
                    MirrorPool::Postgres(pool) => {
                        let mut transaction = pool.begin().await.unwrap();
                        let moved = $consumer.acknowledge_in(&mut transaction, $seq).await;
                        transaction.$end().await.unwrap();
                        moved.unwrap()
                    }
                    MirrorPool::Sqlite(pool) => {
                        let mut transaction = pool.begin().await.unwrap();
                        let moved = $consumer.acknowledge_in(&mut transaction, $seq).await;
                        transaction.$end().await.unwrap();
                        moved.unwrap()
                    }
                    _ => return,
                }
            };
        }
        // If the effects are rolled back, so is the acknowledgement, and the next one fails, too.
        assert!(acknowledge!(one, all[0], rollback));
        assert!(!acknowledge!(one, all[1], commit));
        assert_eq!(numbers(&soon(one.next()).await.unwrap()), all);
        assert!(acknowledge!(one, all[0], commit));
        // The other process read the same changes, and must not have their effects again.
        assert!(!acknowledge!(two, all[1], commit));
        assert_eq!(numbers(&soon(two.next()).await.unwrap()), all[1..]);
        assert!(acknowledge!(two, all[1], commit));
    })
    .await;
}

#[tokio::test]
async fn run_repeats_what_fails_and_skips_nothing() {
    on_both(async |database| {
        let (mirror, all) = with_groups(database, 5).await;
        let calls = Arc::new(Mutex::new(Vec::new()));
        let failures = AtomicU32::new(3);
        let (stop, stopped) = oneshot::channel::<()>();
        let mut stop = Some(stop);
        let last = all[4];
        let handler = |change: Change| {
            calls.lock().unwrap().push(change.seq);
            let fails = change.seq == all[2]
                && failures
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                    .is_ok();
            if change.seq == last {
                // The shutdown waits for this handler.
                stop.take().map(|stop| stop.send(()));
            }
            async move {
                tokio::task::yield_now().await;
                if fails { Err(()) } else { Ok(()) }
            }
        };
        let (shortest, longest) = (Duration::from_millis(2), Duration::from_millis(4));
        let consumer = mirror.consumer("pages").batch(3).retry(shortest, longest);
        let shutdown = async { drop(stopped.await) };
        soon(consumer.run(handler, shutdown)).await.unwrap();
        let expected = [all[0], all[1], all[2], all[2], all[2], all[2], all[3], all[4]];
        assert_eq!(*calls.lock().unwrap(), expected);
        // All were acknowledged.
        assert!(
            timeout(Duration::from_millis(200), mirror.consumer("pages").next()).await.is_err()
        );
    })
    .await;
}

#[tokio::test]
async fn a_crash_repeats_the_change_that_was_being_handled() {
    on_both(async |database| {
        let (mirror, all) = with_groups(database, 4).await;
        let (calls, third) = (Arc::new(Mutex::new(Vec::new())), all[2]);
        let handler = |change: Change| {
            calls.lock().unwrap().push(change.seq);
            async move {
                if change.seq == third {
                    pending::<()>().await;
                }
                Ok::<_, ()>(())
            }
        };
        let crash = async {
            while calls.lock().unwrap().len() < 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            ended = mirror.consumer("pages").run(handler, pending()) => panic!("{ended:?}"),
            () = soon(crash) => {}
        }
        let after = database.mirror().await.consumer("pages").next().await.unwrap();
        assert_eq!(numbers(&after), all[2..]);
    })
    .await;
}

#[tokio::test]
async fn a_shutdown_ends_a_change_that_fails_for_ever() {
    on_both(async |database| {
        let (mirror, all) = with_groups(database, 1).await;
        let calls = AtomicU32::new(0);
        let handler = |_| {
            calls.fetch_add(1, Ordering::SeqCst);
            async { Err::<(), _>(()) }
        };
        let consumer =
            mirror.consumer("pages").retry(Duration::from_millis(1), Duration::from_millis(1));
        let shutdown = async {
            while calls.load(Ordering::SeqCst) < 3 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        soon(consumer.run(handler, shutdown)).await.unwrap();
        assert_eq!(numbers(&soon(mirror.consumer("pages").next()).await.unwrap()), all);
    })
    .await;
}
