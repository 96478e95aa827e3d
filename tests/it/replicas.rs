//! Two replicas of an application that share a store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::State, routing::post};
use http::Request;
use tokio::task::JoinSet;
use tower::{ServiceBuilder, ServiceExt};
use tower_workos::{DedupeLayer, DedupeStore, DirectoryEvent, testing::sample};

use crate::{
    services,
    support::{delivery, layer},
};

/// How often each event was handled, by any replica.
pub type Counts = Arc<Vec<AtomicU32>>;

const EVENTS: usize = 60;

pub fn replica<St>(store: St, namespace: &str, counts: &Counts) -> Router
where
    St: DedupeStore,
{
    async fn handler(State(counts): State<Counts>, event: DirectoryEvent) {
        let index: usize = event.id().as_str().rsplit('_').next().unwrap().parse().unwrap();
        counts[index].fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // The namespace is unique to this run, because a shared database contains the events of earlier runs.
    let dedupe = DedupeLayer::new(namespace, store);
    let stack = ServiceBuilder::new().layer(layer()).layer(dedupe);
    Router::new().route("/", post(handler)).route_layer(stack).with_state(Arc::clone(counts))
}

/// Delivers every event three times to each replica, all at the same time, until each delivery is acknowledged.
pub async fn storm(replicas: [Router; 2], counts: Counts, name: &str) {
    let mut deliveries = JoinSet::new();
    for index in 0..EVENTS {
        for copy in 0..6 {
            let replica = replicas[copy % 2].clone();
            deliveries.spawn(async move {
                loop {
                    let body = sample::USER_CREATED.with_id(&format!("event_{index}"));
                    let mut request: Request<Body> = delivery(body);
                    *request.uri_mut() = "/".parse().unwrap();
                    match replica.clone().oneshot(request).await.unwrap().status().as_u16() {
                        200 => return,
                        503 => tokio::time::sleep(Duration::from_millis(25)).await,
                        other => panic!("{other}"),
                    }
                }
            });
        }
    }
    while let Some(delivered) = deliveries.join_next().await {
        delivered.unwrap();
    }
    let not_once: Vec<_> = counts
        .iter()
        .map(|count| count.load(Ordering::SeqCst))
        .filter(|count| *count != 1)
        .collect();
    assert_eq!(not_once, [0_u32; 0], "{name}: events not handled exactly once");
    services::report(format!(
        "two replicas over {name}: {EVENTS} events, {} deliveries, each handled once",
        EVENTS * 6
    ));
}

pub fn counts() -> Counts {
    Arc::new((0..EVENTS).map(|_| AtomicU32::new(0)).collect())
}
