//! Compares `docs/observability.md`, the alert rules and the dashboard with the crates, and runs the sample.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

mod dashboard;
mod labels;
mod page;
mod recorder;
mod rules;
mod sample;
mod spans;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A file of the repository.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of all Rust files in a folder.
fn sources(folder: &str) -> String {
    fn collect(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    collect(&root().join(folder), &mut text);
    assert!(!text.is_empty(), "{folder}");
    text
}

/// The folders with the sources of the crates that record and log.
const CRATES: [&str; 3] =
    ["src", "crates/tower-workos-mirror/src", "crates/tower-workos-inbox/src"];

/// The words in a text that begin with `workos_`.
fn names(text: &str) -> BTreeSet<&str> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .filter(|word| word.starts_with("workos_"))
        .collect()
}

/// The name of a metric, without what Prometheus appends to that of a histogram.
fn metric<'n>(name: &'n str, histograms: &BTreeSet<String>) -> &'n str {
    ["_bucket", "_count", "_sum"]
        .iter()
        .filter_map(|suffix| name.strip_suffix(suffix))
        .find(|name| histograms.contains(*name))
        .unwrap_or(name)
}

/// The first column of the rows of Markdown tables that begin with `` | `prefix ``: what is in its backticks.
fn first_column<'t>(text: &'t str, prefix: &str) -> Vec<&'t str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|line| line.split_once(" | "))
        .flat_map(|(column, _)| column.split('`').skip(1).step_by(2))
        .filter(|name| name.starts_with(prefix))
        .collect()
}
