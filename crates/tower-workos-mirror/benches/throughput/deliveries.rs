//! Signed deliveries through the endpoint, compared with a handler written by hand.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Instant,
};

use axum::{Router, routing::post};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use sqlx::{PgPool, SqlitePool};
use tokio::task::JoinSet;
use tower::{Service as _, ServiceExt as _, util::BoxCloneSyncService};
use tower_workos::{
    DirectoryEvent, VerifyWebhookLayer, WebhookSecret,
    testing::{Delivery, Signer},
};

use crate::{
    databases::{mirror, postgres_at, postgres_url, run_postgres, run_sqlite, sqlite},
    events::{Size, first_sync, updates},
    handwritten::{self, TABLES},
    proxy::Proxy,
    report::ratio,
};

pub(crate) type Endpoint = BoxCloneSyncService<Request<Full<Bytes>>, StatusCode, Infallible>;

pub(crate) fn secret() -> WebhookSecret {
    WebhookSecret::new("whsec_bench").unwrap()
}

pub(crate) fn ours(mirror: &tower_workos_mirror::Mirror) -> Endpoint {
    let service = mirror.webhook(secret());
    let service =
        tower::ServiceExt::<Request<Full<Bytes>>>::map_response(service, |it| it.status());
    BoxCloneSyncService::new(service)
}

fn by_hand<F, R>(handler: F) -> Endpoint
where
    F: Fn(DirectoryEvent) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<(), sqlx::Error>> + Send + 'static,
{
    let handler = move |event: DirectoryEvent| {
        let done = handler(event);
        async move { if done.await.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE } }
    };
    let app: Router =
        Router::new().route("/", post(handler)).route_layer(VerifyWebhookLayer::new(secret()));
    let app =
        tower::ServiceExt::<Request<Full<Bytes>>>::map_response(app, |response| response.status());
    BoxCloneSyncService::new(app)
}

fn by_hand_postgres(pool: PgPool) -> Endpoint {
    by_hand(move |event| {
        let pool = pool.clone();
        async move {
            // The lock of a row orders two events about it, so READ COMMITTED is enough.
            handwritten::postgres::handle(&pool, "BEGIN", &event).await
        }
    })
}

fn by_hand_sqlite(pool: SqlitePool) -> Endpoint {
    by_hand(move |event| {
        let pool = pool.clone();
        async move { handwritten::sqlite::handle(&pool, "BEGIN IMMEDIATE", &event).await }
    })
}

/// Deliveries per second, with this many in flight.
pub(crate) async fn throughput(
    endpoint: &Endpoint,
    events: impl Iterator<Item = DirectoryEvent>,
    in_flight: usize,
) -> f64 {
    let signer = Signer::new(secret());
    let deliveries: Vec<Delivery> = events.map(|event| signer.sign(event.raw().clone())).collect();
    let count = deliveries.len();
    let queue = Arc::new(Mutex::new(deliveries.into_iter()));
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        let (queue, mut endpoint) = (Arc::clone(&queue), endpoint.clone());
        tasks.spawn(async move {
            loop {
                let Some(delivery) = queue.lock().unwrap().next() else { break };
                loop {
                    let request = delivery.clone().into_request("/").unwrap();
                    let status = endpoint.ready().await.unwrap().call(request).await.unwrap();
                    if status == StatusCode::OK {
                        break;
                    }
                    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
                }
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
    count as f64 / start.elapsed().as_secs_f64()
}

/// Updates of existing users, a mix that is the same for both.
pub(crate) async fn measure(users: usize, count: usize) {
    println!("deliveries a second: mirror / by hand");
    let size = Size { users, groups: 1, memberships: 0 };
    for in_flight in [32, 256] {
        let (ours, hand) = postgres_pair(&postgres_url(), size, count, in_flight).await;
        ratio(&format!("Postgres, {in_flight} in flight"), ours, hand);
    }
    let proxy = Proxy::start(std::time::Duration::from_millis(1)).await;
    let (ours, hand) = postgres_pair(&proxy.url(), size, count / 2, 32).await;
    ratio("Postgres, 1 ms of latency, 32 in flight", ours, hand);
    for in_flight in [32, 256] {
        let folder = tempfile::tempdir().unwrap();
        let mut best = 0.0_f64;
        for connections in [1, 8] {
            let pool = sqlite(folder.path(), &format!("hand{connections}.db"), connections).await;
            run_sqlite(&pool, TABLES).await;
            let endpoint = by_hand_sqlite(pool);
            throughput(&endpoint, first_sync(1, size), 256).await;
            best =
                best.max(throughput(&endpoint, updates(1, users, 0, count / 4), in_flight).await);
        }
        let mirror = mirror(sqlite(folder.path(), "mirror.db", 4).await).await;
        let endpoint = self::ours(&mirror);
        mirror.apply_all(&first_sync(1, size).collect::<Vec<_>>()).await.unwrap();
        let ours = throughput(&endpoint, updates(1, users, 0, count), in_flight).await;
        ratio(&format!("SQLite, synchronous = FULL, {in_flight} in flight"), ours, best);
    }
}

/// The mirror, and the best of two pool sizes by hand.
async fn postgres_pair(url: &str, size: Size, count: usize, in_flight: usize) -> (f64, f64) {
    let mut best = 0.0_f64;
    for connections in [8, 32] {
        let pool = postgres_at(url, connections).await;
        run_postgres(&pool, TABLES).await;
        let endpoint = by_hand_postgres(pool.clone());
        throughput(&endpoint, first_sync(1, size), 256).await;
        run_postgres(&pool, "ANALYZE").await;
        best = best.max(throughput(&endpoint, updates(1, size.users, 0, count), in_flight).await);
    }
    let mirror = mirror(postgres_at(url, 8).await).await;
    mirror.apply_all(&first_sync(1, size).collect::<Vec<_>>()).await.unwrap();
    let ours = throughput(&ours(&mirror), updates(1, size.users, 0, count), in_flight).await;
    (ours, best)
}

/// A first sync through the endpoint.
pub(crate) async fn first_syncs(size: Size) {
    println!(
        "first sync through the endpoint, 256 in flight, deliveries a second: mirror / by hand"
    );
    let pool = postgres_at(&postgres_url(), 32).await;
    run_postgres(&pool, TABLES).await;
    let hand = throughput(&by_hand_postgres(pool), first_sync(1, size), 256).await;
    let mirror_at = mirror(postgres_at(&postgres_url(), 8).await).await;
    let ours = throughput(&ours(&mirror_at), first_sync(1, size), 256).await;
    ratio("Postgres", ours, hand);
    let folder = tempfile::tempdir().unwrap();
    let pool = sqlite(folder.path(), "hand.db", 1).await;
    run_sqlite(&pool, TABLES).await;
    let hand = throughput(&by_hand_sqlite(pool), first_sync(1, size).take(10_000), 256).await;
    let mirror_at = mirror(sqlite(folder.path(), "mirror.db", 4).await).await;
    let ours = throughput(&self::ours(&mirror_at), first_sync(1, size), 256).await;
    ratio("SQLite", ours, hand);
}
