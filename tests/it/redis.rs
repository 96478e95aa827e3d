//! The store with a real Redis server.

use tower_workos::{RedisStore, testing::conformance};

use crate::{
    replicas::{counts, replica, storm},
    services,
};

#[tokio::test(flavor = "multi_thread")]
async fn redis_store_fulfills_the_contract() {
    let Some(store) = services::redis_store().await else { return };
    conformance::check(store).await;
}

#[tokio::test]
async fn a_redis_that_cannot_be_reached_is_an_error() {
    assert!(RedisStore::connect("redis://127.0.0.1:1/").await.is_err());
    assert!(RedisStore::connect("not an address").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_over_redis_handle_each_event_once() {
    let (Some(first), Some(second)) =
        (services::redis_store().await, services::redis_store().await)
    else {
        return;
    };
    let counts = counts();
    let namespace = services::unique();
    let replicas = [replica(first, &namespace, &counts), replica(second, &namespace, &counts)];
    storm(replicas, counts, "Redis").await;
}
