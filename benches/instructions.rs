//! What `.ci/instructions` counts the instructions of, under valgrind: one part of a request's way, so many times.
//!
//! ```text
//! .ci/instructions            # compares with benches/instructions.json
//! .ci/instructions --renew    # writes it anew
//! ```
//!
//! As a test (`cargo test --benches`), each part runs twice.
#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use std::{
    convert::Infallible,
    env,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use tower::{Layer, Service};
use tower_workos::{
    DedupeStore, DirectoryEvent, DirectorySyncLayer, MemoryStore, SignatureHeader, Timestamp,
    Verifier, WebhookSecret,
    dedupe::{Claim, DedupeKey},
    layer::VerifiedBody,
    testing::{ManualClock, Signer, sample},
};

const PARTS: [&str; 6] = ["header", "verify", "parse", "layer", "stale", "dedupe"];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    match arguments.as_slice() {
        [part, times] => run(part, times.parse().unwrap()),
        _ => PARTS.iter().for_each(|part| run(part, 2)),
    }
}

fn run(part: &str, times: u32) {
    let now = Timestamp::from_unix_millis_saturating(1_770_000_000_000);
    let secret = WebhookSecret::new("whsec_of_the_benches").unwrap();
    let signer = Signer::new(secret.clone()).at(now);
    let verifier = Verifier::new(secret).clock(ManualClock::new(now));
    let delivery = signer.sign(sample::USER_UPDATED);
    let header: SignatureHeader = delivery.signature().parse().unwrap();
    let mut service = DirectorySyncLayer::new(verifier.clone()).layer(Nothing);
    let stale = signer.at(Timestamp::UNIX_EPOCH).sign(sample::USER_UPDATED);
    let store = MemoryStore::new(1024);
    for index in 0..times {
        match part {
            "header" => {
                black_box(SignatureHeader::parse(black_box(delivery.signature().as_bytes())))
                    .unwrap();
            }
            "verify" => {
                black_box(verifier.verify(black_box(&header), delivery.body())).unwrap();
            }
            "parse" => {
                black_box(DirectoryEvent::parse(black_box(delivery.body().clone()))).unwrap();
            }
            "layer" => assert_eq!(answer(&mut service, delivery.clone()), 200),
            "stale" => assert_eq!(answer(&mut service, stale.clone()), 401),
            _ => {
                let key = DedupeKey::new("", format!("event_{index:024}").into());
                let claim = now_ready(store.claim(&key, Duration::from_secs(60))).unwrap();
                let Claim::Acquired(token) = claim else { panic!("{claim:?}") };
                let done = now_ready(store.complete(&key, &token, Duration::from_secs(60)));
                let _ = black_box(done).unwrap();
            }
        }
    }
}

/// The status of the answer to a delivery; making the request counts too.
fn answer(
    service: &mut impl Service<
        Request<Full<Bytes>>,
        Response = Response<impl Sized>,
        Error = Infallible,
    >,
    delivery: tower_workos::testing::Delivery,
) -> u16 {
    let request = delivery.into_request("/").unwrap();
    now_ready(service.call(request)).unwrap().status().as_u16()
}

fn now_ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing here waits"),
    }
}

/// An inner service that costs nothing.
#[derive(Clone)]
struct Nothing;

impl Service<Request<VerifiedBody>> for Nothing {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<VerifiedBody>) -> Self::Future {
        drop(black_box(request));
        ready(Ok(Response::new(Empty::new())))
    }
}
