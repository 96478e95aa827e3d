//! The table, the goals and the line of JSON.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    body::TYPICAL,
    goals::{self, Bound},
    sample::{Sampled, Samples},
    sdks::Sdk,
};

/// All that was measured.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Run {
    /// The samples, by the name of the body's size.
    pub sizes: Vec<(&'static str, Samples)>,
    /// What was allocated, by the name of the body's size and the row's key.
    pub allocations: BTreeMap<String, BTreeMap<String, Allocations>>,
    /// The official SDKs of other languages, where they could be had.
    pub sdks: Vec<Sdk>,
}

/// What doing a row's work once allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by the program that counts")]
pub struct Allocations {
    /// How often memory was asked for.
    pub count: u32,
    /// How much, in bytes.
    pub bytes: u32,
}

impl Run {
    /// The samples of a size.
    #[must_use]
    pub fn samples(&self, size: &str) -> &Samples {
        &self.sizes.iter().find(|(name, _)| *name == size).expect("a size of the table").1
    }

    /// How many times as long one row takes as another.
    #[must_use]
    pub fn ratio(&self, size: &str, key: &str, to: &str) -> f64 {
        self.samples(size).ratio(key, to)
    }

    /// Prints everything.
    ///
    /// # Errors
    ///
    /// Where it can't be written.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        for (size, samples) in &self.sizes {
            self.print_table(out, size, samples)?;
        }
        self.print_equal_work(out)?;
        self.print_goals(out)?;
        writeln!(out, "{}", self.json())
    }

    fn print_table(&self, out: &mut impl Write, size: &str, samples: &Samples) -> io::Result<()> {
        let title = format!("one dsync.user.updated of {size}");
        writeln!(
            out,
            "{title:<76} {:>9} {:>17} {:>7} {:>7} {:>9}",
            "µs", "10%–90%", "× HMAC", "allocs", "bytes"
        )?;
        for row in samples.rows() {
            let [low, middle, high] = [0.1, 0.5, 0.9].map(|share| row.quantile(share) / 1000.0);
            let ratio = row.ratio(samples.row("hmac"));
            let (count, bytes) = self.allocations(size, row.key).map_or_else(
                || ("–".to_owned(), "–".to_owned()),
                |allocations| (allocations.count.to_string(), allocations.bytes.to_string()),
            );
            let spread = format!("{low:.3}–{high:.3}");
            writeln!(
                out,
                "{:<76} {middle:>9.3} {spread:>17} {ratio:>7.2} {count:>7} {bytes:>9}",
                row.label
            )?;
        }
        if size == TYPICAL {
            for sdk in &self.sdks {
                let [low, middle, high] = [0.1, 0.5, 0.9].map(|share| sdk.quantile(share));
                let spread = format!("{low:.1}–{high:.1}");
                let ratio = self.sdk_ratio(sdk);
                writeln!(
                    out,
                    "{:<76} {middle:>9.3} {spread:>17} {ratio:>7.2} {:>7} {:>9}",
                    sdk.label, "–", "–"
                )?;
            }
        }
        writeln!(out)
    }

    /// What part of a lead comes from doing less.
    fn print_equal_work(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "The layer keeps custom_attributes and previous_attributes as text until they are asked for; these peers \
             read them\nat once. Times as long as the layer, and as the layer with every attribute read as well:"
        )?;
        for (key, on_demand, equal) in self.equal_work() {
            let label = self.samples(TYPICAL).row(key).label;
            writeln!(out, "{label:<76} {on_demand:>9.2} {equal:>17.2}")?;
        }
        writeln!(out)
    }

    fn equal_work(&self) -> impl Iterator<Item = (&'static str, f64, f64)> {
        const PEERS: [&str; 4] =
            ["workos_typed", "workos_construct", "standardwebhooks_value", "svix_value"];
        PEERS.into_iter().map(|key| {
            let [on_demand, equal] =
                ["layer_clock", "layer_values"].map(|layer| self.ratio(TYPICAL, key, layer));
            (key, on_demand, equal)
        })
    }

    fn print_goals(&self, out: &mut impl Write) -> io::Result<()> {
        for goal in goals::all(self) {
            let bound = match goal.bound {
                Bound::Least(least) => format!("≥ {least}"),
                Bound::Most(most) => format!("≤ {most}"),
            };
            let verdict = if goal.is_met() { "met" } else { "MISSED" };
            writeln!(out, "{:<86} {:>8.3}  {bound:<7} {verdict}", goal.text, goal.value)?;
        }
        writeln!(out)
    }

    /// How many times as long as one keyed HMAC; of the medians, as the rounds are not the same.
    fn sdk_ratio(&self, sdk: &Sdk) -> f64 {
        sdk.quantile(0.5) * 1000.0 / self.samples(TYPICAL).row("hmac").quantile(0.5)
    }

    fn allocations(&self, size: &str, key: &str) -> Option<&Allocations> {
        self.allocations.get(size)?.get(key)
    }

    fn json(&self) -> Value {
        let sizes: Map<_, _> = self
            .sizes
            .iter()
            .map(|(size, samples)| {
                let rows = samples.rows().iter();
                let rows: Map<_, _> = rows
                    .map(|row| (row.key.to_owned(), self.row_json(size, row, samples)))
                    .collect();
                ((*size).to_owned(), rows.into())
            })
            .collect();
        let goals: Map<_, _> = goals::all(self)
            .into_iter()
            .map(|goal| {
                let bound = match goal.bound {
                    Bound::Least(least) => json!({ "at_least": least }),
                    Bound::Most(most) => json!({ "at_most": most }),
                };
                let value =
                    json!({ "value": rounded(goal.value), "bound": bound, "met": goal.is_met() });
                (goal.key, value)
            })
            .collect();
        let sdks: Map<_, _> = self
            .sdks
            .iter()
            .map(|sdk| {
                let [low, middle, high] = [0.1, 0.5, 0.9].map(|share| rounded(sdk.quantile(share)));
                let value = json!({
                    "package": sdk.label,
                    "median_us": middle,
                    "p10_us": low,
                    "p90_us": high,
                    "to_hmac": rounded(self.sdk_ratio(sdk)),
                });
                (sdk.key.to_owned(), value)
            })
            .collect();
        let equal_work: Map<_, _> = self
            .equal_work()
            .map(|(key, on_demand, equal)| {
                let value =
                    json!({ "to_layer": rounded(on_demand), "to_layer_values": rounded(equal) });
                (key.to_owned(), value)
            })
            .collect();
        json!({ "equal_work": equal_work, "goals": goals, "rows": sizes, "sdks": sdks })
    }

    fn row_json(&self, size: &str, row: &Sampled, samples: &Samples) -> Value {
        let mut value = json!({
            "median_us": rounded(row.quantile(0.5) / 1000.0),
            "p10_us": rounded(row.quantile(0.1) / 1000.0),
            "p90_us": rounded(row.quantile(0.9) / 1000.0),
            "to_hmac": rounded(row.ratio(samples.row("hmac"))),
        });
        if let Some(allocations) = self.allocations(size, row.key) {
            value["allocations"] = allocations.count.into();
            value["bytes"] = allocations.bytes.into();
        }
        value
    }
}

/// To four decimal places: more is noise.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}
