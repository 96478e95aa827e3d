//! The layer around a handler: which events are done, which are released, and the responses.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_workos::{
    DedupeLayer, DedupeStore, MemoryStore,
    dedupe::{Claim, Claimed, Completion, DedupeKey, OnStoreError, StoreError},
    testing::{conformance, sample},
    verify::VerifiedBody,
};

use crate::support::{delivery, layer};

#[tokio::test(flavor = "multi_thread")]
async fn memory_store_fulfills_the_contract() {
    conformance::check(MemoryStore::default()).await;
}

/// What the handler does when it is called.
#[derive(Clone, Copy)]
enum Act {
    Answer(u16),
    Fail,
    Panic,
    Hang,
    Take(Duration),
}

#[derive(Clone)]
struct Handler {
    act: Act,
    calls: Arc<AtomicUsize>,
}

impl Handler {
    fn new(act: Act) -> Self {
        Self { act, calls: Arc::default() }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

type Answer = Response<Full<Bytes>>;

async fn act(handler: Handler, _: Request<VerifiedBody>) -> Result<Answer, std::io::Error> {
    handler.calls.fetch_add(1, Ordering::SeqCst);
    let mut response = Response::new(Full::from("from the handler"));
    match handler.act {
        Act::Answer(status) => *response.status_mut() = StatusCode::from_u16(status).unwrap(),
        Act::Fail => return Err(std::io::Error::other("the handler failed")),
        Act::Panic => panic!("the handler panicked"),
        Act::Hang => std::future::pending().await,
        Act::Take(duration) => tokio::time::sleep(duration).await,
    }
    Ok(response)
}

/// Delivers an event once; returns `None` if the service failed.
async fn deliver<St>(
    dedupe: &DedupeLayer<St>,
    handler: &Handler,
    id: &str,
) -> Option<(u16, Bytes, Option<String>)>
where
    St: DedupeStore,
{
    let handler = handler.clone();
    let service = ServiceBuilder::new()
        .layer(layer())
        .layer(dedupe.clone())
        .service(service_fn(move |request| act(handler.clone(), request)));
    let request = delivery::<Full<Bytes>>(sample::USER_CREATED.with_id(id));
    let response = service.oneshot(request).await.ok()?;
    let retry_after =
        response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    Some((status, response.into_body().collect().await.unwrap().to_bytes(), retry_after))
}

async fn status<St>(dedupe: &DedupeLayer<St>, handler: &Handler, id: &str) -> u16
where
    St: DedupeStore,
{
    deliver(dedupe, handler, id).await.unwrap().0
}

#[tokio::test]
async fn an_event_is_handled_successfully_only_once() {
    for success in [200, 201, 204, 299] {
        let dedupe = DedupeLayer::new("workos", MemoryStore::default());
        let handler = Handler::new(Act::Answer(success));
        let (first, body, _) = deliver(&dedupe, &handler, "event_1").await.unwrap();
        assert_eq!((first, &body[..]), (success, &b"from the handler"[..]));
        for _ in 0..3 {
            let (again, body, _) = deliver(&dedupe, &handler, "event_1").await.unwrap();
            assert_eq!((again, &body[..]), (200, &b""[..]));
        }
        assert_eq!(handler.calls(), 1);
        status(&dedupe, &handler, "event_2").await;
        assert_eq!(handler.calls(), 2);
    }
}

/// autumn-web 0.9 keeps the key after a handler's 4xx or a crash, and the event is lost.
#[tokio::test]
async fn an_event_is_released_unless_the_handler_succeeds() {
    for failure in [302, 304, 400, 404, 409, 422, 429, 500, 503] {
        let dedupe = DedupeLayer::new("workos", MemoryStore::default());
        let handler = Handler::new(Act::Answer(failure));
        let (first, body, _) = deliver(&dedupe, &handler, "event_1").await.unwrap();
        assert_eq!(
            (first, &body[..]),
            (failure, &b"from the handler"[..]),
            "the handler's own response"
        );
        assert_eq!(status(&dedupe, &handler, "event_1").await, failure);
        assert_eq!(handler.calls(), 2);
        let fixed = Handler::new(Act::Answer(200));
        assert_eq!(status(&dedupe, &fixed, "event_1").await, 200);
        assert_eq!(fixed.calls(), 1);
    }
    let dedupe = DedupeLayer::new("workos", MemoryStore::default());
    assert_eq!(deliver(&dedupe, &Handler::new(Act::Fail), "event_1").await, None);
    let panics = dedupe.clone();
    let panicked =
        tokio::spawn(async move { deliver(&panics, &Handler::new(Act::Panic), "event_1").await });
    assert!(panicked.await.unwrap_err().is_panic());
    let hangs = Handler::new(Act::Hang);
    let hanging = deliver(&dedupe, &hangs, "event_1");
    assert!(tokio::time::timeout(Duration::from_millis(20), hanging).await.is_err());
    assert_eq!(hangs.calls(), 1);
    let handler = Handler::new(Act::Answer(200));
    assert_eq!(status(&dedupe, &handler, "event_1").await, 200);
    assert_eq!(handler.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_in_flight_is_not_acknowledged() {
    let dedupe =
        DedupeLayer::new("workos", MemoryStore::default()).lease(Duration::from_millis(4500));
    let slow = Handler::new(Act::Take(Duration::from_secs(1)));
    let first = {
        let (dedupe, slow) = (dedupe.clone(), slow.clone());
        tokio::spawn(async move { status(&dedupe, &slow, "event_1").await })
    };
    while slow.calls() == 0 {
        tokio::task::yield_now().await;
    }
    let handler = Handler::new(Act::Answer(200));
    let (in_flight, body, retry_after) = deliver(&dedupe, &handler, "event_1").await.unwrap();
    assert_eq!((in_flight, retry_after.as_deref()), (503, Some("5")), "whole seconds, rounded up");
    assert!(body.starts_with(b"{\"type\""));
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!(status(&dedupe, &handler, "event_1").await, 200);
    assert_eq!((slow.calls(), handler.calls()), (1, 0));
}

#[tokio::test]
async fn a_handler_that_outlives_its_lease_is_not_acknowledged() {
    let dedupe =
        DedupeLayer::new("workos", MemoryStore::default()).lease(Duration::from_millis(100));
    let slow = Handler::new(Act::Take(Duration::from_millis(150)));
    assert_eq!(status(&dedupe, &slow, "event_1").await, 503);
    let handler = Handler::new(Act::Answer(200));
    assert_eq!(status(&dedupe, &handler, "event_1").await, 200);
    assert_eq!(handler.calls(), 1);
}

#[tokio::test]
async fn the_layer_determines_retention_and_namespace() {
    let store = MemoryStore::default();
    let handler = Handler::new(Act::Answer(200));
    let short = DedupeLayer::new("short", store.clone()).retention(Duration::from_millis(20));
    let long = DedupeLayer::new("long", store);
    for dedupe in [&short, &long] {
        assert_eq!(status(dedupe, &handler, "event_1").await, 200);
    }
    assert_eq!(handler.calls(), 2, "namespaces are separate");
    tokio::time::sleep(Duration::from_millis(40)).await;
    for dedupe in [&short, &long] {
        assert_eq!(status(dedupe, &handler, "event_1").await, 200);
    }
    assert_eq!(handler.calls(), 3, "only the short retention has expired");
}

/// moka's default policy drops new keys when full (0 of 500 survived).
#[tokio::test]
async fn a_full_store_forgets_the_oldest_events_but_none_in_flight() {
    let store = MemoryStore::new(640);
    let dedupe = DedupeLayer::new("workos", store.clone());
    let handler = Handler::new(Act::Answer(200));
    for index in 0..5000 {
        assert_eq!(status(&dedupe, &handler, &format!("event_{index}")).await, 200);
        assert_eq!(status(&dedupe, &handler, &format!("event_{index}")).await, 200);
    }
    assert_eq!(handler.calls(), 5000);
    assert!(store.len() <= 640);

    let key = |index| DedupeKey::new("", format!("in_flight_{index}").into());
    let mut held = Vec::new();
    for index in 0..5000 {
        match store.claim(&key(index), Duration::from_secs(60)).await {
            Ok(Claim::Acquired(_)) => held.push(index),
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert!(error.is_full(), "{error}"),
        }
    }
    assert_eq!(held.len(), 640);
    for index in held {
        assert!(matches!(
            store.claim(&key(index), Duration::ZERO).await,
            Ok(Claim::InFlight { .. })
        ));
    }
    // The layer then responds with 503, so that the sender retries.
    assert_eq!(status(&dedupe, &handler, "event_new").await, 503);
}

#[tokio::test]
async fn without_the_verifying_layer_the_response_explains_the_fix() {
    let inner = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = DedupeLayer::new("workos", MemoryStore::default()).layer(inner);
    let response = service.oneshot(delivery(sample::USER_CREATED)).await.unwrap();
    assert_eq!(response.status(), 500);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8(body.to_vec()).unwrap().contains("VerifyWebhookLayer"));
}

#[tokio::test]
async fn the_ready_service_is_called() {
    let (mock, mut handle) = tower_test::mock::pair::<(), ()>();
    let inner = ServiceBuilder::new()
        .map_request(|_: Request<VerifiedBody>| ())
        .map_response(|()| Response::new(Full::<Bytes>::default()))
        .service(mock);
    let mut service = ServiceBuilder::new()
        .layer(layer())
        .layer(DedupeLayer::new("workos", MemoryStore::default()))
        .service(inner);
    handle.allow(1);
    let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut service).await.unwrap();
    let call = tokio::spawn(ready.call(delivery::<Full<Bytes>>(sample::USER_CREATED)));
    let ((), respond) = handle.next_request().await.unwrap();
    respond.send_response(());
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn the_handler_sees_its_claim() {
    let store = MemoryStore::default();
    let inner = service_fn(|request: Request<VerifiedBody>| async move {
        let claimed = request.extensions().get::<Claimed<MemoryStore>>().unwrap();
        assert_eq!((claimed.key().namespace(), claimed.key().id().as_str()), ("here", "event_1"));
        assert_eq!(claimed.retention(), Duration::from_secs(9));
        let completion = claimed
            .store()
            .complete(claimed.key(), claimed.token().unwrap(), Duration::from_secs(9))
            .await;
        assert_eq!(completion.unwrap(), Completion::Completed);
        assert!(format!("{claimed:?}").contains("event_1"));
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let dedupe = DedupeLayer::new("here", store).retention(Duration::from_secs(9));
    let service = ServiceBuilder::new().layer(layer()).layer(dedupe).service(inner);
    let request = delivery::<Full<Bytes>>(sample::USER_CREATED.with_id("event_1"));
    assert_eq!(
        service.oneshot(request).await.unwrap().status(),
        200,
        "a second completion succeeds, too"
    );
}

/// A [`MemoryStore`] with calls that the test can make fail.
#[derive(Clone)]
struct Failing {
    memory: MemoryStore,
    claim: bool,
    complete: bool,
    release: bool,
}

impl DedupeStore for Failing {
    type Token = u64;
    type ClaimFuture = Ready<Result<Claim<u64>, StoreError>>;
    type CompleteFuture = Ready<Result<Completion, StoreError>>;
    type ReleaseFuture = Ready<Result<(), StoreError>>;

    fn claim(&self, key: &DedupeKey, lease: Duration) -> Self::ClaimFuture {
        if self.claim {
            ready(Err(StoreError::unavailable("down")))
        } else {
            self.memory.claim(key, lease)
        }
    }

    fn complete(&self, key: &DedupeKey, token: &u64, retention: Duration) -> Self::CompleteFuture {
        if self.complete {
            return ready(Err(StoreError::unavailable("down")));
        }
        self.memory.complete(key, token, retention)
    }

    fn confirm(&self, key: &DedupeKey, token: &u64) -> Self::CompleteFuture {
        if self.complete {
            return ready(Err(StoreError::unavailable("down")));
        }
        self.memory.confirm(key, token)
    }

    fn release(&self, key: &DedupeKey, token: &u64) -> Self::ReleaseFuture {
        if self.release {
            ready(Err(StoreError::unavailable("down")))
        } else {
            self.memory.release(key, token)
        }
    }
}

#[tokio::test]
async fn a_store_that_fails_at_any_point_loses_no_event() {
    // Concurrent, because each waits for leases to expire.
    let mut cases = tokio::task::JoinSet::new();
    for (claim, complete, release) in [
        (true, false, false),
        (false, true, false),
        (false, true, true),
        (false, false, true),
        (true, true, true),
    ] {
        cases.spawn(fails_at(claim, complete, release));
    }
    while let Some(case) = cases.join_next().await {
        case.unwrap();
    }
}

async fn fails_at(claim: bool, complete: bool, release: bool) {
    let memory = MemoryStore::default();
    let failing = Failing { memory: memory.clone(), claim, complete, release };
    let lease = Duration::from_millis(300);
    let dedupe = DedupeLayer::new("workos", failing.clone()).lease(lease);
    let succeeds = Handler::new(Act::Answer(200));
    let fails = Handler::new(Act::Answer(500));
    assert_ne!(status(&dedupe, &fails, "event_1").await, 200);
    if claim || complete {
        // The sender must retry, whatever the handler did.
        tokio::time::sleep(lease).await;
        assert_eq!(status(&dedupe, &succeeds, "event_1").await, 503);
    }
    // The store works again, so the event is handled, after the lease has expired at the latest.
    tokio::time::sleep(lease).await;
    let dedupe = DedupeLayer::new("workos", memory).lease(lease);
    let before = succeeds.calls();
    assert_eq!(status(&dedupe, &succeeds, "event_1").await, 200);
    assert_eq!(succeeds.calls(), before + 1);
    assert_eq!(status(&dedupe, &succeeds, "event_1").await, 200);
    assert_eq!(succeeds.calls(), before + 1);

    // With `Pass`, the event is handled now, but perhaps twice.
    let open = DedupeLayer::new("workos", failing).lease(lease).on_store_error(OnStoreError::Pass);
    let handler = Handler::new(Act::Answer(200));
    assert_eq!(status(&open, &handler, "event_2").await, 200);
    assert_eq!(handler.calls(), 1);
}

#[test]
fn errors_hide_the_driver_and_say_what_to_do() {
    let error = StoreError::unavailable("driver's words");
    assert!(!error.to_string().contains("driver's words"));
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "driver's words");
    assert!(StoreError::full().to_string().contains("capacity"));
}
