//! How fast events are stored and handled, compared with the engine's own calls.
//!
//! ```text
//! cargo bench -p tower-workos-inbox --bench inbox --all-features
//! cargo bench -p tower-workos-inbox --bench inbox --all-features -- sqlite store
//! ```
//!
//! Uses the servers of `TEST_POSTGRES_URL` and `TEST_NATS_URL`, and SQLite files in the system's temporary directory. The rounds
//! of the inbox and of the reference alternate, and the medians are compared. As a test (`cargo test --benches`), it runs with
//! small numbers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench may panic")]

mod latency;
mod memory;
mod reference;
mod store;
#[path = "../../tests/it/support.rs"]
mod support;
mod work;

use std::time::Duration;

use support::{Kind, Place};

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let small = !arguments.iter().any(|argument| argument == "--bench");
    let chosen: Vec<_> = arguments.iter().filter(|it| !it.starts_with("--")).collect();
    let kinds = [("sqlite", Kind::Sqlite), ("postgres", Kind::Postgres), ("nats", Kind::Nats)];
    let parts = ["memory", "store", "latency", "work"];
    let is_chosen = |name: &str, all: &[&str]| {
        let mut of_this_kind = chosen.iter().filter(|it| all.contains(&it.as_str())).peekable();
        of_this_kind.peek().is_none() || of_this_kind.any(|it| *it == name)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for (name, kind) in kinds {
            if !is_chosen(name, &kinds.map(|(name, _)| name)) {
                continue;
            }
            let Some(place) = Place::new(kind).await else { continue };
            println!("{name}");
            // First, because the memory of other parts is not returned to the system.
            if is_chosen("memory", &parts) {
                work::memory(&place, if small { 100 } else { 100_000 }).await;
            }
            if is_chosen("store", &parts) {
                store::measure(&place, if small { 1 } else { 7 }, if small { 64 } else { 4_000 })
                    .await;
            }
            if is_chosen("latency", &parts) {
                latency::measure(&place, if small { 10 } else { 1_000 }).await;
            }
            if is_chosen("work", &parts) {
                work::measure(&place, if small { 100 } else { 100_000 }).await;
            }
            place.remove().await;
        }
    });
}

/// The median of some durations.
fn median(durations: &mut [Duration]) -> Duration {
    durations.sort();
    durations[durations.len() / 2]
}

fn rate(count: usize, duration: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap()) / duration.as_secs_f64()
}
