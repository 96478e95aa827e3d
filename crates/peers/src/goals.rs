//! The goals: measured figures and their bounds.

use crate::{body::TYPICAL, run::Run};

/// An upper or a lower bound.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a bound is one or the other")]
pub enum Bound {
    /// The value must be at least this.
    Least(f64),
    /// The value must be at most this.
    Most(f64),
}

/// A goal and the measured value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Goal {
    /// Its name in the JSON.
    pub key: String,
    /// Its name in the table.
    pub text: String,
    /// The measured value.
    pub value: f64,
    /// What the value must be.
    pub bound: Bound,
}

impl Goal {
    /// Whether the value is within the bound. A value that could not be measured is not.
    #[must_use]
    pub fn is_met(&self) -> bool {
        match self.bound {
            Bound::Least(least) => self.value >= least,
            Bound::Most(most) => self.value <= most,
        }
    }
}

/// All goals. Those about allocations are left out if allocations were not counted.
#[must_use]
pub fn all(run: &Run) -> Vec<Goal> {
    let mut goals = Vec::new();
    let mut add = |key: String, text: String, value: f64, bound: Bound| {
        goals.push(Goal { key, text, value, bound });
    };
    for (size, most) in [("300 B", 1.40), (TYPICAL, 1.10), ("64 KiB", 1.05), ("1 MiB", 1.05)] {
        add(
            format!("verify / hmac, {size}"),
            format!("verify only / one keyed HMAC, {size}"),
            run.samples(size).ratio("verify", "hmac"),
            Bound::Most(most),
        );
    }
    for (size, most) in [("300 B", 1.30), (TYPICAL, 1.10)] {
        add(
            format!("layer / hmac_parse, {size}"),
            format!("the layer / (HMAC + typed parse), {size}"),
            run.samples(size).ratio("layer", "hmac_parse"),
            Bound::Most(most),
        );
    }
    let typical = run.samples(TYPICAL);
    for (key, to, text, bound) in RATIOS {
        add(format!("{key} / {to}"), (*text).to_owned(), typical.ratio(key, to), *bound);
    }
    add(
        "last_frame_verdict / last_frame_verdict_collect, 1 MiB".to_owned(),
        "1 MiB in 8 KiB frames, last frame to verdict / hashing after collecting".to_owned(),
        run.samples("1 MiB").ratio("last_frame_verdict", "last_frame_verdict_collect"),
        Bound::Most(0.10),
    );
    for (key, text, most) in NANOS {
        let nanos = typical.row(key).spread().median * 1000.0;
        add(format!("{key}, ns"), format!("{text}: ns"), nanos, Bound::Most(*most));
    }
    if run.allocations.contains_key(TYPICAL) {
        for (key, text, value, most) in allocations(run) {
            add(
                format!("{key}, allocations"),
                format!("{text}: allocations"),
                value,
                Bound::Most(most),
            );
        }
    }
    goals
}

/// Bounds for the time of the first row divided by that of the second, at the typical size.
const RATIOS: &[(&str, &str, &str, Bound)] = &[
    ("parse", "skip", "typed parse / serde_json's skip of the same bytes", Bound::Most(1.9)),
    ("tagged", "parse", "#[serde(tag)] / typed parse", Bound::Least(4.0)),
    ("parse", "parse_event_first", "typed parse, `data` first / `event` first", Bound::Most(1.05)),
    ("workos_construct", "layer_clock", "workos construct_event / the layer", Bound::Least(3.0)),
    (
        "workos_typed",
        "layer_clock",
        "workos verify_payload + typed parse / the layer",
        Bound::Least(2.3),
    ),
    ("workos_verify", "verify_clock", "workos verify_payload / verify only", Bound::Least(1.4)),
    ("standardwebhooks", "verify_clock", "standardwebhooks / verify only", Bound::Least(5.0)),
    ("svix", "verify_clock", "svix / verify only", Bound::Least(5.0)),
    (
        "handwritten",
        "axum_layer",
        "hand-written handler / the layer, both over axum",
        Bound::Least(3.0),
    ),
    ("forged", "verify", "a forged request / verify only", Bound::Most(1.1)),
];

const NANOS: &[(&str, &str, f64)] = &[
    ("stale", "a stale request rejected, its body unread", 150.0),
    ("unsigned", "an unsigned request rejected, its body unread", 150.0),
    ("access_change", "access_change()", 20.0),
    ("data", "data()", 20.0),
    ("clone", "an event cloned and dropped", 20.0),
];

fn allocations(run: &Run) -> [(&'static str, &'static str, f64, f64); 5] {
    let count = |key| run.allocations(TYPICAL, key).map_or(f64::NAN, |found| found.count.into());
    [
        ("verify", "verify only", count("verify"), 0.0),
        ("layer - parse", "the layer beyond the parse", count("layer") - count("parse"), 4.0),
        ("access_change", "access_change()", count("access_change"), 0.0),
        ("data", "data()", count("data"), 0.0),
        ("clone", "an event cloned", count("clone"), 0.0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive() {
        let met =
            |value, bound| Goal { key: String::new(), text: String::new(), value, bound }.is_met();
        assert_eq!([1.0, 1.1, 1.2].map(|value| met(value, Bound::Most(1.1))), [true, true, false]);
        assert_eq!([1.0, 1.1, 1.2].map(|value| met(value, Bound::Least(1.1))), [false, true, true]);
        assert!(!met(f64::NAN, Bound::Most(1.1)));
    }
}
