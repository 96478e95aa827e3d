//! The layer in a stack of the application's own.

use std::{convert::Infallible, future::poll_fn, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use tokio::task::JoinSet;
use tower::{
    BoxError, Layer as _, Service as _, ServiceBuilder, ServiceExt as _,
    limit::ConcurrencyLimitLayer, service_fn,
};
use tower_test::{assert_request_eq, mock};
use tower_workos::{VerifyWebhookLayer, testing::sample};
use tower_workos_mirror::{AppliedChanges, Mirror};

use crate::{
    database::{Database, Lock},
    requests::{created, event, request, secret, token},
};

type Empty = Response<Full<Bytes>>;

/// A request that was verified.
fn verified(event: tower_workos::DirectoryEvent) -> Request<()> {
    let mut request = Request::new(());
    request.extensions_mut().insert(event);
    request
}

#[tokio::test]
async fn the_inner_service_gets_the_changes_of_its_event() {
    for database in Database::all().await {
        let mirror = database.mirror().await;
        let stack = ServiceBuilder::new()
            .layer(VerifyWebhookLayer::new(secret()))
            .layer(mirror.layer())
            .service_fn(|request: Request<tower_workos::verify::VerifiedBody>| async move {
                let event: &tower_workos::DirectoryEvent = request.extensions().get().unwrap();
                let changes: &AppliedChanges = request.extensions().get().unwrap();
                assert!(changes.iter().all(|it| it.event_id.as_ref() == Some(event.id())));
                Ok::<_, Infallible>(Response::new(Full::from(changes.len().to_string())))
            });
        let mut calls = JoinSet::new();
        for user in 0..20 {
            // Each event twice: only one of the two has changes.
            for _ in 0..2 {
                let response = stack.clone().oneshot(request(created(&format!("user_{user}"))));
                calls.spawn(async move { response.await.unwrap().into_body().collect().await });
            }
        }
        let mut counts: Vec<_> =
            calls.join_all().await.into_iter().map(|body| body.unwrap().to_bytes()).collect();
        counts.sort();
        // `UserCreated` and `UserGranted`.
        assert_eq!(counts[..20], vec!["0"; 20]);
        assert_eq!(counts[20..], vec!["2"; 20]);
        database.drop().await;
    }
}

#[tokio::test]
async fn only_the_ready_service_is_called() {
    let database = Database::sqlite();
    let mirror = database.mirror().await;
    let (mut service, mut handle) = mock::spawn_with(|service: mock::Mock<u8, u8>| {
        let service = service.map_request(|_: Request<()>| 1);
        let service = service.map_response(|_| Empty::default());
        mirror.layer().layer(service)
    });
    handle.allow(0);
    assert!(service.poll_ready().is_pending());
    handle.allow(1);
    assert!(service.poll_ready().is_ready());
    // A clone isn't ready, although this one is.
    let mut clone = service.get_ref().clone();
    let (response, ()) = tokio::join!(service.call(verified(token("event_1"))), async {
        assert_request_eq!(handle, 1).send_response(1);
    });
    assert_eq!(response.unwrap().status(), StatusCode::OK);
    let pending = tokio::time::timeout(Duration::from_millis(50), clone.ready()).await;
    assert!(pending.is_err());
}

/// `ConcurrencyLimit` panics if a clone is called that was not polled ready.
#[tokio::test]
async fn a_limit_inside_the_layer() {
    for database in Database::all().await {
        let mirror = database.mirror().await;
        let limited = ServiceBuilder::new()
            .layer(mirror.layer())
            .layer(ConcurrencyLimitLayer::new(2))
            .service_fn(|_: Request<()>| async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok::<_, BoxError>(Empty::default())
            });
        let mut calls = JoinSet::new();
        for user in 0..20 {
            let event = event(created(&format!("user_{user}")));
            calls.spawn(limited.clone().oneshot(verified(event)));
        }
        for response in calls.join_all().await {
            assert_eq!(response.unwrap().status(), StatusCode::OK);
        }
        assert_eq!(database.users().await, 20);
        database.drop().await;
    }
}

/// The inner service is not called, and what it reserved is free again.
#[tokio::test]
async fn an_event_that_is_not_stored() {
    for database in Database::all().await {
        let mirror = database.mirror_with(|it| it.timeout(Duration::from_millis(200))).await;
        let mut service = ServiceBuilder::new()
            .layer(mirror.layer())
            .layer(ConcurrencyLimitLayer::new(1))
            .service_fn(|_: Request<()>| async { Err::<Empty, BoxError>("called".into()) });
        let lock = Lock::acquire(&database).await;
        let failing = service.ready().await.unwrap().call(verified(event(created("user_0"))));
        let mut failing = Box::pin(failing);
        let response = failing.as_mut().await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(header::RETRY_AFTER));
        // It is free although the future still exists.
        let ready = tokio::time::timeout(Duration::from_secs(1), service.ready()).await;
        ready.unwrap().unwrap();
        lock.release().await;
        database.drop().await;
    }
}

#[tokio::test]
async fn a_missing_layer_is_explained() {
    let pool = sqlx::SqlitePool::connect_lazy("sqlite::memory:").unwrap();
    let service = Mirror::new(pool)
        .layer()
        .layer(service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Empty::default()) }));
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(str::from_utf8(&body).unwrap().contains("Add a VerifyWebhookLayer outside"));
}

/// A request that waits for the inner service waits before its event is applied.
#[tokio::test]
async fn a_service_that_is_polled_until_ready() {
    let database = Database::sqlite();
    let mirror = database.mirror().await;
    let mut service = mirror
        .layer()
        .layer(service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Empty::default()) }));
    poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
    let body = sample::USER_CREATED.builder().id("event_1").event();
    assert_eq!(service.call(verified(body)).await.unwrap().status(), StatusCode::OK);
    assert_eq!(database.users().await, 1);
}
