//! Prints the tables, the goals and one line of JSON.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::{
    body::TYPICAL,
    goals::{self, Bound},
    run::{Allocations, Run},
    sample::{Sampled, Samples},
    statistics::Spread,
};

/// Prints all results of a run.
///
/// # Errors
///
/// If writing to `out` fails.
pub fn print(run: &Run, out: &mut impl Write) -> io::Result<()> {
    for (size, samples) in &run.sizes {
        print_table(run, size, samples, out)?;
    }
    print_equal_work(run, out)?;
    print_goals(run, out)?;
    writeln!(out, "{}", json(run))
}

fn print_table(run: &Run, size: &str, samples: &Samples, out: &mut impl Write) -> io::Result<()> {
    let title = format!("one dsync.user.updated of {size}");
    writeln!(
        out,
        "{title:<76} {:>9} {:>17} {:>7} {:>7} {:>9}",
        "µs", "10 %–90 %", "/ HMAC", "allocs", "bytes"
    )?;
    for row in samples.rows() {
        let ratio = samples.ratio(row.key, "hmac");
        print_row(row, ratio, run.allocations(size, row.key), out)?;
    }
    if size == TYPICAL {
        for sdk in &run.sdks {
            print_row(sdk, sdk_ratio(run, sdk), None, out)?;
        }
    }
    writeln!(out)
}

fn print_row(
    row: &Sampled,
    to_hmac: f64,
    allocations: Option<Allocations>,
    out: &mut impl Write,
) -> io::Result<()> {
    let Spread { p10, median, p90 } = row.spread();
    let spread = format!("{p10:.3}–{p90:.3}");
    let [count, bytes] = match allocations {
        Some(Allocations { count, bytes }) => [count.to_string(), bytes.to_string()],
        None => ["–", "–"].map(str::to_owned),
    };
    writeln!(
        out,
        "{:<76} {median:>9.3} {spread:>17} {to_hmac:>7.2} {count:>7} {bytes:>9}",
        row.label
    )
}

/// Shows how much of the layer's lead comes from doing less.
fn print_equal_work(run: &Run, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "The layer keeps custom_attributes and previous_attributes as text until they are read. These peers parse them \
         at\nonce. Their time divided by that of the layer, and by that of the layer with every attribute read:"
    )?;
    for (key, on_demand, equal) in equal_work(run) {
        let label = &run.samples(TYPICAL).row(key).label;
        writeln!(out, "{label:<76} {on_demand:>9.2} {equal:>17.2}")?;
    }
    writeln!(out)
}

fn equal_work(run: &Run) -> impl Iterator<Item = (&'static str, f64, f64)> {
    const PEERS: [&str; 4] =
        ["workos_typed", "workos_construct", "standardwebhooks_value", "svix_value"];
    let samples = run.samples(TYPICAL);
    PEERS
        .into_iter()
        .map(|key| (key, samples.ratio(key, "layer_clock"), samples.ratio(key, "layer_values")))
}

fn print_goals(run: &Run, out: &mut impl Write) -> io::Result<()> {
    for goal in goals::all(run) {
        let bound = match goal.bound {
            Bound::Least(least) => format!("≥ {least}"),
            Bound::Most(most) => format!("≤ {most}"),
        };
        let verdict = if goal.is_met() { "met" } else { "MISSED" };
        writeln!(out, "{:<86} {:>8.3}  {bound:<7} {verdict}", goal.text, goal.value)?;
    }
    writeln!(out)
}

/// The ratio of the medians: the rounds of an SDK are not those of the rows.
fn sdk_ratio(run: &Run, sdk: &Sampled) -> f64 {
    sdk.spread().median / run.samples(TYPICAL).row("hmac").spread().median
}

fn json(run: &Run) -> Value {
    let sizes = run.sizes.iter().map(|(size, samples)| {
        let rows = samples.rows().iter().map(|row| {
            let mut value = row_json(row, samples.ratio(row.key, "hmac"));
            if let Some(allocations) = run.allocations(size, row.key) {
                value["allocations"] = allocations.count.into();
                value["bytes"] = allocations.bytes.into();
            }
            (row.key.to_owned(), value)
        });
        ((*size).to_owned(), rows.collect::<Map<_, _>>().into())
    });
    let goals = goals::all(run).into_iter().map(|goal| {
        let bound = match goal.bound {
            Bound::Least(least) => json!({ "at_least": least }),
            Bound::Most(most) => json!({ "at_most": most }),
        };
        let value = json!({ "value": rounded(goal.value), "bound": bound, "met": goal.is_met() });
        (goal.key, value)
    });
    let sdks = run.sdks.iter().map(|sdk| {
        let mut value = row_json(sdk, sdk_ratio(run, sdk));
        value["package"] = sdk.label.as_ref().into();
        (sdk.key.to_owned(), value)
    });
    let equal_work = equal_work(run).map(|(key, on_demand, equal)| {
        let value = json!({ "to_layer": rounded(on_demand), "to_layer_values": rounded(equal) });
        (key.to_owned(), value)
    });
    json!({
        "equal_work": equal_work.collect::<Map<_, _>>(),
        "goals": goals.collect::<Map<_, _>>(),
        "rows": sizes.collect::<Map<_, _>>(),
        "sdks": sdks.collect::<Map<_, _>>(),
    })
}

fn row_json(row: &Sampled, to_hmac: f64) -> Value {
    let Spread { p10, median, p90 } = row.spread();
    json!({
        "median_us": rounded(median),
        "p10_us": rounded(p10),
        "p90_us": rounded(p90),
        "to_hmac": rounded(to_hmac),
    })
}

/// Rounds to four decimal places; further digits are noise.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}
