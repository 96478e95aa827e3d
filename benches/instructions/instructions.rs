//! Counts the instructions of each part of a request under valgrind, and fails if a part takes 3 % more than before.
//!
//! ```text
//! cargo install gungraun-runner@0.20.0
//! cargo +1.95.0 bench -p tower-workos-instructions
//! ```
//!
//! A count is exact only for a specific compiler, so use the one that the limits were measured with. valgrind hides the
//! processor's SHA instructions, so SHA-256 accounts for most of `verify` and `layer` here, but for little of them
//! otherwise. It is excluded from the 3 %: it is counted as `hash`, and each limit is `hash + 1.03 * (count - hash)`. With
//! a new compiler, or after a change that needs more instructions, enter the new counts.
#![allow(clippy::unwrap_used, reason = "a bench may panic")]
#![allow(missing_docs, unused_qualifications, reason = "in the code of the macros")]

#[path = "../support/mod.rs"]
mod support;

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Full;
use sha2::Sha256;
use support::{Nothing, now};
use tower::Service;
use tower_workos::{
    DedupeStore, DirectoryEvent, MemoryStore, SignatureHeader, Timestamp, Verifier, VerifyWebhook,
    WebhookSecret,
    dedupe::{Claim, DedupeKey},
    testing::{Delivery, ManualClock, Signer, sample},
};

/// The count of `hash`.
const HASH: u64 = 80_468;

/// The limit for a part that took `count` instructions.
fn limit(count: u64) -> LibraryBenchmarkConfig {
    at_most(count + count * 3 / 100)
}

/// The limit for a part that took `count` instructions, of which `HASH` are for the hash.
fn limit_with_hash(count: u64) -> LibraryBenchmarkConfig {
    at_most(count + (count - HASH) * 3 / 100)
}

fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

type Call = Box<dyn FnMut()>;

/// Calls it once, so that the counted call excludes what happens only once per process.
fn warm(mut call: impl FnMut() + 'static) -> Call {
    call();
    Box::new(call)
}

const NOW: i64 = 1_770_000_000_000;
const AN_HOUR_AGO: i64 = NOW - 60 * 60 * 1000;

fn secret() -> WebhookSecret {
    WebhookSecret::new("whsec_of_the_benches").unwrap()
}

fn verifier() -> Verifier {
    Verifier::new(secret()).clock(ManualClock::new(Timestamp::from_unix_millis_saturating(NOW)))
}

fn delivery(at: i64) -> Delivery {
    let at = Timestamp::from_unix_millis_saturating(at);
    Signer::new(secret()).at(at).sign(sample::USER_UPDATED)
}

fn header() -> Call {
    let delivery = delivery(NOW);
    warm(move || {
        black_box(SignatureHeader::parse(black_box(delivery.signature().as_bytes()))).unwrap();
    })
}

/// SHA-256 of the sample and of the blocks that HMAC adds.
fn hash() -> Call {
    let (delivery, mac) = (delivery(NOW), Hmac::<Sha256>::new_from_slice(b"key").unwrap());
    warm(move || {
        let mut mac = mac.clone();
        mac.update(b"1770000000000.");
        mac.update(black_box(delivery.body()));
        black_box(mac.finalize());
    })
}

fn verify() -> Call {
    let (delivery, verifier) = (delivery(NOW), verifier());
    let header: SignatureHeader = delivery.signature().parse().unwrap();
    warm(move || {
        let _ = black_box(verifier.verify(black_box(&header), delivery.body())).unwrap();
    })
}

fn parse() -> Call {
    let delivery = delivery(NOW);
    warm(move || {
        black_box(DirectoryEvent::parse(black_box(delivery.body().clone()))).unwrap();
    })
}

fn layer() -> Call {
    requests(NOW, 200)
}

fn stale() -> Call {
    requests(AN_HOUR_AGO, 401)
}

/// A request through the layer. Creating the request is counted, too.
fn requests(signed_at: i64, status: u16) -> Call {
    let delivery = delivery(signed_at);
    let mut service = VerifyWebhook::new(Nothing, verifier());
    warm(move || {
        let request = delivery.clone().into_request::<Full<Bytes>, _>("/").unwrap();
        assert_eq!(now(service.call(request)).unwrap().status(), status);
    })
}

/// A claim followed by its completion.
fn dedupe() -> Call {
    let store = MemoryStore::new(1024);
    let mut number = 0;
    warm(move || {
        number += 1;
        let key = DedupeKey::new("", format!("event_{number:024}").into());
        let claim = now(store.claim(&key, Duration::from_secs(60))).unwrap();
        let Claim::Acquired(token) = claim else { panic!("{claim:?}") };
        let done = now(store.complete(&key, &token, Duration::from_secs(60)));
        let _ = black_box(done).unwrap();
    })
}

#[library_benchmark]
#[bench::header(args = (header()), config = limit(671))]
#[bench::hash(hash())]
#[bench::verify(args = (verify()), config = limit_with_hash(81_102))]
#[bench::parse(args = (parse()), config = limit(28_962))]
#[bench::layer(args = (layer()), config = limit_with_hash(116_385))]
#[bench::stale(args = (stale()), config = limit(5_635))]
#[bench::dedupe(args = (dedupe()), config = limit(7_292))]
fn part(mut call: Call) -> Call {
    call();
    call
}

library_benchmark_group!(name = parts, benchmarks = part);
main!(library_benchmark_groups = parts);
