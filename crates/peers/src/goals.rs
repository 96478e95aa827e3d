//! What the table must show: each goal a figure and its bound.

use std::collections::BTreeMap;

use crate::{body::TYPICAL, report::Run};

/// Whether a figure is to be at most or at least its bound.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third")]
pub enum Bound {
    /// At least.
    Least(f64),
    /// At most.
    Most(f64),
}

/// A goal and what was measured.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Goal {
    /// Its name in the JSON.
    pub key: String,
    /// What it asks for, in words.
    pub text: String,
    /// What was measured.
    pub value: f64,
    /// What it is to be.
    pub bound: Bound,
}

impl Goal {
    /// Whether it is met.
    #[must_use]
    pub fn is_met(&self) -> bool {
        match self.bound {
            Bound::Least(least) => self.value >= least,
            Bound::Most(most) => self.value <= most,
        }
    }
}

/// All goals. Those of allocations only where these were counted.
#[must_use]
pub fn all(run: &Run) -> Vec<Goal> {
    let mut goals = Vec::new();
    let mut add = |key: &str, text: &str, value: f64, bound: Bound| {
        goals.push(Goal { key: key.to_owned(), text: text.to_owned(), value, bound });
    };
    let verify = [("300 B", 1.40), (TYPICAL, 1.10), ("64 KiB", 1.05), ("1 MiB", 1.05)];
    for (size, most) in verify {
        let key = format!("verify / hmac, {size}");
        add(
            &key,
            &format!("verify only, {size}: times one keyed HMAC"),
            run.ratio(size, "verify", "hmac"),
            Bound::Most(most),
        );
    }
    for (size, most) in [("300 B", 1.30), (TYPICAL, 1.10)] {
        let key = format!("layer / hmac_parse, {size}");
        add(
            &key,
            &format!("the layer, {size}: times HMAC + typed parse"),
            run.ratio(size, "layer", "hmac_parse"),
            Bound::Most(most),
        );
    }
    for (key, to, text, bound) in RATIOS {
        add(&format!("{key} / {to}"), text, run.ratio(TYPICAL, key, to), *bound);
    }
    let frames = run.ratio("1 MiB", "last_frame_verdict", "last_frame_verdict_collect");
    add(
        "last_frame_verdict / last_frame_verdict_collect, 1 MiB",
        "1 MiB in 8 KiB frames, last frame to verdict: times hashing after collecting",
        frames,
        Bound::Most(0.10),
    );
    for (key, text, most) in NANOS {
        add(
            &format!("{key}, ns"),
            text,
            run.samples(TYPICAL).row(key).quantile(0.5),
            Bound::Most(*most),
        );
    }
    if let Some(counted) = run.allocations.get(TYPICAL) {
        for (key, text, value, most) in allocations(counted) {
            add(key, text, value, Bound::Most(most));
        }
    }
    goals
}

/// Ratios at the typical size: the first row is to take so many times as long as the second.
const RATIOS: &[(&str, &str, &str, Bound)] = &[
    ("parse", "skip", "typed parse: times serde_json's skip of the same bytes", Bound::Most(1.9)),
    ("tagged", "parse", "typed parse: times faster than #[serde(tag)]", Bound::Least(4.0)),
    (
        "parse",
        "parse_event_first",
        "typed parse, `data` first: times `event` first",
        Bound::Most(1.05),
    ),
    (
        "workos_construct",
        "layer_clock",
        "the layer: times faster than workos construct_event",
        Bound::Least(3.0),
    ),
    (
        "workos_typed",
        "layer_clock",
        "the layer: times faster than workos verify_payload + typed parse",
        Bound::Least(2.3),
    ),
    (
        "workos_verify",
        "verify_clock",
        "verify only: times faster than workos verify_payload",
        Bound::Least(1.4),
    ),
    (
        "standardwebhooks",
        "verify_clock",
        "verify only: times faster than standardwebhooks",
        Bound::Least(5.0),
    ),
    ("svix", "verify_clock", "verify only: times faster than svix", Bound::Least(5.0)),
    (
        "handwritten",
        "axum_layer",
        "over axum: times faster than the hand-written handler",
        Bound::Least(3.0),
    ),
    ("forged", "verify", "a forged request: times verify only", Bound::Most(1.1)),
];

const NANOS: &[(&str, &str, f64)] = &[
    ("stale", "a stale request turned away, its body unread: ns", 150.0),
    ("unsigned", "an unsigned request turned away, its body unread: ns", 150.0),
    ("access_change", "access_change(): ns", 20.0),
    ("data", "data(): ns", 20.0),
    ("clone", "an event cloned and dropped: ns", 20.0),
];

type Counts = BTreeMap<String, crate::report::Allocations>;

fn allocations(counted: &Counts) -> [(&'static str, &'static str, f64, f64); 5] {
    let count =
        |key: &str| counted.get(key).map_or(f64::NAN, |allocations| f64::from(allocations.count));
    [
        ("verify, allocations", "verify only: allocations", count("verify"), 0.0),
        (
            "layer - parse, allocations",
            "the layer: allocations beyond the parse",
            count("layer") - count("parse"),
            4.0,
        ),
        ("access_change, allocations", "access_change(): allocations", count("access_change"), 0.0),
        ("data, allocations", "data(): allocations", count("data"), 0.0),
        ("clone, allocations", "an event cloned: allocations", count("clone"), 0.0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_on_its_bound_and_on_its_good_side() {
        let met =
            |value, bound| Goal { key: String::new(), text: String::new(), value, bound }.is_met();
        assert_eq!([1.0, 1.1, 1.2].map(|value| met(value, Bound::Most(1.1))), [true, true, false]);
        assert_eq!([1.0, 1.1, 1.2].map(|value| met(value, Bound::Least(1.1))), [false, true, true]);
        // What could not be measured is not met.
        assert!(!met(f64::NAN, Bound::Most(1.1)));
    }
}
