//! A change that can't be enqueued is not written.

use http::StatusCode;
use tower::ServiceExt as _;
use tower_workos_mirror::MirrorErrorKind;

use crate::{
    assert_enqueued,
    databases::{Database, on_both},
    feed, jobs, joined,
    writers::{request, secret},
};

/// Lets the insertion of a job fail, or be ignored.
async fn sabotage(database: &Database, is_ignored: bool) {
    let sql = match (database.is_postgres(), is_ignored) {
        (true, true) => {
            "CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
             CREATE TRIGGER sabotage BEFORE INSERT ON workos_inbox_job FOR EACH ROW EXECUTE FUNCTION sabotage()"
        }
        // As an error of the class that makes an event a dead letter.
        (true, false) => {
            "CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN RAISE EXCEPTION ''canary'' USING ERRCODE = ''22001''; END'; \
             CREATE TRIGGER sabotage BEFORE INSERT ON workos_inbox_job FOR EACH ROW EXECUTE FUNCTION sabotage()"
        }
        (false, true) => {
            "CREATE TRIGGER sabotage BEFORE INSERT ON workos_inbox_job BEGIN SELECT RAISE(IGNORE); END"
        }
        (false, false) => {
            "CREATE TRIGGER sabotage BEFORE INSERT ON workos_inbox_job BEGIN SELECT RAISE(ABORT, 'canary'); END"
        }
    };
    database.run(sql).await;
}

async fn repair(database: &Database) {
    let sql = if database.is_postgres() {
        "DROP TRIGGER sabotage ON workos_inbox_job; DROP FUNCTION sabotage()"
    } else {
        "DROP TRIGGER sabotage"
    };
    database.run(sql).await;
}

async fn assert_unwritten(database: &Database, statuses: [usize; 4]) {
    let tables = ["change", "user", "applied", "dead_letter"];
    for (table, count) in tables.into_iter().zip(statuses) {
        assert_eq!(database.count(&format!("workos_mirror_{table}")).await, count, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_rolls_the_merge_back() {
    on_both(async |database| {
        for is_ignored in [false, true] {
            let mirror = database.mirror().await;
            mirror.outbox("sessions").await.unwrap();
            let webhook = mirror.webhook(secret());
            sabotage(database, is_ignored).await;
            let event = joined(if is_ignored { "u2" } else { "u1" });
            let before = if is_ignored { [2, 1, 1, 0] } else { [0; 4] };
            let error = mirror.apply(&event).await.unwrap_err();
            assert_eq!(error.kind(), MirrorErrorKind::Database);
            let hint = if is_ignored { "did not store a change" } else { "\"sessions\" failed" };
            assert!(error.to_string().contains(hint), "{error}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
            if !is_ignored {
                // The code of the database's error is in the log.
                assert!(format!("{error:?}").contains("(code "), "{error:?}");
            }
            let response = webhook.clone().oneshot(request(&event)).await.unwrap();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_unwritten(database, before).await;
            repair(database).await;
            let response = webhook.oneshot(request(&event)).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            assert_enqueued(database, &mirror, 0).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_without_tables_is_not_skipped() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        database.run("INSERT INTO workos_mirror_outbox VALUES ('sessions', 0)").await;
        let error = mirror.apply(&joined("u1")).await.unwrap_err();
        assert_eq!(error.kind(), MirrorErrorKind::NotMigrated);
        assert!(error.to_string().contains("call Mirror::outbox at start-up"), "{error}");
        let webhook = mirror.webhook(secret());
        let response = webhook.clone().oneshot(request(&joined("u1"))).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_unwritten(database, [0; 4]).await;
        mirror.outbox("sessions").await.unwrap();
        let response = webhook.oneshot(request(&joined("u1"))).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_enqueued(database, &mirror, 0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_without_the_table_of_outboxes_is_not_migrated() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        database.run("DROP TABLE workos_mirror_outbox").await;
        let error = mirror.apply(&joined("u1")).await.unwrap_err();
        assert_eq!(error.kind(), MirrorErrorKind::NotMigrated);
        assert_eq!(feed(&mirror).await, []);
    })
    .await;
}

#[tokio::test]
async fn a_rollback_enqueues_nothing() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        mirror.outbox("sessions").await.unwrap();
        // The second outbox fails after the first one has stored its jobs.
        database.run("INSERT INTO workos_mirror_outbox VALUES ('w-', 0)").await;
        let error = mirror.apply(&joined("u1")).await.unwrap_err();
        assert_eq!(error.kind(), MirrorErrorKind::Config);
        assert_eq!(jobs(database, "sessions").await, []);
        assert_unwritten(database, [0; 4]).await;
    })
    .await;
}
