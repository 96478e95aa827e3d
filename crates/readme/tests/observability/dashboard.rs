//! The dashboard.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{labels, metric, names, read, recorder::described, rules::alerts};

fn dashboard() -> Value {
    serde_json::from_str(&read("docs/grafana-dashboard.json")).unwrap()
}

/// The expressions of all panels.
pub(crate) fn expressions() -> Vec<String> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    panels
        .filter_map(|panel| panel["targets"].as_array())
        .flatten()
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_metrics_and_labels_of_the_dashboard_exist_and_none_is_missing() {
    let expressions = expressions().join("\n");
    labels::check(&expressions);
    let described = described();
    let shown: BTreeSet<&str> =
        names(&expressions).into_iter().map(|name| metric(name, &described.histograms)).collect();
    assert_eq!(shown, described.all());
}

#[test]
fn the_dashboard_can_be_imported_and_each_panel_explains_itself() {
    let dashboard = dashboard();
    assert_eq!(dashboard["id"], Value::Null);
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 38);
    assert_eq!(dashboard["__inputs"][0]["name"], "DS_PROMETHEUS");
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let (alerts, mut mentioned) = (alerts(), BTreeSet::new());
    for panel in panels {
        let text = |key: &str| panel[key].as_str().unwrap().to_owned();
        let (title, description) = (text("title"), text("description"));
        assert!(!title.is_empty() && description.len() > 20, "{title}: {description}");
        let words = description.split(|c: char| !c.is_ascii_alphanumeric());
        mentioned.extend(words.filter(|word| word.starts_with("Workos")).map(str::to_owned));
        if text("type") == "row" {
            continue;
        }
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}");
        for source in targets.iter().chain([panel]).map(|target| &target["datasource"]["uid"]) {
            assert_eq!(source, "${DS_PROMETHEUS}", "{title}");
        }
        for target in targets {
            assert!(target["expr"].as_str().unwrap().contains("job=~\"$job\""), "{title}");
        }
    }
    assert!(mentioned.is_subset(&alerts), "{mentioned:?}");
}
