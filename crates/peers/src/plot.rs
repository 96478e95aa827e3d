//! The bar chart of the README, for the typical delivery. The background is transparent and the colours are of medium
//! lightness, so that the chart is readable on light and on dark pages.

use std::io;

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{body::TYPICAL, run::Run};

const TEXT: RGBColor = RGBColor(0x6e, 0x77, 0x81);
const OURS: RGBColor = RGBColor(0x2f, 0x81, 0xf7);
const THEIRS: RGBColor = RGBColor(0x9a, 0x8c, 0x98);
const FLOOR: RGBColor = RGBColor(0xd2, 0x99, 0x22);

const WIDTH: u32 = 860;
const LINE: u32 = 24;
const NAMES: u32 = 370;
/// Room for the longest bar's figure.
const FIGURES: u32 = 70;
/// In plotters' unit, which is 0.81 px with the SVG backend.
const FONT: i32 = 17;
const SMALL_FONT: i32 = 15;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<io::Error>>;
type Bar = (&'static str, &'static str, RGBColor);

/// The key, the name in the chart and the colour of each row.
const VERIFY: &[Bar] = &[
    ("hmac", "floor: one keyed HMAC-SHA256", FLOOR),
    ("verify_clock", "tower-workos", OURS),
    ("slack_morphism", "slack-morphism", THEIRS),
    ("webhook_verify", "webhook-verify", THEIRS),
    ("workos_verify", "workos, verify_payload", THEIRS),
    ("svix", "svix", THEIRS),
    ("standardwebhooks", "standardwebhooks", THEIRS),
];

const READ: &[Bar] = &[
    ("hmac_parse", "floor: one HMAC + typed parse", FLOOR),
    ("layer_clock", "tower-workos, the layer; attributes on demand", OURS),
    ("layer_values", "tower-workos, the layer; every attribute read", OURS),
    ("workos_typed", "workos, verify_payload + typed parse", THEIRS),
    ("workos_construct", "workos, construct_event (untyped)", THEIRS),
    ("handwritten", "hand-written axum handler + Value", THEIRS),
    ("standardwebhooks_value", "standardwebhooks + Value", THEIRS),
    ("svix_value", "svix + Value", THEIRS),
    ("async_stripe", "async-stripe-webhook, a Stripe event", THEIRS),
];

/// Draws the chart as an SVG document.
///
/// # Errors
///
/// If drawing fails.
pub fn svg(run: &Run) -> io::Result<String> {
    let mut document = String::new();
    draw(run, &mut document).map_err(io::Error::other)?;
    Ok(document)
}

fn draw(run: &Run, document: &mut String) -> Drawn {
    let groups = [("Verify only", VERIFY), ("Verify and read", READ)];
    let lines = |number: usize| u32::try_from(number).unwrap_or(u32::MAX) * LINE;
    let bars = groups.iter().map(|(_, group)| lines(group.len() + 1)).sum::<u32>();
    let height = LINE + bars + lines(run.sdks.len());
    let root = SVGBackend::with_string(document, (WIDTH, height)).into_drawing_area();

    let (title, mut rest) = root.split_vertically(LINE);
    heading(&title, &format!("One dsync.user.updated of {TYPICAL}, microseconds, less is better"))?;
    for (title, group) in groups {
        let (area, below) = rest.split_vertically(lines(group.len() + 1));
        let (title_area, area) = area.split_vertically(LINE);
        heading(&title_area, title)?;
        draw_bars(&area, run, group)?;
        rest = below;
    }
    for sdk in &run.sdks {
        let (line, below) = rest.split_vertically(LINE);
        let text = format!("{}: {:.0} µs, not to this scale", sdk.label, sdk.spread().median);
        line.draw(&Text::new(text, (i32::try_from(NAMES).unwrap_or(0), 6), font(SMALL_FONT)))?;
        rest = below;
    }
    root.present()
}

fn draw_bars(area: &Area<'_>, run: &Run, group: &[Bar]) -> Drawn {
    let samples = run.samples(TYPICAL);
    // The vertical axis points upwards.
    let bars: Vec<_> = group
        .iter()
        .rev()
        .map(|(key, name, colour)| (samples.row(key).spread().median, *name, *colour))
        .collect();
    let longest = bars.iter().fold(f64::MIN_POSITIVE, |longest, (time, ..)| longest.max(*time));
    let mut chart = ChartBuilder::on(area)
        .set_label_area_size(LabelAreaPosition::Left, NAMES)
        .margin_right(FIGURES)
        .build_cartesian_2d(0.0..longest, (0..bars.len() - 1).into_segmented())?;
    let name = |segment: &SegmentValue<usize>| match segment {
        SegmentValue::CenterOf(index) => bars.get(*index).map_or("", |(_, name, _)| name),
        _ => "",
    };
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_x_axis()
        .axis_style(TRANSPARENT)
        .y_labels(bars.len())
        .y_label_formatter(&|segment| name(segment).to_owned())
        .y_label_style(font(FONT))
        .draw()?;
    chart.draw_series(bars.iter().enumerate().map(|(index, (time, _, colour))| {
        let ends = [(0.0, SegmentValue::Exact(index)), (*time, SegmentValue::Exact(index + 1))];
        let mut bar = Rectangle::new(ends, colour.filled());
        bar.set_margin(4, 4, 0, 0);
        bar
    }))?;
    let figure = font(FONT).pos(Pos::new(HPos::Left, VPos::Center));
    chart.draw_series(bars.iter().enumerate().map(|(index, (time, ..))| {
        EmptyElement::at((*time, SegmentValue::CenterOf(index)))
            + Text::new(format!("{time:.2}"), (6, 0), figure.clone())
    }))?;
    Ok(())
}

fn heading(area: &Area<'_>, text: &str) -> Drawn {
    let bold = ("sans-serif", FONT, FontStyle::Bold, &TEXT).into_text_style(area);
    area.draw(&Text::new(text, (0, 6), bold))
}

fn font(size: i32) -> TextStyle<'static> {
    TextStyle::from(("sans-serif", size).into_font()).color(&TEXT)
}
