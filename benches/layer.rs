//! The cost of the layer, compared with lower bounds ("floor"): one keyed HMAC, and that plus the typed parse.
//!
//! ```text
//! cargo bench
//! ```
//!
//! Each closure is first checked to have the expected result. Creating the request is not timed, but dropping it is.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench may panic; criterion's macros have no docs"
)]

mod support;

use std::{
    convert::Infallible,
    hint::black_box,
    io,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::stream;
use hmac::{Hmac, KeyInit, Mac};
use http::{Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{Either, Full, StreamBody};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::Sha256;
use support::Nothing;
use tower::{Layer, Service};
use tower_workos::{
    DirectoryEvent, RejectionKind, SIGNATURE_HEADER, SignatureHeader, Timestamp, Verifier,
    VerifyWebhookLayer, WebhookSecret,
    testing::{Delivery, ManualClock, Signer},
};

const SECRET: &str = "whsec_of_the_benches";
const NOW: i64 = 1_770_000_000_000;
const FRAME: usize = 8 * 1024;
/// The size of frames, so that bodies of 300 B and 2 KiB arrive in a single frame.
const SIZES: [(&str, usize); 4] =
    [("300 B", 300), ("2 KiB", 2 << 10), ("64 KiB", 64 << 10), ("1 MiB", 1 << 20)];

fn secret() -> WebhookSecret {
    WebhookSecret::new(SECRET).unwrap()
}

fn verifier() -> Verifier {
    Verifier::new(secret()).clock(ManualClock::new(Timestamp::from_unix_millis_saturating(NOW)))
}

fn signer() -> Signer {
    Signer::new(secret()).at(Timestamp::from_unix_millis_saturating(NOW))
}

/// A `dsync.user.updated` of exactly this many bytes, `data` first, as WorkOS writes it.
fn body(length: usize) -> Bytes {
    let start = r#"{"id":"event_01JTWS6F2M8P4R7V0Z3B9D1K07","data":{"id":"directory_user_01JTWS2B8G4J0M3Q6V9X5Z7F1H","state":"active","updated_at":"2026-04-20T08:05:19.940Z","custom_attributes":{"#;
    let end = r#"},"previous_attributes":{}},"event":"dsync.user.updated","created_at":"2026-04-20T08:05:19.998Z"}"#;
    let mut middle = String::new();
    let mut index = 0;
    let room = length.checked_sub(start.len() + end.len()).unwrap();
    while room - middle.len() > 60 {
        middle.push_str(&format!(r#""attribute_{index:05}":"value {index:05} of this one","#));
        index += 1;
    }
    if room > middle.len() {
        let filler = room - middle.len() - r#""z":"""#.len();
        middle.push_str(&format!(r#""z":"{}""#, "y".repeat(filler)));
    }
    let body = Bytes::from(format!("{start}{middle}{end}"));
    assert_eq!(body.len(), length);
    assert_eq!(DirectoryEvent::parse(body.clone()).unwrap().name(), "dsync.user.updated");
    body
}

/// What an application would write with only serde: the envelope with `data` as JSON, then the type that `event` names.
/// Attributes remain JSON, as in this crate.
#[derive(Deserialize)]
struct Envelope<'b> {
    id: String,
    event: String,
    created_at: Option<Timestamp>,
    #[serde(borrow)]
    data: &'b RawValue,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read for its cost")]
struct User<'b> {
    id: String,
    directory_id: Option<String>,
    organization_id: Option<String>,
    idp_id: Option<String>,
    email: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    name: Option<String>,
    state: Option<String>,
    role: Option<Role>,
    #[serde(default)]
    roles: Vec<Role>,
    #[serde(borrow)]
    custom_attributes: Option<&'b RawValue>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    #[serde(borrow)]
    previous_attributes: Option<&'b RawValue>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read for its cost")]
struct Role {
    slug: String,
}

/// Copies the attributes, because an event outlives its request.
fn two_passes(body: &[u8]) -> (Envelope<'_>, User<'_>, [Option<Box<RawValue>>; 2]) {
    let envelope: Envelope<'_> = serde_json::from_slice(body).unwrap();
    let user: User<'_> = match envelope.event.as_str() {
        "dsync.user.updated" => serde_json::from_str(envelope.data.get()).unwrap(),
        other => panic!("{other}"),
    };
    let kept =
        [user.custom_attributes, user.previous_attributes].map(|raw| raw.map(ToOwned::to_owned));
    (envelope, user, kept)
}

type Frames = StreamBody<stream::Iter<std::vec::IntoIter<io::Result<Frame<Bytes>>>>>;

/// The body in one frame, or in frames of 8 KiB.
fn framed(body: &Bytes) -> Either<Full<Bytes>, Frames> {
    if body.len() <= FRAME {
        return Either::Left(Full::new(body.clone()));
    }
    let frames: Vec<_> = (0..body.len())
        .step_by(FRAME)
        .map(|start| Ok(Frame::data(body.slice(start..body.len().min(start + FRAME)))))
        .collect();
    Either::Right(StreamBody::new(stream::iter(frames)))
}

fn request(delivery: &Delivery) -> Request<Either<Full<Bytes>, Frames>> {
    Request::post("/webhooks/workos")
        .header(SIGNATURE_HEADER, delivery.signature())
        .body(framed(delivery.body()))
        .unwrap()
}

/// One request through the layer. Polls in a loop, without a runtime, so that only the layer is measured.
fn call<B>(
    service: &mut impl Service<Request<B>, Response = Response<impl Body>, Error = Infallible>,
    request: Request<B>,
) -> u16 {
    let mut future = pin!(service.call(request));
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        // Pending only if the poll has read the maximum number of frames.
        if let Poll::Ready(response) = future.as_mut().poll(&mut cx) {
            return response.unwrap_or_else(|never| match never {}).status().as_u16();
        }
    }
}

/// The layer's timer needs a runtime, even though it never fires here.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn accepted(c: &mut Criterion) {
    let runtime = runtime();
    let _inside = runtime.enter();
    let keyed = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let verifier = verifier();
    let mut service = VerifyWebhookLayer::new(verifier.clone()).layer(Nothing);
    for (name, length) in SIZES {
        let delivery = signer().sign(body(length));
        let (signature, body) = (delivery.signature(), delivery.body());
        let digits = NOW.to_string();
        let hmac = || {
            let mut mac = keyed.clone();
            mac.update(digits.as_bytes());
            mac.update(b".");
            mac.update(black_box(body));
            mac.finalize().into_bytes()
        };
        let verify = || {
            let header: SignatureHeader = black_box(signature).parse().unwrap();
            let mut verification = verifier.begin(&header).unwrap();
            for frame in body.chunks(FRAME) {
                verification.update(frame);
            }
            verification.finish().unwrap()
        };
        assert!(
            signature
                .ends_with(&hmac().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        );
        assert_eq!(verify().signature().secret_index(), 0);
        let event = DirectoryEvent::parse(body.clone()).unwrap();
        let (envelope, user, _) = two_passes(body);
        assert_eq!((event.id(), event.created_at()), (&envelope.id.into(), envelope.created_at));
        assert_eq!(user.state.as_deref(), Some("active"));
        assert_eq!(call(&mut service, request(&delivery)), 200);

        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(body.len().try_into().unwrap()));
        group.bench_function("floor: one keyed HMAC", |b| b.iter(hmac));
        group.bench_function("verify only", |b| b.iter(verify));
        group.bench_function("floor: HMAC + typed parse", |b| {
            b.iter(|| (hmac(), DirectoryEvent::parse(body.clone()).unwrap()));
        });
        group.bench_function("typed parse", |b| {
            b.iter(|| DirectoryEvent::parse(black_box(body.clone())).unwrap());
        });
        group.bench_function("baseline: RawValue, then serde's derive", |b| {
            b.iter(|| two_passes(black_box(body)));
        });
        group.bench_function("verify + parse + inject", |b| {
            b.iter_batched(
                || request(&delivery),
                |request| call(&mut service, request),
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

fn rejected(c: &mut Criterion) {
    let runtime = runtime();
    let _inside = runtime.enter();
    let mut service = VerifyWebhookLayer::new(verifier()).body_limit(4096).layer(Nothing);
    let delivery = signer().sign(body(2 << 10));
    let genuine = || request(&delivery);
    let stale =
        Signer::new(secret()).at(Timestamp::from_unix_millis_saturating(0)).sign(body(2 << 10));
    let large = signer().sign(body(64 << 10));
    let unreadable = signer().sign("{}");
    let mut group = c.benchmark_group("rejected, 2 KiB");
    group.bench_function("floor: a request made and dropped", |b| {
        b.iter_batched(genuine, drop, BatchSize::SmallInput);
    });
    let mut row = |kind: RejectionKind, make: &dyn Fn() -> Request<Either<Full<Bytes>, Frames>>| {
        assert_eq!(call(&mut service, make()), kind.status().as_u16());
        group.bench_function(BenchmarkId::from_parameter(kind), |b| {
            b.iter_batched(make, |request| call(&mut service, request), BatchSize::SmallInput);
        });
    };
    row(RejectionKind::MethodNotAllowed, &|| {
        let mut request = genuine();
        *request.method_mut() = Method::GET;
        request
    });
    row(RejectionKind::MissingSignature, &|| {
        let mut request = genuine();
        request.headers_mut().clear();
        request
    });
    row(RejectionKind::MalformedSignature, &|| {
        let mut request = genuine();
        request.headers_mut().insert(SIGNATURE_HEADER, "t=1, v1=zz".parse().unwrap());
        request
    });
    row(RejectionKind::TimestampOutsideTolerance, &|| request(&stale));
    row(RejectionKind::BodyTooLarge, &|| {
        let mut request = request(&large);
        request.headers_mut().insert("content-length", "65536".parse().unwrap());
        request
    });
    row(RejectionKind::SignatureMismatch, &|| {
        genuine().map(|_| Either::Left(Full::new(large.body().slice(..2 << 10))))
    });
    row(RejectionKind::InvalidPayload, &|| request(&unreadable));
    row(RejectionKind::BodyRead, &|| {
        let broken = vec![
            Ok(Frame::data(delivery.body().slice(..1024))),
            Err(io::ErrorKind::BrokenPipe.into()),
        ];
        genuine().map(|_| Either::Right(StreamBody::new(stream::iter(broken))))
    });
    // Does not wait: the deadline has passed when it is first polled.
    let mut impatient =
        VerifyWebhookLayer::new(verifier()).body_timeout(Duration::ZERO).layer(Nothing);
    let hanging =
        || genuine().map(|_| StreamBody::new(stream::pending::<io::Result<Frame<Bytes>>>()));
    assert_eq!(call(&mut impatient, hanging()), 408);
    group.bench_function(BenchmarkId::from_parameter(RejectionKind::BodyTimeout), |b| {
        b.iter_batched(hanging, |request| call(&mut impatient, request), BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, accepted, rejected);
criterion_main!(benches);
