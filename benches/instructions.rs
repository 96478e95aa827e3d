//! What `.ci/instructions` counts the instructions of, under valgrind: one part of a request's way, so many times.
//!
//! ```text
//! .ci/instructions            # compares with benches/instructions.json
//! .ci/instructions --renew    # writes it anew
//! ```
//!
//! As a test (`cargo test --benches`), each part runs twice.
#![allow(clippy::unwrap_used, reason = "a bench may panic")]

mod support;

use std::{convert::Infallible, env, hint::black_box, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use support::Nothing;
use tower::{Layer, Service};
use tower_workos::{
    DedupeStore, DirectoryEvent, MemoryStore, SignatureHeader, Timestamp, Verifier,
    VerifyWebhookLayer, WebhookSecret,
    dedupe::{Claim, DedupeKey},
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
    let an_hour_ago = Timestamp::from_unix_millis_saturating(1_770_000_000_000 - 60 * 60 * 1000);
    let secret = WebhookSecret::new("whsec_of_the_benches").unwrap();
    let signer = Signer::new(secret.clone()).at(now);
    let verifier = Verifier::new(secret).clock(ManualClock::new(now));
    let delivery = signer.sign(sample::USER_UPDATED);
    let header: SignatureHeader = delivery.signature().parse().unwrap();
    let mut service = VerifyWebhookLayer::new(verifier.clone()).layer(Nothing);
    let stale = signer.at(an_hour_ago).sign(sample::USER_UPDATED);
    let store = MemoryStore::new(1024);
    for index in 0..times {
        match part {
            "header" => {
                black_box(SignatureHeader::parse(black_box(delivery.signature().as_bytes())))
                    .unwrap();
            }
            "verify" => {
                let _ = black_box(verifier.verify(black_box(&header), delivery.body())).unwrap();
            }
            "parse" => {
                black_box(DirectoryEvent::parse(black_box(delivery.body().clone()))).unwrap();
            }
            "layer" => assert_eq!(answer(&mut service, delivery.clone()), 200),
            "stale" => assert_eq!(answer(&mut service, stale.clone()), 401),
            _ => {
                let key = DedupeKey::new("", format!("event_{index:024}").into());
                let claim = support::now(store.claim(&key, Duration::from_secs(60))).unwrap();
                let Claim::Acquired(token) = claim else { panic!("{claim:?}") };
                let done = support::now(store.complete(&key, &token, Duration::from_secs(60)));
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
    support::now(service.call(request)).unwrap().status().as_u16()
}
