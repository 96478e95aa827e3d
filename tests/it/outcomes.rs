//! The outcomes that the layer reports in the response's extensions and in the log.

use std::{
    convert::Infallible,
    future::{Pending, pending},
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_workos::{
    DedupeLayer, DedupeStore, DirectoryEvent, MemoryStore,
    dedupe::{Claim, Claimed, Completion, DedupeKey, DedupeOutcome, OnStoreError, StoreError},
    testing::sample,
};

/// A store that never responds to the calls that the test chooses.
#[derive(Clone)]
pub struct Hanging {
    memory: MemoryStore,
    claim: bool,
    complete: bool,
    release: bool,
}

/// A future that is ready, or never is.
pub enum Call<T> {
    Ready(Option<T>),
    Never(Pending<T>),
}

impl<T: Unpin> Future for Call<T> {
    type Output = T;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<T> {
        match &mut *self {
            Self::Ready(value) => std::task::Poll::Ready(value.take().unwrap()),
            Self::Never(pending) => std::pin::Pin::new(pending).poll(cx),
        }
    }
}

fn call<T>(hangs: bool, now: impl FnOnce() -> T) -> Call<T> {
    if hangs { Call::Never(pending()) } else { Call::Ready(Some(now())) }
}

impl DedupeStore for Hanging {
    type Token = u64;
    type ClaimFuture = Call<Result<Claim<u64>, StoreError>>;
    type CompleteFuture = Call<Result<Completion, StoreError>>;
    type ReleaseFuture = Call<Result<(), StoreError>>;

    fn claim(&self, key: &DedupeKey, lease: Duration) -> Self::ClaimFuture {
        call(self.claim, || self.memory.claim(key, lease).into_inner())
    }

    fn complete(&self, key: &DedupeKey, token: &u64, retention: Duration) -> Self::CompleteFuture {
        call(self.complete, || self.memory.complete(key, token, retention).into_inner())
    }

    fn confirm(&self, key: &DedupeKey, token: &u64) -> Self::CompleteFuture {
        call(self.complete, || self.memory.confirm(key, token).into_inner())
    }

    fn release(&self, key: &DedupeKey, token: &u64) -> Self::ReleaseFuture {
        call(self.release, || self.memory.release(key, token).into_inner())
    }
}

pub fn hanging(claim: bool, complete: bool, release: bool) -> Hanging {
    Hanging { memory: MemoryStore::default(), claim, complete, release }
}

pub fn request(event: bool) -> Request<()> {
    let mut request = Request::new(());
    if event {
        let event = DirectoryEvent::parse(sample::USER_DEACTIVATED.with_id("event_1")).unwrap();
        request.extensions_mut().insert(event);
    }
    request
}

/// Sends one request, whose handler returns this status.
pub async fn send<St: DedupeStore>(
    dedupe: &DedupeLayer<St>,
    request: Request<()>,
    status: u16,
) -> (u16, DedupeOutcome) {
    let inner = service_fn(move |_: Request<()>| async move {
        let mut response = Response::new(Full::<Bytes>::default());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Ok::<_, Infallible>(response)
    });
    let response = dedupe.layer(inner).oneshot(request).await.unwrap();
    (response.status().as_u16(), *response.extensions().get::<DedupeOutcome>().unwrap())
}

#[tokio::test(start_paused = true)]
async fn one_time_out_bounds_each_call() {
    for (store, status, expected) in [
        (hanging(true, false, false), 200, (503, DedupeOutcome::StoreError)),
        (hanging(false, true, false), 200, (503, DedupeOutcome::StoreError)),
        (hanging(false, false, true), 500, (500, DedupeOutcome::Released)),
    ] {
        let dedupe = DedupeLayer::new("workos", store);
        let start = Instant::now();
        assert_eq!(send(&dedupe, request(true), status).await, expected);
        // tokio's clock is paused: it advances only when all tasks are waiting.
        let waited = start.elapsed();
        let (least, most) = (Duration::from_secs(2), Duration::from_millis(2002));
        assert!((least..=most).contains(&waited), "{waited:?}");
    }
    // With `Pass`, the handler runs after the time-out.
    let dedupe = DedupeLayer::new("workos", hanging(true, true, true))
        .on_store_error(OnStoreError::Pass)
        .store_timeout(Duration::from_secs(1));
    let start = Instant::now();
    let answer = send(&dedupe, request(true), 200).await;
    assert_eq!(answer, (200, DedupeOutcome::NotRecorded));
    assert!(start.elapsed() <= Duration::from_millis(1002), "{:?}", start.elapsed());
}

/// Calls in the background end when the lease expires, at the latest.
#[tokio::test(start_paused = true)]
async fn idle_waits_for_the_background() {
    let lease = Duration::from_secs(9);
    let dedupe = DedupeLayer::new("workos", hanging(true, false, false)).lease(lease);
    dedupe.idle().await;
    let start = Instant::now();
    let dropped = tokio::time::timeout(Duration::from_millis(1), send(&dedupe, request(true), 200));
    assert!(dropped.await.is_err());
    assert!(start.elapsed() < lease, "nothing continues");
    dedupe.idle().await;
    let waited = start.elapsed();
    assert!((lease..lease + Duration::from_millis(10)).contains(&waited), "{waited:?}");
}

#[tokio::test]
async fn the_extensions_contain_each_outcome() {
    let dedupe = DedupeLayer::new("workos", MemoryStore::default());
    assert_eq!(send(&dedupe, request(false), 200).await, (500, DedupeOutcome::Misplaced));
    assert_eq!(send(&dedupe, request(true), 404).await, (404, DedupeOutcome::Released));
    assert_eq!(send(&dedupe, request(true), 201).await, (201, DedupeOutcome::Completed));
    assert_eq!(send(&dedupe, request(true), 201).await, (200, DedupeOutcome::Duplicate));

    let store = MemoryStore::default();
    let key = DedupeKey::new("workos", "event_1".into());
    let _ = store.claim(&key, Duration::from_secs(9)).await.unwrap();
    let dedupe = DedupeLayer::new("workos", store);
    assert_eq!(send(&dedupe, request(true), 201).await, (503, DedupeOutcome::InFlight));
}

/// The claim failed, so the layer has no token with which to check the handler's completion.
#[tokio::test]
async fn a_completion_without_a_claim_is_not_acknowledged() {
    let inner = service_fn(|request: Request<()>| async move {
        request.extensions().get::<Claimed<Broken>>().unwrap().complete_by_handler();
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let dedupe = DedupeLayer::new("workos", Broken).on_store_error(OnStoreError::Pass);
    let response = dedupe.layer(inner).oneshot(request(true)).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.extensions().get(), Some(&DedupeOutcome::NotCompleted));
}

/// The content type is not signed, and a gRPC failure is HTTP 200.
#[tokio::test]
async fn a_content_type_does_not_turn_a_failure_into_a_success() {
    let dedupe = DedupeLayer::new("workos", Broken);
    let mut request = request(true);
    let value = http::HeaderValue::from_static("application/grpc");
    request.headers_mut().insert("content-type", value);
    assert_eq!(send(&dedupe, request, 200).await, (503, DedupeOutcome::StoreError));
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A store whose driver returns an error.
#[derive(Clone)]
pub struct Broken;

impl DedupeStore for Broken {
    type Token = ();
    type ClaimFuture = std::future::Ready<Result<Claim<()>, StoreError>>;
    type CompleteFuture = std::future::Ready<Result<Completion, StoreError>>;
    type ReleaseFuture = std::future::Ready<Result<(), StoreError>>;

    fn claim(&self, _: &DedupeKey, _: Duration) -> Self::ClaimFuture {
        std::future::ready(Err(StoreError::not_migrated("relation does not exist")))
    }

    fn complete(&self, _: &DedupeKey, (): &(), _: Duration) -> Self::CompleteFuture {
        std::future::ready(Err(StoreError::unavailable("down")))
    }

    fn confirm(&self, _: &DedupeKey, (): &()) -> Self::CompleteFuture {
        std::future::ready(Err(StoreError::unavailable("down")))
    }

    fn release(&self, _: &DedupeKey, (): &()) -> Self::ReleaseFuture {
        std::future::ready(Err(StoreError::unavailable("down")))
    }
}

#[tokio::test]
async fn the_log_names_the_event_and_the_cause() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    send(&DedupeLayer::new("workos", MemoryStore::default()), request(true), 200).await;
    send(&DedupeLayer::new("workos", Broken), request(true), 200).await;
    {
        let dedupe = DedupeLayer::new("workos", hanging(true, false, false));
        let dropped = send(&dedupe, request(true), 200);
        assert!(tokio::time::timeout(Duration::from_millis(1), dropped).await.is_err());
    }
    for _ in 0..100 {
        send(&DedupeLayer::new("workos", Broken), request(false), 200).await;
    }
    drop(guard);
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let (misplaced, lines): (Vec<&str>, Vec<&str>) =
        log.lines().partition(|line| line.contains("Misplaced"));
    assert!(misplaced.len() <= 10, "anybody can cause these: {}", misplaced.len());
    let [handled, failed, dropped] = lines[..] else { panic!("{log}") };
    assert!(dropped.contains("WARN") && dropped.contains(r#"during="the claim""#), "{dropped}");
    assert!(dropped.contains(r#"event_id="event_1""#), "{dropped}");
    for line in [handled, failed] {
        assert!(line.contains(r#"tower_workos::dedupe"#), "{line}");
        assert!(line.contains(r#"event_id="event_1""#), "{line}");
        assert!(line.contains(r#"event_name="dsync.user.updated""#), "{line}");
    }
    assert!(handled.contains("DEBUG") && handled.contains(r#"outcome="Completed""#), "{handled}");
    assert!(failed.contains("ERROR") && failed.contains(r#"outcome="StoreError""#), "{failed}");
    assert!(failed.contains("call its migrate() at start-up: relation does not exist"), "{failed}");
}
