//! Senders that disconnect from an application with a memory store or a slow Redis, and a Redis that does not respond.

use tokio::time::timeout;
use tower_workos::{
    DedupeStore, MemoryStore, RedisStore,
    dedupe::{Claim, DedupeKey},
};

use crate::{
    senders::{LATENCY, LIMIT, away, check},
    services::{self, proxy::Proxy},
};

#[tokio::test(flavor = "multi_thread")]
async fn with_a_memory_store() {
    check(MemoryStore::default(), false, async || ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_redis_store() {
    let Some(_) = services::redis_store().await else { return };
    let proxy = Proxy::start(services::redis_address()).await;
    proxy.delay(LATENCY);
    let store = RedisStore::connect(&format!("redis://{}/", proxy.address)).await.unwrap();
    check(store, true, async || ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_redis_causes_only_short_delays() {
    let Some(_) = services::redis_store().await else { return };
    let proxy = Proxy::start(services::redis_address()).await;
    let store = RedisStore::connect(&format!("redis://{}/", proxy.address)).await.unwrap();
    proxy.freeze(true);
    away(store, || proxy.freeze(false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_can_start_while_redis_is_down() {
    let Some(_) = services::redis_store().await else { return };
    let proxy = Proxy::start(services::redis_address()).await;
    proxy.freeze(true);
    let store = RedisStore::connect_lazy(&format!("redis://{}/", proxy.address)).unwrap();
    away(store, || proxy.freeze(false)).await;
}

/// The connection is lost without a reset, but a new one works immediately.
#[tokio::test(flavor = "multi_thread")]
async fn a_silently_dead_redis_connection_is_replaced() {
    let Some(_) = services::redis_store().await else { return };
    let proxy = Proxy::start(services::redis_address()).await;
    let store = RedisStore::connect(&format!("redis://{}/", proxy.address)).await.unwrap();
    let key = |id: &str| DedupeKey::new(services::unique(), id.into());
    let _ = store.claim(&key("event_1"), LIMIT).await.unwrap();
    proxy.freeze_connections();
    // The call under way fails, and the next one uses a new connection.
    let failed =
        timeout(LIMIT, store.claim(&key("event_2"), LIMIT)).await.expect("the claim hangs");
    assert!(failed.is_err(), "the connection was not dead");
    let third = timeout(LIMIT, store.claim(&key("event_3"), LIMIT)).await.expect("the claim hangs");
    assert!(matches!(third, Ok(Claim::Acquired(_))));
}

/// Redis has claimed the event, but its reply is lost. Only the failed call knows the claim's token.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_reply_is_lost_is_released() {
    let Some(_) = services::redis_store().await else { return };
    let proxy = Proxy::start(services::redis_address()).await;
    let store = RedisStore::connect(&format!("redis://{}/", proxy.address)).await.unwrap();
    let key = DedupeKey::new(services::unique(), "event_1".into());
    proxy.lose_replies();
    let lost = timeout(LIMIT, store.claim(&key, LIMIT)).await.expect("the claim hangs");
    assert!(lost.is_err(), "{lost:?}");
    let claim = store.claim(&key, LIMIT).await.unwrap();
    assert!(matches!(claim, Claim::Acquired(_)), "{claim:?}");
}
