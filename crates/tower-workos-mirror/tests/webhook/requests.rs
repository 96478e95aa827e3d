//! Deliveries.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::task::JoinSet;
use tower::ServiceExt as _;
use tower_workos::{
    DirectoryEvent, Timestamp, WebhookSecret,
    testing::{Signer, sample},
};
use tower_workos_mirror::{Mirror, Webhook};

pub const T0: i64 = 1_767_225_600_000;

pub fn secret() -> WebhookSecret {
    WebhookSecret::new("whsec_mirror_test").unwrap()
}

pub fn webhook(mirror: &Mirror) -> Webhook {
    mirror.webhook(secret())
}

/// Creates a user.
pub fn created(user: &str) -> Bytes {
    let at = Timestamp::from_unix_millis_saturating(T0);
    sample::USER_CREATED.builder().id(format!("event_{user}")).user(user).at(at).body()
}

pub fn event(body: Bytes) -> DirectoryEvent {
    DirectoryEvent::parse(body).unwrap()
}

/// An event that changes nothing.
pub fn token(id: &str) -> DirectoryEvent {
    sample::TOKEN_CREATED.builder().id(id).event()
}

pub fn request(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Signer::new(secret()).sign(body).into_request("/webhooks/workos").unwrap()
}

pub async fn send(webhook: &Webhook, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    webhook.clone().oneshot(request(body)).await.unwrap()
}

pub async fn status(webhook: &Webhook, body: impl Into<Bytes>) -> StatusCode {
    send(webhook, body).await.status()
}

/// Sends all at once.
pub async fn send_all(webhook: &Webhook, bodies: Vec<Bytes>) -> Vec<Response<Full<Bytes>>> {
    let mut requests = JoinSet::new();
    for body in bodies {
        let webhook = webhook.clone();
        requests.spawn(async move { send(&webhook, body).await });
    }
    requests.join_all().await
}
