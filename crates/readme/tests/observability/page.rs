//! The lists of `docs/observability.md`.

use std::collections::BTreeSet;

use crate::{CRATES, first_column, read, recorder::described, sources};

#[test]
fn the_page_lists_each_metric_once_with_its_type() {
    let page = read("docs/observability.md");
    let listed: Vec<&str> = first_column(&page, "workos_")
        .into_iter()
        .filter(|name| *name != "workos_delivery")
        .collect();
    let described = described();
    assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), described.all());
    assert_eq!(listed.len(), described.all().len());
    for (kind, names) in [
        ("counter", &described.counters),
        ("gauge", &described.gauges),
        ("histogram", &described.histograms),
    ] {
        for name in names {
            assert!(page.contains(&format!("| `{name}` | {kind} |")), "{name} is a {kind}");
        }
    }
}

/// The values of labels that the page lists, except for those that it only describes.
#[test]
fn the_values_of_labels_on_the_page_exist() {
    let sources = CRATES.map(sources).concat();
    let page = read("docs/observability.md");
    let rows = page.lines().filter(|line| line.starts_with("| `workos_"));
    let mut checked = 0;
    for row in rows {
        let labels = row.split(" | ").nth(2).unwrap();
        for value in labels.split('`').skip(1).step_by(2).filter(|value| !value.contains('*')) {
            assert!(sources.contains(&format!("\"{value}\"")), "{value}: {row}");
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked}");
}

#[test]
fn the_page_lists_each_log_target_once() {
    let mut targets = BTreeSet::new();
    for text in CRATES.map(sources) {
        // Every second part of a text that is split at quotation marks is a string, unless one contains a mark.
        for part in text.split('"').filter(|part| part.starts_with("tower_workos")) {
            let is_target = |part: &str| {
                part.split_once("::").is_some_and(|(krate, module)| {
                    [krate, module].iter().all(|part| {
                        !part.is_empty() && part.chars().all(|c| c == '_' || c.is_ascii_lowercase())
                    })
                })
            };
            if is_target(part) {
                targets.insert(part.to_owned());
            }
        }
    }
    assert!(targets.len() >= 16, "{targets:?}");
    let page = read("docs/observability.md");
    let listed = first_column(&page, "tower_workos");
    assert_eq!(listed.len(), targets.len(), "{listed:?} {targets:?}");
    assert_eq!(listed.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), targets);
}

#[test]
fn other_files_name_existing_log_targets() {
    let page = read("docs/observability.md");
    let listed = first_column(&page, "tower_workos");
    let rules = read("docs/prometheus-rules.yml");
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    let named: Vec<&str> = words
        .map(|word| word.trim_end_matches(':'))
        .filter(|word| word.starts_with("tower_workos") && word.contains("::"))
        .collect();
    assert!(named.len() > 5, "{named:?}");
    let operations = read("docs/operations.md");
    let operations = first_column(&operations, "tower_workos");
    assert!(operations.len() > 5, "{operations:?}");
    for target in named.iter().chain(&operations) {
        assert!(listed.contains(target), "{target}");
    }
}
