//! The order of the checks, the statuses, and what reaches the handler.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::CONTENT_LENGTH};
use http_body_util::Full;
use tower_workos::{
    Rejection, RejectionKind, SIGNATURE_HEADER, Verifier, VerifyWebhook, VerifyWebhookLayer,
    WebhookSecrets,
    testing::{ManualClock, Signer, sample},
    verify::VerifiedBody,
};

use crate::support::{
    NOW, ScriptBody, Step, at, delivery, delivery_of, layer, other_secret, secret, send, signer,
    verifier,
};

fn full(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    delivery(body)
}

/// A request whose body must not be polled.
fn untouchable(change: impl FnOnce(&mut Request<ScriptBody>)) -> Request<ScriptBody> {
    let mut request = delivery_of(b"", ScriptBody::new([Step::Untouchable]));
    change(&mut request);
    request
}

#[tokio::test]
async fn a_genuine_delivery_reaches_the_handler_with_its_bytes_and_its_event() {
    for &sample in sample::ALL {
        let outcome = send(&layer(), full(sample)).await;
        let event = outcome.event();
        assert_eq!(event.raw(), sample.body());
        assert_eq!(event.name(), sample.name());
        assert_eq!(event.issued_at(), Some(at(NOW)));
        assert_eq!(outcome.rejection, None);
    }
}

/// Older Node SDKs verify a body that they have parsed and serialized again.
#[tokio::test]
async fn bytes_are_verified_as_received_and_passed_on_as_such() {
    let odd = "\r\n{ \"data\" : {\"id\":\"u\",\"x\":1.0e0, \"name\":\"Zo\\u00eb \u{1f980}\"},\t\"id\":\"\\u0065vent_1\",\"event\":\"dsync.user.created\"}\n";
    let outcome = send(&layer(), full(odd)).await;
    assert_eq!(outcome.event().raw(), odd);
    assert_eq!(outcome.event().id(), &"event_1");
}

#[tokio::test]
async fn the_rest_of_the_request_does_not_change() {
    let mut request = full(sample::USER_CREATED);
    request.headers_mut().insert("x-other", http::HeaderValue::from_static("kept"));
    request.extensions_mut().insert(7_u8);
    let service = tower::service_fn(|request: Request<VerifiedBody>| async move {
        assert_eq!(request.uri(), "/webhooks/workos");
        assert_eq!(request.headers()["x-other"], "kept");
        assert_eq!(request.extensions().get(), Some(&7_u8));
        let length = http_body::Body::size_hint(request.body()).exact();
        assert_eq!(length, Some(u64::try_from(sample::USER_CREATED.body().len()).unwrap()));
        assert!(!http_body::Body::is_end_stream(request.body()));
        let debug = format!("{:?}", request.body());
        assert!(debug.contains("length") && !debug.contains("Rosalind"), "{debug}");
        assert_eq!(request.into_body().into_bytes(), sample::USER_CREATED.body());
        Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let response =
        tower::ServiceExt::oneshot(VerifyWebhook::new(service, verifier()), request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

/// Only a server that does not parse `Content-Length` passes it on. Then the body's own length counts.
#[tokio::test]
async fn a_content_length_that_is_not_a_number_is_ignored() {
    for (length, status) in [("soon", 200), ("-1", 200), ("99999999999999999999999", 413)] {
        let mut request = full(sample::USER_CREATED);
        request.headers_mut().insert("content-length", length.parse().unwrap());
        let service = tower::service_fn(|_: Request<VerifiedBody>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let service = VerifyWebhook::new(service, verifier());
        let future = tower::ServiceExt::oneshot(service, request);
        assert_eq!(future.await.unwrap().status(), status, "{length}");
    }
}

#[tokio::test]
async fn method_not_allowed() {
    for method in
        [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH]
    {
        // Even if everything else is valid. Nothing is read.
        let outcome = send(&layer(), untouchable(|request| *request.method_mut() = method)).await;
        assert_eq!(outcome.kind(), RejectionKind::MethodNotAllowed);
        assert_eq!((outcome.status, &outcome.headers["allow"]), (405, &"POST".parse().unwrap()));
    }
}

#[tokio::test]
async fn missing_signature() {
    let outcome = send(
        &layer(),
        untouchable(|request| {
            request.headers_mut().remove(SIGNATURE_HEADER);
        }),
    )
    .await;
    assert_eq!(outcome.kind(), RejectionKind::MissingSignature);
    assert_eq!(
        (outcome.status, &outcome.headers["www-authenticate"]),
        (401, &"WorkOS-Signature".parse().unwrap())
    );
}

/// twitch_api 0.8 panics on a short digest; the Node SDK accepts a time that is not a number.
#[tokio::test]
async fn malformed_signature() {
    let hex = "0".repeat(64);
    for value in [
        "".to_owned(),
        "garbage".to_owned(),
        format!("t=NaN, v1={hex}"),
        format!("t={NOW}, v1="),
        format!("t={NOW}, v1=abc"),
        format!("t={NOW}, v1={hex}0"),
        format!("t={NOW}, v1={}", &hex[1..]),
        format!("t={NOW}"),
        format!("v1={hex}"),
        format!("t={NOW}, t={NOW}, v1={hex}"),
        format!("t={NOW}, v1={hex}, {}=x", "k".repeat(1024)),
    ] {
        let outcome = send(
            &layer(),
            untouchable(|request| {
                request.headers_mut().insert(SIGNATURE_HEADER, value.parse().unwrap());
            }),
        )
        .await;
        assert_eq!(outcome.kind(), RejectionKind::MalformedSignature, "{value}");
        assert_eq!(outcome.status, 400);
    }
    // Bytes that are not text; and a valid header that occurs twice.
    for change in [
        |request: &mut Request<ScriptBody>| {
            let value = http::HeaderValue::from_bytes(b"t=\xff, v1=\x80").unwrap();
            request.headers_mut().insert(SIGNATURE_HEADER, value);
        },
        |request: &mut Request<ScriptBody>| {
            let value = request.headers()[SIGNATURE_HEADER].clone();
            request.headers_mut().append(SIGNATURE_HEADER, value);
        },
    ] {
        let outcome = send(&layer(), untouchable(change)).await;
        assert_eq!(outcome.kind(), RejectionKind::MalformedSignature);
    }
}

/// The Node SDK accepts times in the future.
#[tokio::test]
async fn timestamp_outside_tolerance() {
    for offset in [-180_001, 180_001] {
        let body = sample::USER_CREATED;
        let delivery = Signer::new(secret()).at(at(NOW + offset)).sign(body);
        let outcome = send(
            &layer(),
            untouchable(|request| {
                let value = delivery.signature().parse().unwrap();
                request.headers_mut().insert(SIGNATURE_HEADER, value);
            }),
        )
        .await;
        assert_eq!(outcome.kind(), RejectionKind::TimestampOutsideTolerance);
        assert_eq!(outcome.status, 401);
        assert!(outcome.headers.contains_key("www-authenticate"));
    }
    for offset in [-180_000, -179_999, 179_999, 180_000] {
        let delivery = Signer::new(secret()).at(at(NOW + offset)).sign(sample::USER_CREATED);
        let request = delivery.into_request::<Full<Bytes>, _>("/").unwrap();
        send(&layer(), request).await.event();
    }
}

#[tokio::test]
async fn body_limit_at_its_boundaries() {
    let body = sample::USER_CREATED.body().as_bytes();
    for (limit, ok) in [(body.len() - 1, false), (body.len(), true), (body.len() + 1, true)] {
        let layer = layer().body_limit(limit);
        for chunk in [1, 7, body.len() - 1, body.len()] {
            let request = delivery_of(body, ScriptBody::chunks(body, chunk));
            let outcome = send(&layer, request).await;
            if ok {
                outcome.event();
            } else {
                assert_eq!(outcome.kind(), RejectionKind::BodyTooLarge);
                assert_eq!(outcome.status, 413);
            }
        }
    }
    assert_eq!(
        send(&layer().body_limit(0), full(Bytes::new())).await.kind(),
        RejectionKind::InvalidPayload
    );
}

#[tokio::test]
async fn the_default_limit_is_a_mebibyte() {
    for (length, kind) in
        [(1 << 20, RejectionKind::InvalidPayload), ((1 << 20) + 1, RejectionKind::BodyTooLarge)]
    {
        let body = vec![b'x'; length];
        let request = delivery_of(&body, ScriptBody::chunks(&body, 8192));
        assert_eq!(send(&layer(), request).await.kind(), kind, "{length}");
    }
}

/// axum-standardwebhooks 1.0 panics on a large body.
#[tokio::test]
async fn a_declared_length_over_the_limit_is_rejected_unread() {
    let layer = layer().body_limit(1000);
    for length in ["1001", "99999999999999999999", "18446744073709551615"] {
        let request = untouchable(|request| {
            request.headers_mut().insert(CONTENT_LENGTH, length.parse().unwrap());
        });
        let outcome = send(&layer, request).await;
        assert_eq!(outcome.kind(), RejectionKind::BodyTooLarge, "{length}");
    }
    // By the body's size hint, if there is no header.
    let mut request = delivery_of(b"", ScriptBody::new([Step::Untouchable]).hint(1001));
    request.headers_mut().remove(CONTENT_LENGTH);
    assert_eq!(send(&layer, request).await.kind(), RejectionKind::BodyTooLarge);
    // A length that is too small does not help; one that is too large, within the limit, does no harm.
    let body = vec![b' '; 1001];
    let mut request = delivery_of(&body, ScriptBody::chunks(&body, 10));
    request.headers_mut().insert(CONTENT_LENGTH, "10".parse().unwrap());
    assert_eq!(send(&layer, request).await.kind(), RejectionKind::BodyTooLarge);
    let body = sample::DIRECTORY_DELETED.body().as_bytes();
    let mut request = delivery_of(body, ScriptBody::chunks(body, 10).hint(1000));
    request.headers_mut().insert(CONTENT_LENGTH, "1000".parse().unwrap());
    send(&layer, request).await.event();
}

#[tokio::test]
async fn signature_mismatch() {
    let other = Signer::new(other_secret()).at(at(NOW)).sign(sample::USER_CREATED);
    let request = other.into_request::<Full<Bytes>, _>("/").unwrap();
    let outcome = send(&layer(), request).await;
    assert_eq!(outcome.kind(), RejectionKind::SignatureMismatch);
    assert_eq!(outcome.status, 401);
    assert!(outcome.headers.contains_key("www-authenticate"));

    let body = sample::USER_CREATED.body();
    let request = full(body).map(|_| Full::<Bytes>::from(body.replace("Rosalind", "Rosalynd")));
    assert_eq!(send(&layer(), request).await.kind(), RejectionKind::SignatureMismatch);
    // The signature is verified before the payload is parsed, so a forger learns nothing about the parser.
    let request = full("x").map(|_| Full::<Bytes>::from("not json"));
    assert_eq!(send(&layer(), request).await.kind(), RejectionKind::SignatureMismatch);
}

/// workos 3.5 accepts an empty secret, with which anyone can sign. A `WebhookSecret` can't be empty, and signatures made with
/// an empty key don't match.
#[tokio::test]
async fn signatures_of_an_empty_key_do_not_pass() {
    // HMAC-SHA256 with an empty key of "1770000000000.body", from Python's hmac.
    let empty =
        "t=1770000000000, v1=da1e08a98b62c21ca6931ed23afc8fa27797dc4c4b154399e9ad08d43e40463b";
    let mut request = full("body");
    request.headers_mut().insert(SIGNATURE_HEADER, empty.parse().unwrap());
    assert_eq!(send(&layer(), request).await.kind(), RejectionKind::SignatureMismatch);
}

#[tokio::test]
async fn invalid_payload() {
    for body in [
        Bytes::new(),
        Bytes::from_static(b"{}"),
        Bytes::from_static(b"\xff\xfe"),
        Bytes::from_static(
            br#"{"id":"e","event":"dsync.user.created","data":{"email":"payload_canary"}}"#,
        ),
    ] {
        let outcome = send(&layer(), full(body)).await;
        assert_eq!(outcome.kind(), RejectionKind::InvalidPayload);
        assert_eq!(outcome.status, 422);
    }
    // An event that this version does not know passes.
    let outcome = send(&layer(), full(r#"{"id":"e","event":"user.created","data":{}}"#)).await;
    assert_eq!(outcome.event().name(), "user.created");
}

#[tokio::test]
async fn checks_run_in_order() {
    // Everything is wrong at first; then one fault after the other is fixed.
    let stale = Signer::new(other_secret()).at(at(0)).sign("x").signature().to_owned();
    let forged = Signer::new(other_secret()).at(at(NOW)).sign("x").signature().to_owned();
    let genuine = signer().sign("xx").signature().to_owned();
    let layer = layer().body_limit(2);
    let request = |method: Method, signature: Option<&str>, body: &'static str| {
        let mut request = Request::new(Full::<Bytes>::from(body));
        *request.method_mut() = method;
        if let Some(signature) = signature {
            request.headers_mut().insert(SIGNATURE_HEADER, signature.parse().unwrap());
        }
        request
    };
    for (request, kind) in [
        (request(Method::GET, None, "xxx"), RejectionKind::MethodNotAllowed),
        (request(Method::POST, None, "xxx"), RejectionKind::MissingSignature),
        (request(Method::POST, Some("t=0"), "xxx"), RejectionKind::MalformedSignature),
        (request(Method::POST, Some(&stale), "xxx"), RejectionKind::TimestampOutsideTolerance),
        (request(Method::POST, Some(&forged), "xxx"), RejectionKind::BodyTooLarge),
        (request(Method::POST, Some(&forged), "xx"), RejectionKind::SignatureMismatch),
        (request(Method::POST, Some(&genuine), "xx"), RejectionKind::InvalidPayload),
    ] {
        assert_eq!(send(&layer, request).await.kind(), kind);
    }
}

#[tokio::test]
async fn a_custom_response_keeps_the_rejection() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let layer = layer().rejection_response(move |rejection: &Rejection| {
        count.fetch_add(1, Ordering::SeqCst);
        let mut response = rejection.to_response().map(|_| Bytes::from_static(b"no"));
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    });
    let outcome = send(&layer, full("{}")).await;
    assert_eq!((outcome.status, &outcome.body[..]), (418, &b"no"[..]));
    assert_eq!(outcome.rejection.unwrap().kind(), RejectionKind::InvalidPayload);
    assert_eq!(seen.load(Ordering::SeqCst), 1);
    send(&layer, full(sample::USER_CREATED)).await.event();
    assert_eq!(seen.load(Ordering::SeqCst), 1, "not for requests that pass");
}

#[tokio::test]
async fn secrets_can_be_replaced_under_a_running_layer() {
    let secrets = WebhookSecrets::from(secret());
    let layer =
        VerifyWebhookLayer::new(Verifier::new(secrets.clone()).clock(ManualClock::new(at(NOW))));
    let new = || {
        let delivery = Signer::new(other_secret()).at(at(NOW)).sign(sample::USER_CREATED);
        delivery.into_request::<Full<Bytes>, _>("/").unwrap()
    };
    assert_eq!(send(&layer, new()).await.kind(), RejectionKind::SignatureMismatch);
    secrets.replace([secret(), other_secret()]).unwrap();
    let outcome = send(&layer, new()).await;
    assert_eq!(outcome.event().signature().unwrap().secret_index(), 1);
    send(&layer, full(sample::USER_CREATED)).await.event();
    secrets.replace([other_secret()]).unwrap();
    assert_eq!(
        send(&layer, full(sample::USER_CREATED)).await.kind(),
        RejectionKind::SignatureMismatch
    );
}

#[tokio::test]
async fn settings_show_in_debug_and_secrets_do_not() {
    let layer = layer().body_limit(77).body_timeout(Duration::from_secs(3));
    let service = tower::Layer::layer(&layer, "inner");
    for debug in [format!("{layer:?}"), format!("{service:?}")] {
        assert!(debug.contains("77") && debug.contains("3s") && debug.contains("180s"), "{debug}");
        assert!(!debug.contains("whsec"), "{debug}");
    }
    let body = VerifiedBody::default();
    assert!(http_body::Body::is_end_stream(&body));
    assert_eq!(*service.get_ref(), "inner");
    assert_eq!(service.into_inner(), "inner");
}
