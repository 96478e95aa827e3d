//! The chart: bars for the typical delivery, without scripts or fonts of its own. Its colours are of middle lightness, so
//! that it can be read on a light page and on a dark one.

use std::fmt::Write;

use crate::{body::TYPICAL, report::Run};

const TEXT: &str = "#6e7781";
const OURS: &str = "#2f81f7";
const THEIRS: &str = "#9a8c98";
const FLOOR: &str = "#d29922";

const WIDTH: f64 = 860.0;
const LEFT: f64 = 370.0;
const RIGHT: f64 = 70.0;
const LINE: f64 = 24.0;

type Bar = (&'static str, &'static str, &'static str);

/// Each a row's key, its name in the chart and its colour.
const VERIFY: &[Bar] = &[
    ("hmac", "one keyed HMAC-SHA256, the floor", FLOOR),
    ("verify_clock", "tower-workos", OURS),
    ("slack_morphism", "slack-morphism", THEIRS),
    ("webhook_verify", "webhook-verify", THEIRS),
    ("workos_verify", "workos, verify_payload", THEIRS),
    ("svix", "svix", THEIRS),
    ("standardwebhooks", "standardwebhooks", THEIRS),
];

const READ: &[Bar] = &[
    ("hmac_parse", "one HMAC + typed parse, the floor", FLOOR),
    ("layer_clock", "tower-workos, the layer; attributes on demand", OURS),
    ("layer_values", "tower-workos, the layer; every attribute read", OURS),
    ("workos_typed", "workos, verify_payload + typed parse", THEIRS),
    ("workos_construct", "workos, construct_event (untyped)", THEIRS),
    ("handwritten", "hand-written axum handler + Value", THEIRS),
    ("standardwebhooks_value", "standardwebhooks + Value", THEIRS),
    ("svix_value", "svix + Value", THEIRS),
    ("async_stripe", "async-stripe-webhook, an event of its own", THEIRS),
];

/// The chart as an SVG document.
#[must_use]
pub fn svg(run: &Run) -> String {
    let mut bars = String::new();
    let mut top = 34.0;
    let title = format!("One dsync.user.updated of {TYPICAL}, microseconds, less is better");
    text(&mut bars, 0.0, 16.0, "start", "font-weight=\"600\"", &title);
    for (title, group) in [("Verify only", VERIFY), ("Verify and read", READ)] {
        top += 10.0;
        text(&mut bars, 0.0, top + 10.0, "start", "font-weight=\"600\"", title);
        top += LINE;
        let times: Vec<f64> = group
            .iter()
            .map(|(key, ..)| run.samples(TYPICAL).row(key).quantile(0.5) / 1000.0)
            .collect();
        let longest = times.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        for ((_, name, colour), time) in group.iter().zip(times) {
            bar(&mut bars, top, name, colour, time, time / longest);
            top += LINE;
        }
    }
    for sdk in &run.sdks {
        let line = format!("{}: {:.0} µs, not to this scale", sdk.label, sdk.quantile(0.5));
        text(&mut bars, LEFT, top + 10.0, "start", "font-size=\"12\"", &line);
        top += LINE;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top}\" width=\"{WIDTH}\" height=\"{top}\" \
         role=\"img\" aria-label=\"{title}\" font-family=\"system-ui, sans-serif\" font-size=\"14\" fill=\"{TEXT}\">\n\
         {bars}</svg>\n"
    )
}

fn bar(svg: &mut String, top: f64, name: &str, colour: &str, time: f64, share: f64) {
    let length = share * (WIDTH - LEFT - RIGHT);
    text(svg, LEFT - 10.0, top + 12.0, "end", "", name);
    // Writing to a String can't fail.
    let _ = writeln!(
        svg,
        "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{length:.1}\" height=\"16\" rx=\"2\" fill=\"{colour}\"/>"
    );
    text(svg, LEFT + length + 6.0, top + 12.0, "start", "", &format!("{time:.2}"));
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, attributes: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {attributes}>{text}</text>"
    );
}
