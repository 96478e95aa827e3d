//! The alert rules and their tests.

use std::collections::BTreeSet;

use crate::{first_column, labels, read};

const RULES: &str = "docs/prometheus-rules.yml";
const TESTS: &str = "docs/prometheus-rules.test.yml";

/// The names of the alerts.
pub(crate) fn alerts() -> BTreeSet<String> {
    let rules = read(RULES);
    let names: Vec<String> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .map(str::to_owned)
        .collect();
    let set: BTreeSet<String> = names.iter().cloned().collect();
    assert_eq!(set.len(), names.len(), "two alerts have the same name");
    assert!(!set.is_empty());
    set
}

#[test]
fn the_metrics_and_labels_of_the_rules_exist() {
    labels::check(&read(RULES));
    labels::check(&read(TESTS));
}

#[test]
fn each_alert_is_complete_tested_and_explained() {
    let (rules, tests, page) = (read(RULES), read(TESTS), read("docs/observability.md"));
    for rule in rules.split("- alert: ").skip(1) {
        for part in ["expr: |", "severity: ", "summary: ", "description: "] {
            assert!(rule.contains(part), "{part} {rule}");
        }
    }
    let alerts = alerts();
    for alert in &alerts {
        assert!(tests.contains(&format!("alertname=\"{alert}\"")), "no test of {alert}");
        let explained = page.lines().any(|line| line.starts_with("### ") && line.contains(alert));
        assert!(explained, "no section about {alert}");
    }
    let listed: BTreeSet<String> =
        first_column(&page, "Workos").into_iter().map(str::to_owned).collect();
    assert_eq!(listed, alerts);
    for (severity, name) in rules.split("- alert: ").skip(1).map(|rule| {
        let severity = rule.split_once("severity: ").unwrap().1.lines().next().unwrap();
        (severity, rule.lines().next().unwrap())
    }) {
        assert!(page.contains(&format!("| `{name}` | {severity} |")), "{name} {severity}");
    }
}
