//! The endpoint.

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tower_workos::{
    VerifyWebhookLayer, WebhookSecret,
    testing::{Signer, sample},
};

use crate::support::{Handled, Place, on_each_engine, run, until};

on_each_engine!(an_event_is_stored, a_forged_event_is_not_stored, an_unreadable_body_is_kept);

const SECRET: &str = "whsec_of_these_tests";

fn secret() -> WebhookSecret {
    WebhookSecret::new(SECRET).unwrap()
}

fn request(secret: &str, body: impl Into<bytes::Bytes>) -> Request<Body> {
    let signer = Signer::new(WebhookSecret::new(secret).unwrap());
    signer.sign(body).into_request("/webhooks/workos").unwrap()
}

async fn an_event_is_stored(place: &Place) {
    let inbox = place.inbox().await;
    let body = sample::USER_CREATED.builder().id("event_1").body();
    let response = inbox.webhook(secret()).oneshot(request(SECRET, body.clone())).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    // A retry, through a stack of one's own.
    let stack = tower::ServiceBuilder::new()
        .layer(VerifyWebhookLayer::new(secret()))
        .service(inbox.event_store());
    let response = stack.oneshot(request(SECRET, body)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(inbox.status().await.unwrap().depth, 1);
    let handled = Handled::default();
    let running = run(inbox.worker(handled.service()));
    until("nothing is left", async || inbox.status().await.unwrap().depth == 0).await;
    running.stop().await;
    assert_eq!(handled.sorted(), ["event_1"]);
}

async fn a_forged_event_is_not_stored(place: &Place) {
    let inbox = place.inbox().await;
    let body = sample::USER_CREATED.builder().body();
    let response = inbox.webhook(secret()).oneshot(request("whsec_other", body)).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(inbox.status().await.unwrap().depth, 0);
    // Without the layer that verifies, nothing is stored either.
    let response = inbox.event_store().oneshot(Request::new(Body::empty())).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.windows(18).any(|it| it == b"VerifyWebhookLayer"));
}

async fn an_unreadable_body_is_kept(place: &Place) {
    let inbox = place.inbox().await;
    for body in [&b"{\"id\":\"event_9\""[..], b"\xff\0"] {
        for _ in 0..2 {
            let response = inbox.webhook(secret()).oneshot(request(SECRET, body)).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
        }
    }
    let status = inbox.status().await.unwrap();
    assert_eq!((status.depth, status.dead), (0, 2));
    let letters = inbox.dead_letters(0, 10).await.unwrap();
    assert!(letters.iter().all(|letter| letter.key.starts_with("sha256:")));
    assert!(letters.iter().all(|letter| !letter.error.is_empty() && letter.attempts == 0));
    // This version still can't read them.
    let handled = Handled::default();
    let running = run(inbox.worker(handled.service()));
    assert_eq!(inbox.retry_dead_letters().await.unwrap(), 2);
    until("both are dead again", async || inbox.status().await.unwrap().dead == 2).await;
    running.stop().await;
    assert_eq!(handled.len(), 0);
}
