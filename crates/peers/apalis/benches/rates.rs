//! The rates of apalis-sqlite and of the adapter, in events a second.
//!
//! ```text
//! cargo bench -p peers-apalis --bench rates [-- COUNT [adapter]]
//! ```
//!
//! By default 20 000 payloads of 600 bytes in a file in the system's temporary directory, in WAL mode with `synchronous` full. Takes
//! minutes, because apalis reads all pending jobs to lock one and all jobs of a worker to acknowledge one. As a test
//! (`cargo test --benches`), it runs with a few events.
#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use std::{env, path::Path, time::Duration};

use peers_apalis::{Inbox, Settings, rates};
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::mpsc;

const CONCURRENCY: usize = 16;

fn main() {
    let small = !env::args().any(|argument| argument == "--bench");
    let default = if small { 50 } else { 20_000 };
    let count: u32 = env::args().find_map(|argument| argument.parse().ok()).unwrap_or(default);
    let only_adapter = env::args().any(|argument| argument == "adapter");
    let payloads: Vec<Vec<u8>> = (0..count).map(payload).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let print = |name: &str, elapsed: Duration| {
        println!("{name:<50} {:>8.0}", f64::from(count) / elapsed.as_secs_f64());
    };
    runtime.block_on(async {
        for (push, fetch) in [(20_000, 10), (100, CONCURRENCY), (1, 100)] {
            if only_adapter {
                break;
            }
            let folder = tempfile::tempdir().unwrap();
            let pool = rates::open(options(folder.path())).await.unwrap();
            let elapsed = rates::bulk_enqueue(&pool, &payloads, push).await.unwrap();
            print(&format!("apalis, push_bulk, {push} in a transaction"), elapsed);
            let elapsed = rates::work_off(&pool, CONCURRENCY, fetch).await.unwrap();
            print(&format!("apalis, work off, {fetch} in a fetch"), elapsed);
        }
        for batch in [20_000, 100, 1] {
            let folder = tempfile::tempdir().unwrap();
            let (store, handle) = adapter(folder.path(), &payloads, batch).await;
            print(&format!("adapter, store, {batch} in a transaction"), store);
            print("adapter, work off", handle);
        }
    });
}

fn options(folder: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(folder.join("jobs.db")).create_if_missing(true)
}

/// 600 bytes.
fn payload(number: u32) -> Vec<u8> {
    let mut payload = format!(r#"{{"id":"event_{number:026}","data":""#).into_bytes();
    payload.resize(598, b'x');
    payload.extend(br#""}"#);
    payload
}

/// The time to store the events and the time to handle them.
async fn adapter(folder: &Path, payloads: &[Vec<u8>], batch: usize) -> (Duration, Duration) {
    let inbox = Inbox::open(options(folder), Settings::default()).await.unwrap();
    let ids: Vec<_> = (0..payloads.len()).map(|number| format!("event_{number:026}")).collect();
    let events: Vec<(&str, &[u8])> =
        ids.iter().zip(payloads).map(|(id, payload)| (id.as_str(), payload.as_slice())).collect();
    let start = std::time::Instant::now();
    for batch in events.chunks(batch) {
        assert_eq!(inbox.store(batch).await.unwrap(), batch.len());
    }
    let stored = start.elapsed();

    let (sender, mut receiver) = mpsc::unbounded_channel();
    let handler = move |_| {
        sender.send(()).unwrap();
        async { Ok(()) }
    };
    let count = payloads.len();
    let start = std::time::Instant::now();
    let all = async {
        for _ in 0..count {
            receiver.recv().await.unwrap();
        }
    };
    inbox.run_until(handler, all).await;
    let handled = start.elapsed();
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM Jobs").fetch_one(inbox.pool()).await.unwrap();
    assert_eq!(left, 0);
    (stored, handled)
}
