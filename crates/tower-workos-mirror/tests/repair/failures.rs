//! Requests that fail.

use std::time::Duration;

use tower_workos_mirror::{
    ApiErrorKind, DirectoryOutcome, DriftAction, ReconcileErrorKind, ReconcileReport,
};

use crate::{
    databases::{Database, on_both},
    support::{STATE, World, group, nothing_is_left, rows},
};

const LISTS: [(&str, &str); 3] = [
    ("/directory_groups", "directory"),
    ("/directory_users", "directory"),
    ("/directory_users", "group"),
];

/// A world in which each list has seven pages, and a user and a group disappeared.
async fn seven_pages(database: &Database) -> World {
    let world = World::start(database).await;
    world.proxy.limit(2);
    world.told("d", 14, 1).await;
    for n in 1..14 {
        world.tell("group.created", &group("d", n)).await;
    }
    for n in 0..12 {
        world.told(&format!("e{n:02}"), 0, 0).await;
    }
    assert!(world.run().await.is_complete());
    world.emulator.remove_silently("d_u0").unwrap();
    world.emulator.remove_silently("d_g13").unwrap();
    world
}

fn of_d(report: &ReconcileReport) -> (DirectoryOutcome, String) {
    let d = &report.directories[0];
    assert_eq!(d.directory_id.as_str(), "d");
    (d.outcome, d.reason.clone().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_on_page_seven_removes_nobody() {
    on_both(async |database| {
        let world = seven_pages(database).await;
        for (path, filter) in LISTS {
            world.proxy.rule(move |call, reply| {
                if call.lists(path, filter) && call.page >= 6 {
                    reply.fail(500);
                }
            });
            let before = rows(database, &STATE).await.len();
            let report = world.run().await;
            assert_eq!(of_d(&report).0, DirectoryOutcome::Failed, "{path} {filter}");
            assert_eq!(report.counts, [], "{path} {filter}");
            assert_eq!(world.counts().await, [13, 14, 14, 14, 14]);
            assert_eq!(rows(database, &STATE).await.len(), before);
            nothing_is_left(database).await;
        }
        world.proxy.rule(|call, reply| {
            if call.path == "/directories" && call.page >= 6 {
                reply.fail(503);
            }
        });
        world.wait(120);
        let error = world.reconciler().run().await.unwrap_err();
        assert_eq!(error.kind(), ReconcileErrorKind::Api(ApiErrorKind::Unavailable));
        nothing_is_left(database).await;

        world.proxy.clear();
        let report = world.run().await;
        assert!(report.is_complete());
        assert!(report.total(DriftAction::Applied) > 0);
        world.equal().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_repeats_itself_ends() {
    on_both(async |database| {
        let world = seven_pages(database).await;
        for (path, filter) in LISTS {
            world.proxy.rule(move |call, reply| {
                if call.lists(path, filter) && call.page >= 3 {
                    reply.body["list_metadata"]["after"] = "again".into();
                    reply.status = 200;
                    reply.body["data"] = serde_json::json!([]);
                }
            });
            let report = world.run().await;
            assert_eq!(of_d(&report).0, DirectoryOutcome::Failed);
            assert!(of_d(&report).1.contains("position"), "{}", of_d(&report).1);
        }
        world.proxy.rule(|call, reply| {
            if call.path == "/directories" && call.page >= 1 {
                reply.status = 200;
                reply.body = serde_json::json!({"data": [], "list_metadata": {"after": "again"}});
            }
        });
        let error = world.reconciler().run().await.unwrap_err();
        assert_eq!(error.kind(), ReconcileErrorKind::Api(ApiErrorKind::Cursor));
        assert_eq!(world.counts().await, [13, 14, 14, 14, 14]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_pages_is_limited() {
    on_both(async |database| {
        let world = seven_pages(database).await;
        world.proxy.clear();
        world.wait(120);
        let error = world.builder().max_pages(6).build().run().await.unwrap_err();
        assert_eq!(error.kind(), ReconcileErrorKind::Api(ApiErrorKind::TooManyPages));
        assert_eq!(world.proxy.count(""), 6);
        let report = world.builder().max_pages(7).build().run().await.unwrap();
        assert!(report.is_complete());
        world.equal().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_pages_of_a_directory_is_limited() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 65, 1).await;
        world.proxy.limit(10);
        world.wait(120);
        let report = world.builder().max_pages(6).build().run().await.unwrap();
        assert_eq!(of_d(&report).0, DirectoryOutcome::Failed);
        assert!(of_d(&report).1.contains("more than 6 pages"), "{:?}", of_d(&report));
        assert!(world.builder().max_pages(7).build().run().await.unwrap().is_complete());
        world.equal().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_without_a_date_is_useless() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 3, 1).await;
        world.proxy.rule(|_, reply| reply.date = None);
        let before = rows(database, &STATE).await;
        let error = world.reconciler().run().await.unwrap_err();
        assert_eq!(error.kind(), ReconcileErrorKind::Unusable);
        assert!(error.to_string().contains("no header Date"), "{error}");
        let error = world.reconciler().fetch_user(&"d_u1".to_owned().into()).await.unwrap_err();
        assert_eq!(error.kind(), ReconcileErrorKind::Unusable);
        assert_eq!(rows(database, &STATE).await, before);
        nothing_is_left(database).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_limited_in_time() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 3, 1).await;
        assert!(world.run().await.is_complete());
        world.emulator.remove_silently("d_u1").unwrap();
        // The response to the list of members never arrives in time.
        world.proxy.rule(|call, _| {
            if call.lists("/directory_users", "group") {
                std::thread::sleep(Duration::from_millis(1500));
            }
        });
        world.wait(120);
        let short = world.builder().max_duration(Duration::from_millis(700)).build();
        let error = short.run().await.unwrap_err();
        assert_eq!(error.kind(), ReconcileErrorKind::TimedOut);
        nothing_is_left(database).await;
        assert_eq!(world.counts().await, [1, 1, 3, 3, 3]);

        world.proxy.clear();
        assert!(world.run().await.is_complete());
        world.equal().await;
    })
    .await;
}
