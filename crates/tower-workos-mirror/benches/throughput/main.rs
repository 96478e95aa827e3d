//! How fast the mirror applies events, compared with a handler written by hand and with a bulk insert.
//!
//! ```text
//! cargo bench -p tower-workos-mirror --bench throughput --all-features
//! cargo bench -p tower-workos-mirror --bench throughput --all-features -- sync
//! ```
//!
//! Uses the Postgres of `TEST_POSTGRES_URL` and SQLite files in the system's temporary directory. As a test
//! (`cargo test --benches`), it runs with small numbers.
#![allow(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench may panic"
)]

mod databases;
mod deliveries;
mod events;
mod handwritten;
mod large;
mod proxy;
mod report;
mod sync;

use events::Size;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let small = !arguments.iter().any(|argument| argument == "--bench");
    let chosen: Vec<_> = arguments.iter().filter(|it| !it.starts_with("--")).collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|it| *it == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let sync = if small {
            Size { users: 50, groups: 5, memberships: 100 }
        } else {
            Size { users: 10_000, groups: 200, memberships: 40_000 }
        };
        if is_chosen("sync") {
            sync::measure(sync).await;
        }
        if is_chosen("deliveries") {
            deliveries::measure(if small { 50 } else { 10_000 }, if small { 100 } else { 20_000 })
                .await;
        }
        if is_chosen("endpoint") {
            deliveries::first_syncs(sync).await;
        }
        if is_chosen("rows") && !small {
            large::rows(1_000_000, 20_000).await;
        }
        if is_chosen("deletion") {
            large::deletion(if small { 100 } else { 100_000 }).await;
        }
        if is_chosen("replicas") && !small {
            large::replicas(40_000).await;
        }
    });
}
