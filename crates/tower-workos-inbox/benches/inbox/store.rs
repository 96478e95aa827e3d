//! Deliveries over 32 connections, compared with the engine's own way to store many payloads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use tokio::task::JoinSet;
use tower::ServiceExt as _;
use tower_workos::{
    WebhookSecret,
    testing::{Signer, sample},
};
use tower_workos_inbox::Inbox;

use crate::{
    median, rate,
    reference::{Reference, calls},
    support::Place,
};

const CONNECTIONS: usize = 32;
const SECRET: &str = "whsec_of_the_bench";

/// Different bodies, about as long as real ones.
fn bodies(first: usize, count: usize) -> Vec<Bytes> {
    (first..first + count)
        .map(|number| sample::USER_UPDATED.builder().id(format!("event_{number:08}")).body())
        .collect()
}

pub(crate) async fn measure(place: &Place, rounds: usize, count: usize) {
    let inbox = place.inbox().await;
    let reference = Reference::new(place).await;
    let mut times: [Vec<Duration>; 3] = Default::default();
    for round in 0..rounds {
        let bodies = bodies(round * count, count);
        let payloads: Vec<_> = bodies
            .iter()
            .map(|body| {
                serde_json::to_vec(&serde_json::json!({ "body": str::from_utf8(body).unwrap() }))
                    .unwrap()
            })
            .map(Bytes::from)
            .collect();
        times[0].push(deliver(&inbox, bodies).await);
        times[1].push(reference.store(&payloads, CONNECTIONS).await);
        times[2].push(reference.store(&payloads, 1_000).await);
    }
    let depth = inbox.status().await.unwrap().depth;
    assert_eq!(depth, u64::try_from(rounds * count).unwrap(), "all were stored");
    let [ours, shared, bulk] = times.each_mut().map(|times| rate(count, median(times)));
    println!(
        "  store: {ours:.0} deliveries a second over {CONNECTIONS} connections; {shared:.0} payloads a second with {} for \
         {CONNECTIONS} at a time: ratio {:.2}; {bulk:.0} for 1000 at a time: ratio {:.2}",
        calls(place.kind).0,
        ours / shared,
        ours / bulk
    );
    reference.remove().await;
}

async fn deliver(inbox: &Inbox, bodies: Vec<Bytes>) -> Duration {
    let signer = Signer::new(WebhookSecret::new(SECRET).unwrap());
    let webhook = inbox.webhook(WebhookSecret::new(SECRET).unwrap());
    let requests: Vec<_> = bodies.into_iter().map(|body| signer.sign(body)).collect();
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let begin = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (requests, next, webhook) = (Arc::clone(&requests), Arc::clone(&next), webhook.clone());
        connections.spawn(async move {
            while let Some(delivery) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let request = delivery.clone().into_request::<Body, _>("/").unwrap();
                let response = webhook.clone().oneshot(request).await.unwrap();
                assert_eq!(response.status(), 200);
            }
        });
    }
    connections.join_all().await;
    begin.elapsed()
}
