//! A handler as applications write it without a library, and the layer over a handler. Both are called as axum does.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{body::Body, extract::State, handler::Handler};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tower::Layer;
use tower_workos::{DirectoryEvent, EventData, VerifyWebhookLayer};

use crate::{
    row::Row,
    rows::service::call,
    sign::{SECRET, secret, workos},
};

pub(super) fn all(body: &Bytes) -> [Row; 3] {
    let (delivery, body) = (workos(body), body.clone());
    let make = move || {
        Request::post("/webhooks/workos")
            .header("workos-signature", delivery.signature())
            .body(Body::from(body.clone()))
            .unwrap()
    };

    let mut by_hand = by_hand.with_state(Arc::from(SECRET));
    let request = make.clone();
    let mut handwritten = move || call(&mut by_hand, request());
    assert_eq!(handwritten(), StatusCode::OK);

    let mut layered = VerifyWebhookLayer::new(secret()).layer(on_event.with_state(()));
    let request = make.clone();
    let mut ours = move || call(&mut layered, request());
    assert_eq!(ours(), StatusCode::OK);

    [
        Row::new("axum_request", "(an axum request created and dropped: subtracted)", make),
        Row::new("axum_layer", "tower-workos: the layer over an axum handler", ours)
            .subtract("axum_request"),
        Row::new("handwritten", "hand-written axum handler + Value", handwritten)
            .subtract("axum_request"),
    ]
}

async fn on_event(event: DirectoryEvent) -> StatusCode {
    match event.data() {
        EventData::UserUpdated(change) if change.user.is_active() => StatusCode::OK,
        _ => StatusCode::NO_CONTENT,
    }
}

pub(crate) async fn by_hand(
    State(secret): State<Arc<str>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let Some(header) = headers.get("workos-signature").and_then(|value| value.to_str().ok()) else {
        return StatusCode::UNAUTHORIZED;
    };
    let (mut time, mut signature) = ("", "");
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => time = value,
            Some(("v1", value)) => signature = value,
            _ => {}
        }
    }
    let Ok(issued_at) = time.parse::<u128>() else {
        return StatusCode::BAD_REQUEST;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    if now.abs_diff(issued_at) > 180_000 {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return StatusCode::INTERNAL_SERVER_ERROR;
    };
    mac.update(format!("{time}.").as_bytes());
    mac.update(&body);
    let expected = hex::encode(mac.finalize().into_bytes());
    if !bool::from(expected.as_bytes().ct_eq(signature.as_bytes())) {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(event) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    match event["event"].as_str() {
        Some("dsync.user.updated") if event["data"]["state"] == "active" => StatusCode::OK,
        _ => StatusCode::NO_CONTENT,
    }
}
