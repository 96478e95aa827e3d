//! The cost of remembering events.
//!
//! ```text
//! cargo bench --bench dedupe
//! ```
//!
//! Prints claim-and-complete pairs per second, bytes per id, and the time that the layer adds to a request. As a test
//! (`cargo test --benches`), it runs only a few iterations. The stores in databases and Redis are in the bench `stores` of
//! `tower-workos-sqlx`.
#![allow(clippy::unwrap_used, reason = "a bench may panic")]

mod support;

use std::{
    env,
    future::{Ready, ready},
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use support::{Nothing, now};
use tower::{Layer, Service, ServiceBuilder};
use tower_workos::{
    DedupeLayer, DedupeStore, MemoryStore, VerifyWebhookLayer, WebhookSecret,
    dedupe::{Claim, Completion, DedupeKey, StoreError},
    testing::{Signer, sample},
};

const LEASE: Duration = Duration::from_secs(60);
const RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const ROUNDS: usize = 201;

fn main() {
    let small = !env::args().any(|argument| argument == "--bench");
    let (few, many, pairs) = if small { (100, 1000, 100) } else { (10_000, 10_000_000, 1000) };
    for ids in [few, many] {
        memory(ids, pairs);
    }
    layer(if small { 100 } else { 1000 });
}

/// The id has thirty bytes, about as many as WorkOS's ids.
fn key(index: usize) -> DedupeKey {
    DedupeKey::new("", format!("event_{index:024}").into())
}

/// A claim followed by its completion.
fn pair(store: &MemoryStore, key: &DedupeKey) {
    let Ok(Claim::Acquired(token)) = now(store.claim(key, LEASE)) else { panic!("not acquired") };
    assert_eq!(now(store.complete(key, &token, RETENTION)).unwrap(), Completion::Completed);
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

fn nanos_each(elapsed: Duration, count: usize) -> f64 {
    elapsed.as_secs_f64() * 1e9 / f64::from(u32::try_from(count).unwrap())
}

fn memory(ids: usize, pairs: usize) {
    // The store is full, so that the number of ids is constant: each new one replaces the oldest.
    let store = MemoryStore::new(ids);
    let held = allocation_counter::measure(|| (0..ids).for_each(|index| pair(&store, &key(index))));
    let bytes = held.bytes_current / i64::try_from(ids).unwrap();

    // In small batches, so that the keys are in the cache, as those of a request are.
    let mut next = ids;
    let mut take = |count: usize| -> Vec<DedupeKey> {
        let keys = (next..next + count).map(key).collect();
        next += count;
        keys
    };
    let single = (0..ROUNDS).map(|_| {
        let keys = take(pairs);
        let start = Instant::now();
        keys.iter().for_each(|key| pair(&store, black_box(key)));
        nanos_each(start.elapsed(), pairs)
    });
    let single = median(single.collect());
    let double = (0..9).map(|_| {
        let halves = [take(50 * pairs), take(50 * pairs)];
        let start = Instant::now();
        thread::scope(|scope| {
            for keys in &halves {
                scope.spawn(|| keys.iter().for_each(|key| pair(&store, black_box(key))));
            }
        });
        nanos_each(start.elapsed(), 100 * pairs)
    });
    let double = median(double.collect());
    let read = random_read(usize::try_from(bytes).unwrap() * ids);
    println!(
        "MemoryStore, {ids} ids: {single:.0} ns a claim and completion on one thread ({:.2} M/s), {:.2} M/s on two; \
         {bytes} bytes an id; one random read of as much memory: {read:.0} ns",
        1e3 / single,
        1e3 / double,
    );
}

/// The time of one uncached read: of a walk in random order through this many bytes.
fn random_read(bytes: usize) -> f64 {
    const LINE: usize = 64;
    let lines = (bytes / LINE).max(2);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % u64::try_from(limit).unwrap()).unwrap()
    };
    // Sattolo's algorithm: one cycle through all lines.
    let mut next: Vec<[usize; LINE / size_of::<usize>()]> =
        (0..lines).map(|line| [line; LINE / size_of::<usize>()]).collect();
    for line in (1..lines).rev() {
        next.swap(line, below(line));
    }
    let steps = lines.min(1_000_000);
    let start = Instant::now();
    black_box((0..steps).fold(0, |line, _| next.get(line).map_or(0, |[next, ..]| *next)));
    nanos_each(start.elapsed(), steps)
}

/// A store without cost, so that only the layer itself is measured.
#[derive(Clone)]
struct Forgetful;

impl DedupeStore for Forgetful {
    type Token = ();
    type ClaimFuture = Ready<Result<Claim<()>, StoreError>>;
    type CompleteFuture = Ready<Result<Completion, StoreError>>;
    type ReleaseFuture = Ready<Result<(), StoreError>>;

    fn claim(&self, key: &DedupeKey, _: Duration) -> Self::ClaimFuture {
        black_box(key);
        ready(Ok(Claim::Acquired(())))
    }

    fn complete(&self, key: &DedupeKey, (): &(), _: Duration) -> Self::CompleteFuture {
        black_box(key);
        ready(Ok(Completion::Completed))
    }

    fn confirm(&self, _: &DedupeKey, (): &()) -> Self::CompleteFuture {
        ready(Ok(Completion::Completed))
    }

    fn release(&self, _: &DedupeKey, (): &()) -> Self::ReleaseFuture {
        ready(Ok(()))
    }
}

fn layer(requests: usize) {
    let secret = WebhookSecret::new("whsec_of_the_benches").unwrap();
    let signer = Signer::new(secret.clone());
    let verify = VerifyWebhookLayer::new(secret);
    let store = MemoryStore::new(requests * (ROUNDS + 1));
    let mut without = verify.layer(Nothing);
    let mut own = ServiceBuilder::new()
        .layer(&verify)
        .layer(DedupeLayer::new("workos", Forgetful))
        .service(Nothing);
    let mut whole = ServiceBuilder::new()
        .layer(&verify)
        .layer(DedupeLayer::new("workos", store))
        .service(Nothing);
    let mut services: [&mut dyn FnMut(Request<Full<Bytes>>) -> u16; 3] = [
        &mut |request| now(without.call(request)).unwrap().status().as_u16(),
        &mut |request| now(own.call(request)).unwrap().status().as_u16(),
        &mut |request| now(whole.call(request)).unwrap().status().as_u16(),
    ];
    let mut samples = [const { Vec::new() }; 3];
    for round in 0..ROUNDS {
        for (service, samples) in services.iter_mut().zip(&mut samples) {
            let requests: Vec<Request<Full<Bytes>>> = (0..requests)
                .map(|index| sample::USER_UPDATED.with_id(&format!("event_{round}_{index:012}")))
                .map(|body| signer.sign(body).into_request("/").unwrap())
                .collect();
            let count = requests.len();
            let start = Instant::now();
            for request in requests {
                assert_eq!(service(request), 200);
            }
            samples.push(nanos_each(start.elapsed(), count));
        }
    }
    // The median of the differences within each round, so that a temporary slowdown affects both sides.
    let [without, own, whole] = samples;
    let over = |with: &[f64]| median(with.iter().zip(&without).map(|(w, o)| w - o).collect());
    println!(
        "DedupeLayer: {:.0} ns more than the {:.0} ns of a request without it; with MemoryStore {:.0} ns more",
        over(&own),
        median(without.clone()),
        over(&whole),
    );
}
