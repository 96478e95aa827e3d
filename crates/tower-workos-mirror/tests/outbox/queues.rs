//! Queues are registered, and removed.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::Notify;
use tower::service_fn;
use tower_workos_mirror::{Change, MirrorErrorKind};

use crate::{assert_enqueued, databases::on_both, feed, jobs, joined, left};

#[tokio::test]
async fn changes_before_the_registration_are_not_enqueued() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        mirror.apply(&joined("u1")).await.unwrap();
        let queue = mirror.outbox("sessions").await.unwrap();
        assert_eq!(queue.name(), "sessions");
        mirror.apply(&left("u1")).await.unwrap();
        assert_enqueued(database, &mirror, 2).await;
        // A second registration changes nothing.
        let at = database.column("registered_at", "workos_mirror_outbox").await;
        mirror.outbox("sessions").await.unwrap();
        assert_eq!(database.column("registered_at", "workos_mirror_outbox").await, at);
        assert_enqueued(database, &mirror, 2).await;
    })
    .await;
}

#[tokio::test]
async fn each_of_two_outboxes_gets_every_change() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        mirror.outbox("sessions").await.unwrap();
        mirror.apply(&joined("u1")).await.unwrap();
        mirror.outbox("welcome").await.unwrap();
        mirror.apply(&joined("u2")).await.unwrap();
        assert_enqueued(database, &mirror, 0).await;
        assert_eq!(jobs(database, "welcome").await, feed(&mirror).await[2..]);
    })
    .await;
}

#[tokio::test]
async fn a_removed_outbox_gets_no_more() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        assert!(!mirror.remove_outbox("sessions").await.unwrap());
        mirror.outbox("sessions").await.unwrap();
        mirror.outbox("welcome").await.unwrap();
        let before = mirror.apply(&joined("u1")).await.unwrap();
        assert!(mirror.remove_outbox("sessions").await.unwrap());
        assert!(!mirror.remove_outbox("sessions").await.unwrap());
        mirror.apply(&joined("u2")).await.unwrap();
        // What was stored before remains.
        assert_eq!(jobs(database, "sessions").await, before);
        assert_eq!(jobs(database, "welcome").await, feed(&mirror).await);
    })
    .await;
}

#[tokio::test]
async fn mirrors_with_other_names_have_their_own_outboxes() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        mirror.outbox("sessions").await.unwrap();
        let staging = database.builder().prefix("staging_").build().unwrap();
        staging.migrate().await.unwrap();
        staging.apply(&joined("u1")).await.unwrap();
        assert_eq!(jobs(database, "sessions").await, []);
        staging.outbox("sessions").await.unwrap();
        staging.apply(&joined("u2")).await.unwrap();
        assert_eq!(jobs(database, "sessions").await, []);
        assert_eq!(database.count("staging_inbox_job WHERE queue = 'sessions'").await, 2);
    })
    .await;
}

#[tokio::test]
async fn bad_names_and_missing_tables_are_errors() {
    on_both(async |database| {
        let mirror = database.builder().build().unwrap();
        for name in ["", "a-b", "A", "1a", &"a".repeat(31)] {
            let error = mirror.outbox(name).await.unwrap_err();
            assert_eq!(error.kind(), MirrorErrorKind::Config, "{name:?}");
        }
        let error = mirror.outbox("sessions").await.unwrap_err();
        assert_eq!(error.kind(), MirrorErrorKind::NotMigrated);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_gets_the_changes() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let queue = mirror.outbox("sessions").await.unwrap();
        let (seen, enough) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let handler = {
            let (seen, enough) = (Arc::clone(&seen), Arc::clone(&enough));
            service_fn(move |change: Change| {
                let mut seen = seen.lock().unwrap();
                seen.push(change);
                if seen.len() == 4 {
                    enough.notify_one();
                }
                std::future::ready(Ok::<_, std::io::Error>(()))
            })
        };
        let worker = queue.worker(handler).run_until(enough.notified());
        let writing = async {
            mirror.apply(&joined("u1")).await.unwrap();
            mirror.apply(&left("u1")).await.unwrap();
        };
        let both = async { tokio::join!(worker, writing) };
        let (worked, ()) = tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
        worked.unwrap();
        let mut seen = seen.lock().unwrap().clone();
        seen.sort_by_key(|change| change.seq);
        assert_eq!(seen, feed(&mirror).await);
        assert_eq!(database.count("workos_inbox_job WHERE state = 0").await, 0);
    })
    .await;
}
