//! The cost of remembering events in databases.
//!
//! ```text
//! cargo bench -p tower-workos-sqlx --bench stores --features postgres
//! ```
//!
//! Prints one line for each store: claim-and-complete pairs per second, one at a time and eight at a time, and the longest
//! wait. For SQLite, also deliveries whose handler writes and completes the claim in one transaction. The SQLite database
//! is a file in the system's temporary directory. The Postgres and Redis servers are those of `TEST_POSTGRES_URL` and
//! `TEST_REDIS_URL`, and are skipped if they can't be reached. As a test (`cargo test --benches`), it runs only a few
//! iterations.
#![allow(clippy::unwrap_used, reason = "a bench may panic")]

#[path = "../tests/databases/mod.rs"]
mod databases;

use std::{
    env,
    path::Path,
    time::{Duration, Instant},
};

use databases::{Schema, services};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use tokio::task::JoinSet;
use tower_workos::{
    DedupeStore,
    dedupe::{Claim, ClaimToken, Completion, DedupeKey},
};
use tower_workos_sqlx::SqliteStore;

const LEASE: Duration = Duration::from_secs(60);
const TASKS: usize = 8;

fn main() {
    let small = !env::args().any(|argument| argument == "--bench");
    let pairs = if small { 20 } else { 500 };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        for connections in [8, 4, 1] {
            let file = folder.path().join(format!("{connections}.db"));
            let store = sqlite(&file, connections).await;
            let name = format!("SqliteStore, pool of {connections}");
            measure(&name, &store, pairs, pair).await;
            let name = format!("{name}, in the handler's transaction");
            measure(&name, &store, pairs, delivery).await;
        }
        if let Some(schema) = Schema::create().await {
            measure("PostgresStore", &schema.store().await, pairs, pair).await;
            schema.drop().await;
        }
        if let Some(store) = services::redis_store().await {
            measure("RedisStore", &store, pairs, pair).await;
        }
    });
}

async fn sqlite(file: &Path, connections: u32) -> SqliteStore {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(10));
    let pool = SqlitePoolOptions::new().max_connections(connections);
    let store = SqliteStore::new(pool.connect_with(options).await.unwrap());
    store.migrate().await.unwrap();
    sqlx::raw_sql("CREATE TABLE effects (id TEXT)").execute(store.pool()).await.unwrap();
    store
}

async fn acquire<St: DedupeStore>(store: &St, key: &DedupeKey) -> St::Token {
    match store.claim(key, LEASE).await.unwrap() {
        Claim::Acquired(token) => token,
        Claim::Done | Claim::InFlight { .. } => panic!("not acquired"),
    }
}

/// A claim followed by its completion.
async fn pair<St: DedupeStore>(store: St, key: DedupeKey) {
    let token = acquire(&store, &key).await;
    assert_eq!(store.complete(&key, &token, LEASE).await.unwrap(), Completion::Completed);
}

/// A claim, a handler that writes and completes it in one transaction, and the layer's check.
async fn delivery(store: SqliteStore, key: DedupeKey) {
    let token: ClaimToken = acquire(&store, &key).await;
    let mut tx = store.begin().await.unwrap();
    sqlx::query("INSERT INTO effects VALUES (?1)")
        .bind(key.id().as_str())
        .execute(&mut *tx)
        .await
        .unwrap();
    let completion = SqliteStore::complete_in(&mut tx, &key, &token, LEASE).await.unwrap();
    assert_eq!(completion, Completion::Completed);
    tx.commit().await.unwrap();
    assert_eq!(store.confirm(&key, &token).await.unwrap(), Completion::Completed);
}

/// Measures runs one at a time, then eight at a time.
async fn measure<St, F>(name: &str, store: &St, pairs: usize, run: impl Fn(St, DedupeKey) -> F)
where
    St: DedupeStore,
    F: Future<Output = ()> + Send + 'static,
{
    let namespace = services::unique();
    let key =
        |index: usize| DedupeKey::new(namespace.as_str(), format!("event_{index:024}").into());
    let start = Instant::now();
    for index in 0..pairs {
        run(store.clone(), key(index)).await;
    }
    let single = seconds_each(start.elapsed(), pairs);

    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 1..=TASKS {
        // Created here, so that the closure need not be shared between tasks. A future does nothing until it is awaited.
        let runs: Vec<F> =
            (0..pairs).map(|index| run(store.clone(), key(task * pairs + index))).collect();
        tasks.spawn(async move {
            let mut longest = Duration::ZERO;
            for run in runs {
                let start = Instant::now();
                run.await;
                longest = longest.max(start.elapsed());
            }
            longest
        });
    }
    let longest = tasks.join_all().await.into_iter().max().unwrap_or_default();
    let eight = seconds_each(start.elapsed(), TASKS * pairs);
    println!(
        "{name}: {:.0} µs each, {:.0} a second one by one, {:.0} a second eight at a time, the longest {:.0} ms",
        single * 1e6,
        1.0 / single,
        1.0 / eight,
        longest.as_secs_f64() * 1e3,
    );
}

fn seconds_each(elapsed: Duration, count: usize) -> f64 {
    elapsed.as_secs_f64() / f64::from(u32::try_from(count).unwrap())
}
