//! The layer in axum, over a real socket and in its routers.

use std::time::Duration;

use axum::{
    Extension, Router,
    body::Body,
    extract::State,
    handler::Handler,
    routing::{get, post},
};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::{
    Service, ServiceBuilder, ServiceExt, buffer::BufferLayer, limit::ConcurrencyLimitLayer,
};
use tower_http::{
    catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer, timeout::TimeoutLayer,
    trace::TraceLayer,
};
use tower_workos::{
    DirectoryEvent, MissingDirectoryEvent, Rejection, RejectionKind, testing::sample,
};

use crate::support::{delivery, layer, verifier};

async fn handler(event: DirectoryEvent, body: Bytes) -> String {
    assert_eq!(event.raw(), &body);
    format!("{} {}", event.name(), event.id())
}

fn genuine() -> Request<Body> {
    delivery(sample::USER_CREATED)
}

fn forged() -> Request<Body> {
    genuine().map(|_| Body::from("forged"))
}

async fn answer(app: Router, request: Request<Body>) -> (StatusCode, String) {
    let response = app.oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[track_caller]
fn assert_handled((status, body): (StatusCode, String)) {
    assert_eq!(
        (status, body.as_str()),
        (StatusCode::OK, "dsync.user.created event_01JTWS6F2M8P4R7V0Z3B9D1K03")
    );
}

#[tokio::test]
async fn around_a_router_a_route_and_a_method() {
    let path = "/webhooks/workos";
    for app in [
        Router::new().route(path, post(handler)).layer(layer()),
        Router::new().route(path, post(handler)).route_layer(layer()),
        Router::new().route(path, post(handler).layer(layer())),
        Router::new().route(path, post(handler.layer(layer()))),
        Router::new()
            .route("/", get(|| async {}))
            .merge(Router::new().route(path, post(handler)).route_layer(layer())),
        Router::new()
            .nest("/webhooks", Router::new().route("/workos", post(handler).layer(layer()))),
        Router::new()
            .route_service(path, ServiceBuilder::new().layer(layer()).service(post(handler))),
    ] {
        assert_handled(answer(app.clone(), genuine()).await);
        let (status, body) = answer(app, forged()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(body.contains("SignatureMismatch"), "{body}");
    }
}

#[tokio::test]
async fn route_layer_does_not_change_other_routes() {
    let app = Router::new()
        .route("/webhooks/workos", post(handler))
        .route_layer(layer())
        .route("/health", get(|| async { "fine" }));
    let health = Request::get("/health").body(Body::empty()).unwrap();
    assert_eq!(answer(app.clone(), health).await, (StatusCode::OK, "fine".into()));
    let missing = Request::get("/nowhere").body(Body::empty()).unwrap();
    assert_eq!(answer(app, missing).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_stack_of_the_readme() {
    let app = || Router::new().route("/webhooks/workos", post(handler));
    let outer = || {
        ServiceBuilder::new()
            .layer(TraceLayer::new_for_http())
            .layer(CatchPanicLayer::new())
            .layer(RequestBodyLimitLayer::new(1 << 20))
            .layer(TimeoutLayer::with_status_code(
                StatusCode::REQUEST_TIMEOUT,
                Duration::from_secs(5),
            ))
            .layer(layer())
    };
    assert_handled(answer(app().route_layer(outer()), genuine()).await);
    assert_handled(answer(app().layer(outer()), genuine()).await);
    assert_eq!(answer(app().layer(outer()), forged()).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn over_limits_and_buffers() {
    let app = Router::new()
        .route("/webhooks/workos", post(handler))
        .route_layer(ServiceBuilder::new().layer(layer()).layer(ConcurrencyLimitLayer::new(1)));
    for _ in 0..3 {
        assert_handled(answer(app.clone(), genuine()).await);
        assert_eq!(answer(app.clone(), forged()).await.0, StatusCode::UNAUTHORIZED);
    }
    let inner = Router::new().route("/webhooks/workos", post(handler));
    let mut service =
        ServiceBuilder::new().layer(layer()).layer(BufferLayer::new(4)).service(inner);
    let ready = ServiceExt::<Request<Body>>::ready(&mut service).await.unwrap();
    let response = ready.call(genuine()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn panics_and_limits_of_other_layers_keep_their_responses() {
    async fn panics(_: DirectoryEvent) {
        panic!("the handler's own fault");
    }
    let app = Router::new()
        .route("/webhooks/workos", post(panics))
        .route_layer(ServiceBuilder::new().layer(CatchPanicLayer::new()).layer(layer()));
    assert_eq!(answer(app, genuine()).await.0, StatusCode::INTERNAL_SERVER_ERROR);

    // A chunked body over an outer limit: 413, not 400.
    let app = Router::new()
        .route("/webhooks/workos", post(handler))
        .route_layer(ServiceBuilder::new().layer(RequestBodyLimitLayer::new(100)).layer(layer()));
    let chunked =
        Body::new(crate::support::ScriptBody::chunks(sample::USER_CREATED.body().as_bytes(), 50));
    let response = app.oneshot(genuine().map(|_| chunked)).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let rejection = response.extensions().get::<Rejection>().unwrap();
    assert_eq!(rejection.kind(), RejectionKind::BodyTooLarge);
}

/// axum-standardwebhooks 1.0 panics on a body over axum's own limit of 2 MB.
#[tokio::test]
async fn a_body_of_three_megabytes() {
    let app = |limit| {
        Router::new()
            .route(
                "/webhooks/workos",
                post(|event: DirectoryEvent| async move { event.name().to_owned() }),
            )
            .layer(layer().body_limit(limit))
    };
    let filler = "x".repeat(3_000_000);
    let body =
        format!(r#"{{"id":"e","event":"dsync.deleted","data":{{"id":"d","x":"{filler}"}}}}"#);
    let request = || delivery::<Body>(body.clone());
    assert_eq!(answer(app(1 << 20), request()).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer(app(4 << 20), request()).await, (StatusCode::OK, "dsync.deleted".into()));
}

#[tokio::test]
async fn without_the_layer_the_answer_explains_how_to_fix_it() {
    let app = Router::new().route("/webhooks/workos", post(handler));
    let (status, body) = answer(app, genuine()).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        body,
        "no DirectoryEvent in the request: add `.route_layer(VerifyWebhookLayer::new(secret))` to the router, after the \
         route of this handler: a route that is added after `.route_layer(..)` or `.layer(..)` is not covered"
    );
    // As the message says, the order matters.
    let later = Router::new()
        .route("/other", post(handler))
        .route_layer(layer())
        .route("/webhooks/workos", post(handler));
    assert_eq!(answer(later, genuine()).await, (StatusCode::INTERNAL_SERVER_ERROR, body));

    async fn with_reason(event: Result<DirectoryEvent, MissingDirectoryEvent>) -> String {
        event.unwrap_err().to_string()
    }
    let app = Router::new().route("/webhooks/workos", post(with_reason));
    assert!(answer(app, genuine()).await.1.contains("VerifyWebhookLayer::new"));
}

#[tokio::test]
async fn an_optional_event() {
    async fn optional(event: Option<DirectoryEvent>) -> &'static str {
        if event.is_some() { "some" } else { "none" }
    }
    let app = Router::new().route("/webhooks/workos", post(optional));
    assert_eq!(answer(app.clone(), genuine()).await.1, "none");
    assert_eq!(answer(app.layer(layer()), genuine()).await.1, "some");
}

#[tokio::test]
async fn as_an_extension_next_to_state() {
    async fn both(State(state): State<u8>, Extension(event): Extension<DirectoryEvent>) -> String {
        format!("{state} {}", event.name())
    }
    let app = Router::new().route("/webhooks/workos", post(both)).layer(layer()).with_state(7);
    assert_eq!(answer(app, genuine()).await.1, "7 dsync.user.created");
}

#[tokio::test]
async fn a_rejection_answers_from_a_handler() {
    async fn by_hand(headers: http::HeaderMap, body: Bytes) -> Result<String, Rejection> {
        let header = tower_workos::SignatureHeader::from_headers(&headers)?;
        Ok(verifier().construct_event(&header, body)?.name().to_owned())
    }
    let app = Router::new().route("/webhooks/workos", post(by_hand));
    assert_eq!(answer(app.clone(), genuine()).await, (StatusCode::OK, "dsync.user.created".into()));
    let (status, body) = answer(app, forged()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(body.contains("SignatureMismatch"));
}
