//! Senders that disconnect while their event is claimed, handled or completed, with real sockets; and stores that do not
//! respond.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, routing::post};
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tower::ServiceBuilder;
use tower_workos::{
    DedupeLayer, DedupeStore, DirectoryEvent, dedupe::OnStoreError, testing::sample,
};

use crate::{
    services,
    support::{delivery, layer},
};

/// The latency in each direction, so that a call can be interrupted.
pub const LATENCY: Duration = Duration::from_millis(50);
/// Longer than any step takes. Without it, a failing test would hang.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A handler that waits for a permit before it returns.
#[derive(Clone)]
struct Handler {
    entered: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

impl Handler {
    fn new() -> Self {
        let gate = Arc::new(Semaphore::new(0));
        Self { entered: Arc::default(), answered: Arc::default(), gate }
    }
}

async fn on_event(State(handler): State<Handler>, _: DirectoryEvent) {
    handler.entered.fetch_add(1, Ordering::SeqCst);
    handler.gate.acquire().await.unwrap().forget();
    handler.answered.fetch_add(1, Ordering::SeqCst);
}

async fn until(mut condition: impl FnMut() -> bool) {
    timeout(LIMIT, async {
        while !condition() {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("the condition is never met");
}

async fn serve<St: DedupeStore>(dedupe: &DedupeLayer<St>, handler: &Handler) -> SocketAddr {
    let stack = ServiceBuilder::new().layer(layer()).layer(dedupe.clone());
    let app = Router::new()
        .route("/webhooks/workos", post(on_event))
        .route_layer(stack)
        .with_state(handler.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app).into_future());
    address
}

/// Sends a delivery. The connection is open until it is dropped.
async fn send(address: SocketAddr, id: &str) -> TcpStream {
    let request = delivery::<Bytes>(sample::USER_DEACTIVATED.with_id(id));
    let (parts, body) = request.into_parts();
    let mut text = format!("POST /webhooks/workos HTTP/1.1\r\nhost: {address}\r\n");
    for (name, value) in &parts.headers {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[text.as_bytes(), &body].concat()).await.unwrap();
    stream
}

async fn deliver(address: SocketAddr, id: &str) -> u16 {
    let request = delivery::<Full<Bytes>>(sample::USER_DEACTIVATED.with_id(id));
    let (mut parts, body) = request.into_parts();
    parts.uri = format!("http://{address}/webhooks/workos").parse().unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(http::Request::from_parts(parts, body));
    timeout(LIMIT, response).await.expect("no response").unwrap().status().as_u16()
}

/// Delivers an event again and again while the response is 503, until it is acknowledged. If a claim were left behind, this
/// would take longer than the limit.
async fn deliver_again(address: SocketAddr, id: &str) {
    timeout(LIMIT, async {
        loop {
            match deliver(address, id).await {
                200 => return,
                503 => sleep(Duration::from_millis(10)).await,
                other => panic!("{other}"),
            }
        }
    })
    .await
    .expect("the event is not free");
}

const EVENTS: usize = 10;

fn ids() -> impl Iterator<Item = String> {
    (0..EVENTS).map(|index| format!("event_{index}"))
}

async fn send_all(address: SocketAddr) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for id in ids() {
        streams.push(send(address, &id).await);
    }
    streams
}

async fn deliver_all_again(address: SocketAddr) {
    for id in ids() {
        deliver_again(address, &id).await;
    }
}

/// Checks a store with senders that disconnect while their event is claimed, handled or completed.
///
/// `hold_up` blocks the store's calls until its result is dropped. `is_slow` says whether calls take long enough to be
/// interrupted, because of that or of a proxy.
pub async fn check<St: DedupeStore, G>(store: St, is_slow: bool, hold_up: impl AsyncFn() -> G) {
    while_claiming(store.clone(), is_slow, &hold_up).await;
    while_calling(store.clone()).await;
    while_completing(store, &hold_up).await;
}

async fn while_claiming<St: DedupeStore, G>(
    store: St,
    is_slow: bool,
    hold_up: impl AsyncFn() -> G,
) {
    let handler = Handler::new();
    handler.gate.add_permits(Semaphore::MAX_PERMITS);
    let dedupe = DedupeLayer::new(services::unique(), store);
    let address = serve(&dedupe, &handler).await;
    let held_up = hold_up().await;
    let streams = send_all(address).await;
    sleep(LATENCY / 2).await;
    drop(streams);
    sleep(LATENCY / 2).await;
    let caught = EVENTS - handler.entered.load(Ordering::SeqCst);
    drop(held_up);
    assert!(caught > 0 || !is_slow, "no claim was interrupted");
    deliver_all_again(address).await;
    assert_eq!(handler.answered.load(Ordering::SeqCst), EVENTS, "each event once");
    dedupe.idle().await;
}

async fn while_calling<St: DedupeStore>(store: St) {
    let handler = Handler::new();
    let dedupe = DedupeLayer::new(services::unique(), store);
    let address = serve(&dedupe, &handler).await;
    let streams = send_all(address).await;
    until(|| handler.entered.load(Ordering::SeqCst) == EVENTS).await;
    drop(streams);
    // The server drops the handlers once it notices that the senders have disconnected.
    until(|| Arc::strong_count(&handler.gate) <= 2).await;
    handler.gate.add_permits(EVENTS);
    deliver_all_again(address).await;
    assert_eq!(handler.answered.load(Ordering::SeqCst), EVENTS, "each event once");
    dedupe.idle().await;
}

async fn while_completing<St: DedupeStore, G>(store: St, hold_up: impl AsyncFn() -> G) {
    let handler = Handler::new();
    let dedupe = DedupeLayer::new(services::unique(), store);
    let address = serve(&dedupe, &handler).await;
    let streams = send_all(address).await;
    until(|| handler.entered.load(Ordering::SeqCst) == EVENTS).await;
    let held_up = hold_up().await;
    handler.gate.add_permits(EVENTS);
    until(|| handler.answered.load(Ordering::SeqCst) == EVENTS).await;
    drop(streams);
    sleep(LATENCY / 2).await;
    drop(held_up);
    deliver_all_again(address).await;
    assert_eq!(handler.entered.load(Ordering::SeqCst), EVENTS, "no event twice");
    dedupe.idle().await;
}

/// Delivers several times while the store does not respond, and again once it does.
pub async fn away<St: DedupeStore>(store: St, back: impl FnOnce()) {
    let handler = Handler::new();
    handler.gate.add_permits(Semaphore::MAX_PERMITS);
    let dedupe = DedupeLayer::new(services::unique(), store)
        .store_timeout(Duration::from_millis(200))
        .lease(Duration::from_secs(5));
    let address = serve(&dedupe, &handler).await;
    let open = dedupe.clone().on_store_error(OnStoreError::Pass);
    let open = serve(&open, &handler).await;
    for _ in 0..3 {
        // The drivers' own time-outs are 10 and 30 seconds.
        let status = timeout(Duration::from_secs(5), deliver(address, "event_1")).await;
        assert_eq!(status.expect("the response takes longer than the time-out"), 503);
    }
    assert_eq!(handler.answered.load(Ordering::SeqCst), 0);
    let status = timeout(Duration::from_secs(5), deliver(open, "event_2")).await;
    assert_eq!(status.expect("the response takes longer than the time-out"), 200);
    assert_eq!(handler.answered.load(Ordering::SeqCst), 1);
    back();
    deliver_again(address, "event_1").await;
    assert_eq!(handler.answered.load(Ordering::SeqCst), 2);
}
