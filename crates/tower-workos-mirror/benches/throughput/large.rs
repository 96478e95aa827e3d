//! Large tables, a deleted directory, and several processes.

use std::time::Instant;

use crate::{
    databases::{mirror, postgres, postgres_again, postgres_url, sqlite},
    deliveries::{ours, throughput},
    events::{Size, deleted, first_sync, updates},
    report::{line, ratio},
};

/// Users in one directory.
const DIRECTORY: usize = 10_000;

/// The throughput with many users, compared with few.
pub(crate) async fn rows(users: usize, count: usize) {
    println!("deliveries a second with {users} users / with {DIRECTORY}, 256 in flight");
    let folder = tempfile::tempdir().unwrap();
    for name in ["Postgres", "SQLite"] {
        let mirror = if name == "Postgres" {
            mirror(postgres(8).await).await
        } else {
            mirror(sqlite(folder.path(), "rows.db", 4).await).await
        };
        let endpoint = ours(&mirror);
        let mut results = Vec::new();
        for directories in [1..2, 2..users / DIRECTORY + 1] {
            let last = directories.end - 1;
            for directory in directories {
                let size = Size { users: DIRECTORY, groups: 0, memberships: 0 };
                let events: Vec<_> = first_sync(directory, size).collect();
                mirror.apply_all(&events).await.unwrap();
            }
            // Updates of users in all directories, interleaved.
            let each = count / last;
            let mut updates: Vec<_> =
                (1..=last).map(|directory| updates(directory, DIRECTORY, last, each)).collect();
            let events = std::iter::from_fn(move || {
                let mut next = updates.pop()?;
                let event = next.next();
                updates.insert(0, next);
                event
            });
            results.push(throughput(&endpoint, events, 256).await);
        }
        ratio(name, results[1], results[0]);
    }
}

/// How long `dsync.deleted` of a large directory takes.
pub(crate) async fn deletion(users: usize) {
    println!("dsync.deleted of a directory with {users} users");
    let folder = tempfile::tempdir().unwrap();
    for name in ["Postgres", "SQLite"] {
        let mirror = if name == "Postgres" {
            mirror(postgres(8).await).await
        } else {
            mirror(sqlite(folder.path(), "deletion.db", 4).await).await
        };
        for (directory, size) in [(1, users), (2, 100)] {
            let size = Size { users: size, groups: 0, memberships: 0 };
            mirror.apply_all(&first_sync(directory, size).collect::<Vec<_>>()).await.unwrap();
        }
        // Prepares the statements.
        mirror.apply(&deleted(2)).await.unwrap();
        let start = Instant::now();
        let changes = mirror.apply(&deleted(1)).await.unwrap();
        line(name, start.elapsed().as_secs_f64() * 1000.0, "ms");
        assert_eq!(changes.len(), 2);
    }
}

/// Several writers with pools of their own, compared with one.
pub(crate) async fn replicas(count: usize) {
    println!("deliveries a second on Postgres, 4 processes / 1, 256 in flight in all");
    let mut results = Vec::new();
    for processes in [1, 4] {
        let first = mirror(postgres(8).await).await;
        let size = Size { users: DIRECTORY, groups: 0, memberships: 0 };
        first.apply_all(&first_sync(1, size).collect::<Vec<_>>()).await.unwrap();
        let mut endpoints = vec![ours(&first)];
        for _ in 1..processes {
            endpoints.push(ours(&mirror(postgres_again(&postgres_url(), 8).await).await));
        }
        let start = Instant::now();
        let runs = endpoints.into_iter().enumerate().map(|(round, endpoint)| {
            tokio::spawn(async move {
                throughput(
                    &endpoint,
                    updates(1, DIRECTORY, round, count / processes),
                    256 / processes,
                )
                .await
            })
        });
        for run in runs.collect::<Vec<_>>() {
            run.await.unwrap();
        }
        results.push(count as f64 / start.elapsed().as_secs_f64());
    }
    ratio("Postgres", results[1], results[0]);
}
