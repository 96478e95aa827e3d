//! The labels in expressions and series.

use crate::{CRATES, metric, read, recorder::described, sources};

/// Fails unless every metric in the text exists, and every label and value in its braces is on the page, in the row of this
/// metric, and in the sources of the crate that records it.
pub(crate) fn check(text: &str) {
    let described = described();
    let known = described.all();
    let (sources, page) = (CRATES.map(sources), read("docs/observability.md"));
    let mut rest = text;
    while let Some(at) = rest.find("workos_") {
        let before = rest.get(..at).unwrap().chars().next_back();
        let word = rest.get(at..).unwrap();
        let end = word.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(word.len());
        let (name, after) = word.split_at(end);
        rest = after;
        // `tower_workos::…` is a log target.
        if before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
            || name == "workos_delivery"
        {
            continue;
        }
        let base = metric(name, &described.histograms);
        assert!(known.contains(base), "there is no metric {base}: {name}");
        // A text may name the histogram; a selector can't.
        if described.histograms.contains(base) && after.starts_with(['{', '[']) {
            assert_ne!(base, name, "a histogram has only _bucket, _count and _sum");
        }
        let Some((labels, _)) = after.strip_prefix('{').and_then(|after| after.split_once('}'))
        else {
            continue;
        };
        let [door, mirror, inbox] = &sources;
        let source = match base.split('_').nth(1).unwrap() {
            "webhook" | "dedupe" | "store" => door,
            "mirror" | "reconcile" | "events" => mirror,
            "inbox" => inbox,
            other => panic!("which crate records workos_{other}?"),
        };
        for label in labels.split(',') {
            let (label, value) = label.split_once('=').unwrap();
            let values = value.trim_matches(['~', '"', '\\']);
            match label.trim() {
                // Prometheus adds them.
                "job" | "instance" => {}
                "le" => assert!(name.ends_with("_bucket"), "{name}"),
                // The application chooses them.
                "queue" => assert!(base.starts_with("workos_inbox_"), "{base}"),
                label => {
                    assert!(source.contains(&format!("\"{label}\" =>")), "{base}: {label}");
                    let listed = values_of(&page, base, label);
                    for value in values.split('|') {
                        assert!(
                            source.contains(&format!("\"{value}\"")),
                            "{base}: {label}={value}"
                        );
                        // The page only describes the values of these two.
                        if !matches!(label, "event" | "kind") {
                            assert!(
                                listed.contains(&format!("`{value}`")),
                                "{base}: {label}={value}"
                            );
                        }
                    }
                }
            }
        }
    }
}

/// What the page says about the values of a label.
fn values_of(page: &str, metric: &str, label: &str) -> String {
    let start = format!("| `{metric}` | ");
    let row = page.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
    let mut labels = row.split(" | ").nth(1).unwrap().split("; ");
    let values = labels.find_map(|part| part.strip_prefix(&format!("`{label}`")));
    values.unwrap_or_else(|| panic!("{metric} has no label {label}")).to_owned()
}

#[test]
fn a_wrong_name_label_or_value_is_found() {
    let fails = |text: &'static str| std::panic::catch_unwind(|| check(text)).is_err();
    check(
        r#"workos_webhook_requests_total{outcome=~"SignatureMismatch|accepted"} tower_workos::verify"#,
    );
    check(r#"workos_mirror_event_lag_seconds_bucket{job="app", le="60"}"#);
    for wrong in [
        "workos_webhook_request_total",
        "workos_mirror_event_lag_seconds[5m]",
        r#"workos_webhook_requests_total{result="accepted"}"#,
        r#"workos_webhook_requests_total{outcome="signature_mismatch"}"#,
        r#"workos_webhook_requests_total{outcome=~"accepted|dead"}"#,
        r#"workos_webhook_requests_total{queue="workos"}"#,
        // A label and a value of other metrics of the same crate.
        r#"workos_inbox_enqueued_total{outcome="dead"}"#,
        r#"workos_inbox_enqueued_total{result="retry"}"#,
    ] {
        assert!(fails(wrong), "{wrong}");
    }
}
