//! The rows of `tower-workos`.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::Empty;
use serde_json::{Map, Value};
use tower::{Layer, Service};
use tower_workos::{
    AccessChange, DirectoryEvent, EventData, SignatureHeader, UserUpdated, Verified, Verifier,
    VerifyWebhookLayer, testing::Signer, verify::VerifiedBody,
};

use crate::{
    row::Row,
    rows::service::{Nothing, call, request, verifier},
    sign::{forged, secret, workos},
};

pub(super) fn verify(body: &Bytes) -> Row {
    Row::new("verify", "tower-workos: verify only", verifying(verifier(), body))
}

/// The layer, over a service that only looks at the type of the event.
pub(super) fn layer(body: &Bytes) -> Row {
    let run = layered(&VerifyWebhookLayer::new(verifier()), body);
    Row::new("layer", "tower-workos: the layer (verify + typed parse + inject)", run)
        .subtract("request")
}

/// The same with the system clock, which all peers use.
pub(super) fn with_the_system_clock(body: &Bytes) -> [Row; 2] {
    let verify = verifying(secret().into(), body);
    let layer = layered(&VerifyWebhookLayer::new(secret()), body);
    [
        Row::new("verify_clock", "tower-workos: verify only, with the system clock", verify),
        Row::new("layer_clock", "tower-workos: the layer, with the system clock", layer)
            .subtract("request"),
    ]
}

fn verifying(verifier: Verifier, body: &Bytes) -> impl FnMut() -> Verified + use<> {
    let delivery = workos(body);
    let verify = move || {
        let header: SignatureHeader = black_box(delivery.signature()).parse().unwrap();
        verifier.verify(&header, delivery.body()).unwrap()
    };
    assert_eq!(verify().signature().secret_index(), 0);
    verify
}

pub(crate) fn layered(
    layer: &VerifyWebhookLayer,
    body: &Bytes,
) -> impl FnMut() -> StatusCode + use<> {
    let (delivery, body) = (workos(body), body.clone());
    let mut service = layer.layer(Inspect(|event: &DirectoryEvent| {
        assert!(matches!(event.data(), EventData::UserUpdated(_)));
    }));
    let mut run = move || call(&mut service, request(delivery.signature(), &body));
    assert_eq!(run(), StatusCode::OK);
    run
}

/// The layer over a service that reads every attribute, as the peers do that return a map of values.
pub(super) fn equal_work(body: &Bytes) -> Row {
    let (delivery, body) = (workos(body), body.clone());
    let mut service = VerifyWebhookLayer::new(secret()).layer(Inspect(|event: &DirectoryEvent| {
        black_box(attributes(event));
    }));
    let mut run = move || call(&mut service, request(delivery.signature(), &body));
    assert_eq!(run(), StatusCode::OK);
    Row::new("layer_values", "tower-workos: the layer + all attributes as Value", run)
        .subtract("request")
}

pub(super) fn parsing(data_first: &Bytes, event_first: &Bytes) -> [Row; 3] {
    let parse = |body: &Bytes| {
        let body = body.clone();
        move || DirectoryEvent::parse(body.clone()).unwrap()
    };
    let values = parse(data_first);
    let values = move || {
        let event = values();
        (attributes(&event), event)
    };
    let ([custom, previous], _) = values();
    assert_eq!(custom["badge_level"], 4);
    assert_eq!(previous["role"]["slug"], "member");
    [
        Row::new("parse", "tower-workos: typed parse, `data` first", parse(data_first)),
        Row::new(
            "parse_event_first",
            "tower-workos: typed parse, `event` first",
            parse(event_first),
        ),
        Row::new("parse_values", "tower-workos: typed parse + all attributes as Value", values),
    ]
}

/// Parses all that the layer keeps as text.
fn attributes(event: &DirectoryEvent) -> [Map<String, Value>; 2] {
    let change = user_updated(event);
    [change.user.custom_attributes.raw(), change.previous_attributes.raw()]
        .map(|raw| serde_json::from_str(raw).unwrap())
}

fn user_updated(event: &DirectoryEvent) -> &UserUpdated {
    match event.data() {
        EventData::UserUpdated(change) => change,
        _ => panic!("unexpected event"),
    }
}

/// Requests that are rejected.
pub(super) fn rejecting(body: &Bytes) -> [Row; 4] {
    let service = VerifyWebhookLayer::new(verifier()).layer(Nothing);
    let an_hour_ago = SystemTime::now() - Duration::from_secs(60 * 60);
    let stale = Signer::new(secret()).at(an_hour_ago).sign(body.clone());
    let genuine = workos(body);
    let forged = forged(genuine.signature());
    let unread = |signature: &str| {
        Request::post("/webhooks/workos")
            .header("workos-signature", signature)
            .body(Unreadable)
            .unwrap()
    };
    // The value has the length of the signature in the request that is subtracted.
    let other = genuine.signature().to_owned();
    let unsigned = move || {
        Request::post("/webhooks/workos")
            .header("x-other-signature", &other)
            .body(Unreadable)
            .unwrap()
    };
    let mut rejecting = service.clone();
    let signature = stale.signature().to_owned();
    let mut stale = move || call(&mut rejecting, unread(&signature));
    assert_eq!(stale(), StatusCode::UNAUTHORIZED);
    let mut rejecting = service.clone();
    let mut missing = move || call(&mut rejecting, unsigned());
    assert_eq!(missing(), StatusCode::UNAUTHORIZED);
    let (mut rejecting, body) = (service, body.clone());
    let mut forged = move || call(&mut rejecting, request(&forged, &body));
    assert_eq!(forged(), StatusCode::UNAUTHORIZED);
    let signature = genuine.signature().to_owned();
    [
        Row::new(
            "bare_request",
            "(a request without a body created and dropped: subtracted)",
            move || unread(&signature),
        ),
        Row::new("stale", "tower-workos: a stale request rejected", stale).subtract("bare_request"),
        Row::new("unsigned", "tower-workos: an unsigned request rejected", missing)
            .subtract("bare_request"),
        Row::new("forged", "tower-workos: a forged request rejected", forged).subtract("request"),
    ]
}

/// The operations on a parsed event.
pub(super) fn reading(body: &Bytes) -> [Row; 3] {
    let event = DirectoryEvent::parse(body.clone()).unwrap();
    assert!(matches!(event.access_change(), Some(AccessChange::Changed(_))));
    let (changing, telling) = (event.clone(), event.clone());
    [
        Row::new("access_change", "tower-workos: access_change()", move || {
            matches!(black_box(&changing).access_change(), Some(AccessChange::Changed(_)))
        }),
        Row::new("data", "tower-workos: data()", move || {
            matches!(black_box(&telling).data(), EventData::UserUpdated(_))
        }),
        Row::new("clone", "tower-workos: an event cloned and dropped", move || {
            black_box(&event).clone()
        }),
    ]
}

/// An inner service that passes the event to a function.
#[derive(Clone)]
struct Inspect<F>(F);

impl<F: Fn(&DirectoryEvent)> Service<Request<VerifiedBody>> for Inspect<F> {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<VerifiedBody>) -> Self::Future {
        (self.0)(request.extensions().get().expect("the layer inserts the event"));
        black_box(request);
        ready(Ok(Response::new(Empty::new())))
    }
}

/// A body that panics when it is read.
struct Unreadable;

impl Body for Unreadable {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("the body was read")
    }
}
