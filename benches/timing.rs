//! Checks whether the time of a verification reveals how much of a forged signature is correct.
//!
//! ```text
//! cargo bench --bench timing
//! ```
//!
//! The method is that of dudect (Reparaz, Balasch, Verbauwhede, 2017): two kinds of input are measured in random order,
//! and Welch's t-test compares the means of the two sets of times. They differ if t is beyond ±4.5. The rows "comparison"
//! measure `Verification::finish` of a header with eight signatures, and the rows "whole" measure `Verifier::verify` of a
//! header with one. As a control, a byte-by-byte comparison that stops at the first difference is measured, too: if the run
//! does not detect *that*, it could not detect anything, so it fails. As a test (`cargo test --benches`), it takes only a
//! few samples and proves nothing.
#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use std::{env, hint::black_box, time::Instant};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tower_workos::{
    SignatureHeader, Timestamp, Verification, Verifier, WebhookSecret,
    testing::{ManualClock, Signer, sample},
};

const SECRET: &str = "whsec_of_the_benches";
/// The maximum number of signatures that are compared.
const SIGNATURES: usize = 8;
/// Calls per measurement, so that it is long compared with the clock's resolution.
const CALLS: usize = 8;
/// The threshold of dudect: beyond it, the means differ.
const SUSPICIOUS: f64 = 4.5;

fn main() {
    let small = !env::args().any(|argument| argument == "--bench");
    let samples = if small { 200 } else { 200_000 };
    let inputs = Inputs::new();
    println!(
        "{samples} measurements of {CALLS} calls a row; |t| > {SUSPICIOUS}: the times differ\n"
    );
    println!("{:<44} {:>10} {:>10} {:>8}", "", "first, ns", "second, ns", "t");
    let compare = |name, first: &dyn Fn() -> f64, second: &dyn Fn() -> f64| {
        let result = Comparison::of(samples, first, second);
        println!("{name:<44} {:>10.1} {:>10.1} {:>8.1}", result.means.0, result.means.1, result.t);
        result.t.abs()
    };
    let [right, first, last] = [&inputs.right, &inputs.wrong_first, &inputs.wrong_last];
    // Both inputs are the same, so this shows how much t varies by chance.
    compare("comparison: wrong last | wrong last", &|| inputs.finish(last), &|| {
        inputs.finish(last)
    });
    compare("comparison: wrong first | wrong last", &|| inputs.finish(first), &|| {
        inputs.finish(last)
    });
    compare("comparison: right | wrong last", &|| inputs.finish(right), &|| inputs.finish(last));
    compare("whole: wrong first | wrong last", &|| inputs.verify(first), &|| inputs.verify(last));
    compare("whole: right | wrong last", &|| inputs.verify(right), &|| inputs.verify(last));
    let naive =
        compare("naive compare: wrong first | wrong last", &|| inputs.naive(first), &|| {
            inputs.naive(last)
        });
    let naive_whole =
        compare("naive, whole: wrong first | wrong last", &|| inputs.naive_whole(first), &|| {
            inputs.naive_whole(last)
        });
    println!(
        "\nThe first row is two sets of one kind: how far t strays. \"right\" ends in another result than \"wrong\", which \
         the response tells anyway."
    );
    assert!(
        small || naive.min(naive_whole) > SUSPICIOUS,
        "the naive comparison was not detected, so this run proves nothing; run it on a quieter machine"
    );
}

/// Headers with one signature, and with the same one eight times.
struct Header {
    one: SignatureHeader,
    eight: SignatureHeader,
    /// The signature for the naive comparison.
    text: String,
}

struct Inputs {
    verifier: Verifier,
    body: Bytes,
    time: String,
    mac: Hmac<Sha256>,
    expected: String,
    right: Header,
    wrong_first: Header,
    wrong_last: Header,
}

impl Inputs {
    fn new() -> Self {
        let now = Timestamp::from_unix_millis_saturating(1_770_000_000_000);
        let secret = WebhookSecret::new(SECRET).unwrap();
        let delivery = Signer::new(secret.clone()).at(now).sign(sample::USER_UPDATED);
        let (time, expected) = delivery.signature().split_once(", v1=").unwrap();
        let header = |signature: String| Header {
            one: format!("{time},v1={signature}").parse().unwrap(),
            eight: format!("{time}{}", format!(",v1={signature}").repeat(SIGNATURES))
                .parse()
                .unwrap(),
            text: signature,
        };
        let other = |digits: &str| if digits.starts_with('0') { "1" } else { "0" };
        let (head, tail) = (expected.split_at(1), expected.split_at(expected.len() - 1));
        Self {
            verifier: Verifier::new(secret).clock(ManualClock::new(now)),
            body: delivery.body().clone(),
            time: time.trim_start_matches("t=").to_owned(),
            mac: Hmac::new_from_slice(SECRET.as_bytes()).unwrap(),
            expected: expected.to_owned(),
            right: header(expected.to_owned()),
            wrong_first: header(format!("{}{}", other(head.0), head.1)),
            wrong_last: header(format!("{}{}", tail.0, other(tail.1))),
        }
    }

    /// Times only the end of each verification, after it has processed the body.
    fn finish(&self, header: &Header) -> f64 {
        let begun: [Verification; CALLS] = std::array::from_fn(|_| {
            let mut verification = self.verifier.begin(&header.eight).unwrap();
            verification.update(&self.body);
            verification
        });
        let start = Instant::now();
        for verification in begun {
            let _ = black_box(black_box(verification).finish());
        }
        nanos_each(start)
    }

    fn verify(&self, header: &Header) -> f64 {
        let start = Instant::now();
        for _ in 0..CALLS {
            let _ = black_box(self.verifier.verify(black_box(&header.one), &self.body));
        }
        nanos_each(start)
    }

    /// Compares eight times, like [`finish`](Self::finish).
    fn naive(&self, header: &Header) -> f64 {
        let start = Instant::now();
        for _ in 0..CALLS {
            for _ in 0..SIGNATURES {
                black_box(naive_eq(black_box(&self.expected), black_box(&header.text)));
            }
        }
        nanos_each(start)
    }

    fn naive_whole(&self, header: &Header) -> f64 {
        let start = Instant::now();
        for _ in 0..CALLS {
            let mut mac = self.mac.clone();
            mac.update(self.time.as_bytes());
            mac.update(b".");
            mac.update(&self.body);
            black_box(mac.finalize());
            black_box(naive_eq(black_box(&self.expected), black_box(&header.text)));
        }
        nanos_each(start)
    }
}

fn naive_eq(left: &str, right: &str) -> bool {
    left.len() == right.len() && left.bytes().zip(right.bytes()).all(|(left, right)| left == right)
}

fn nanos_each(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e9 / f64::from(u32::try_from(CALLS).unwrap())
}

struct Comparison {
    means: (f64, f64),
    t: f64,
}

impl Comparison {
    /// Measures both in random order. Discards the slowest tenth of all times, which is due to interrupts, not the code.
    fn of(samples: usize, first: &dyn Fn() -> f64, second: &dyn Fn() -> f64) -> Self {
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..samples {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let [of_first, of_second] = &mut times;
            if random.count_ones().is_multiple_of(2) {
                of_first.push(first());
            } else {
                of_second.push(second());
            }
        }
        let mut all = times.concat();
        all.sort_by(f64::total_cmp);
        let limit = all.get(all.len() * 9 / 10).copied().unwrap_or(f64::MAX);
        let [first, second] =
            times.map(|times| Moments::of(times.iter().filter(|it| **it < limit)));
        let t = (first.mean - second.mean)
            / (first.variance / first.count + second.variance / second.count).sqrt();
        Self { means: (first.mean, second.mean), t }
    }
}

/// Mean and variance by Welford's algorithm.
#[derive(Default)]
struct Moments {
    count: f64,
    mean: f64,
    variance: f64,
}

impl Moments {
    fn of<'a>(times: impl Iterator<Item = &'a f64>) -> Self {
        let mut moments = Self::default();
        let mut squares = 0.0;
        for time in times {
            moments.count += 1.0;
            let delta = time - moments.mean;
            moments.mean += delta / moments.count;
            squares += delta * (time - moments.mean);
        }
        moments.variance = squares / (moments.count - 1.0).max(1.0);
        moments
    }
}
