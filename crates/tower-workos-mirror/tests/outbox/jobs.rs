//! What a job is, and which there are.

use std::time::Duration;

use serde_json::json;
use tower_workos_inbox::Payload as _;
use tower_workos_mirror::{Change, ChangeKind};

use crate::{databases::on_both, feed, jobs, joined, left};

#[tokio::test]
async fn a_repeated_or_late_event_enqueues_nothing() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        mirror.outbox("sessions").await.unwrap();
        mirror.apply_all(&[joined("u1"), left("u1"), joined("u2")]).await.unwrap();
        let before = jobs(database, "sessions").await;
        // Net changes: the user who has left was never seen.
        assert_eq!(before.len(), 2);
        for event in [joined("u1"), left("u1"), joined("u2")] {
            assert_eq!(mirror.apply(&event).await.unwrap(), []);
        }
        assert_eq!(jobs(database, "sessions").await, before);
    })
    .await;
}

#[tokio::test]
async fn a_purge_of_the_feed_keeps_the_jobs() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        mirror.outbox("sessions").await.unwrap();
        let changes = mirror.apply_all(&[joined("u1"), joined("u2")]).await.unwrap();
        let purging = database.builder().retention(Duration::ZERO).build().unwrap();
        assert_eq!(purging.upkeep().await.unwrap().changes, 4);
        assert_eq!(database.count("workos_mirror_change").await, 0);
        assert_eq!(jobs(database, "sessions").await, changes);
    })
    .await;
}

/// The numbers begin again if only the mirror's tables are restored or created again. The keys are known then.
#[tokio::test]
async fn numbers_that_occur_again_are_new_jobs() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        mirror.outbox("sessions").await.unwrap();
        mirror.apply(&joined("u1")).await.unwrap();
        database.empty().await;
        let restart = if database.is_postgres() {
            "ALTER SEQUENCE workos_mirror_change_seq_seq RESTART"
        } else {
            "DELETE FROM sqlite_sequence WHERE name = 'workos_mirror_change'"
        };
        database.run(restart).await;
        let changes = mirror.apply(&joined("u2")).await.unwrap();
        assert_eq!(changes[0].seq, 1);
        let jobs = jobs(database, "sessions").await;
        assert_eq!(jobs.iter().map(|it| it.seq).collect::<Vec<_>>(), [1, 1, 2, 2]);
        assert_eq!(feed(&mirror).await, changes);
    })
    .await;
}

#[tokio::test]
async fn the_key_and_the_name_are_those_of_the_change() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        mirror.outbox("sessions").await.unwrap();
        let changes = mirror.apply(&joined("u1")).await.unwrap();
        assert_eq!(
            database.column("name", "workos_inbox_job").await,
            ["user_created", "user_granted"]
        );
        let keys = database.column("key", "workos_inbox_job").await;
        let recorded = database.column("recorded_at", "workos_mirror_change").await;
        assert_eq!(keys, [format!("1-{}", recorded[0]), format!("2-{}", recorded[1])]);
        assert_eq!(keys, changes.iter().map(|it| it.key().into_owned()).collect::<Vec<_>>());
        // A reader of the feed gets equal changes.
        assert_eq!(feed(&mirror).await, changes);
    })
    .await;
}

#[test]
fn a_change_of_another_version_can_be_read() {
    let later = json!({
        "seq": 7, "kind": "user_suspended", "user_id": "u", "recorded_at": "2026-01-05T09:00:00.123456Z", "more": [1],
    });
    let change: Change = serde_json::from_value(later).unwrap();
    assert_eq!(change.kind, ChangeKind::Other);
    assert_eq!((change.seq, change.fields.len()), (7, 0));
    assert_eq!((change.directory_id.clone(), change.happened_at), (None, None));
    assert_eq!(change.user_id.as_ref().unwrap(), &"u");
    assert_eq!(change.key(), "7-1767603600123456");
    let json = serde_json::to_value(&change).unwrap();
    assert_eq!(serde_json::from_value::<Change>(json).unwrap(), change);
}
