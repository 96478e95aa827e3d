//! One object from the API.

use serde_json::json;
use tower_workos_mirror::ReconcileErrorKind;

use crate::{
    databases::on_both,
    support::{STATE, World, rows, user},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_object_is_fetched() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.fill("d", 3, 1);
        world.wait(120);
        let reconciler = world.reconciler();
        let user = reconciler.fetch_user(&"d_u1".to_owned().into()).await.unwrap().unwrap();
        assert_eq!(user.email.as_deref(), Some("xanthippe1@kallisto.example"));
        assert_eq!(world.access().await, ["d_u1"]);
        let group = reconciler.fetch_group(&"d_g0".to_owned().into()).await.unwrap().unwrap();
        assert_eq!(group.id.as_str(), "d_g0");
        let directory = reconciler.fetch_directory(&"d".to_owned().into()).await.unwrap().unwrap();
        assert_eq!(directory.state.unwrap().as_str(), "active");
        assert_eq!(world.counts().await, [1, 1, 1, 0, 1]);
        assert_eq!(world.proxy.count(""), 3);
        assert!(world.run().await.is_complete());
        world.equal().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_404_removes_nobody() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 3, 1).await;
        world.proxy.rule(|call, reply| reply.hide(call, |_| true));
        let before = rows(database, &STATE).await;
        let reconciler = world.reconciler();
        assert!(reconciler.fetch_user(&"d_u1".to_owned().into()).await.unwrap().is_some());
        assert!(reconciler.fetch_group(&"d_g0".to_owned().into()).await.unwrap().is_some());
        assert!(reconciler.fetch_directory(&"d".to_owned().into()).await.unwrap().is_some());
        assert!(reconciler.fetch_user(&"unknown".to_owned().into()).await.unwrap().is_none());
        assert_eq!(rows(database, &STATE).await, before);
        world.proxy.rule(|_, reply| reply.fail(500));
        let error = reconciler.fetch_user(&"d_u1".to_owned().into()).await.unwrap_err();
        assert!(matches!(error.kind(), ReconcileErrorKind::Api(_)), "{error:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_later_than_what_was_fetched_wins() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 3, 1).await;
        // The API does not show it yet.
        let mut inactive = user("d", 1);
        inactive["state"] = json!("inactive");
        let event = world.event("user.updated", &inactive);
        world.mirror.apply(&event).await.unwrap();
        world.wait(30);
        let user = world.reconciler().fetch_user(&"d_u1".to_owned().into()).await.unwrap().unwrap();
        assert_eq!(user.state.unwrap().as_str(), "inactive");
        assert_eq!(world.access().await, ["d_u0", "d_u2"]);
        // A deletion is final.
        let event = world.event("user.deleted", &json!({"id": "d_u2", "directory_id": "d"}));
        world.mirror.apply(&event).await.unwrap();
        world.wait(300);
        assert!(world.reconciler().fetch_user(&"d_u2".to_owned().into()).await.unwrap().is_none());
    })
    .await;
}
