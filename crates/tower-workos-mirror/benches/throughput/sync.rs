//! `apply_all` of a first sync, compared with a bulk insert of the same final rows.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, PgPool, Row as _, SqlitePool};
use tower_workos::DirectoryEvent;

use crate::{
    databases::{mirror, postgres, run_postgres, run_sqlite, sqlite},
    events::{Size, first_sync},
    report::{ratio, seconds},
};

const TABLES: [&str; 4] = ["mirror_directory", "mirror_group", "mirror_user", "mirror_member"];

pub(crate) async fn measure(size: Size) {
    println!(
        "first sync: {} users, {} groups, {} memberships",
        size.users, size.groups, size.memberships
    );
    let events: Vec<_> = first_sync(1, size).collect();
    for _ in 0..runs() {
        let pool = postgres(4).await;
        let ours = ours(mirror(pool.clone()).await, &events).await;
        let floor = postgres_floor(&pool).await;
        ratio("Postgres, apply_all / COPY", seconds(ours), seconds(floor));
    }
    for _ in 0..runs() {
        let folder = tempfile::tempdir().unwrap();
        let pool = sqlite(folder.path(), "sync.db", 4).await;
        let ours = ours(mirror(pool.clone()).await, &events).await;
        let floor = sqlite_floor(&pool).await;
        ratio("SQLite, apply_all / multi-row INSERT", seconds(ours), seconds(floor));
    }
}

async fn ours(mirror: tower_workos_mirror::Mirror, events: &[DirectoryEvent]) -> Duration {
    let start = Instant::now();
    let changes = mirror.apply_all(events).await.unwrap();
    assert!(changes.len() >= events.len());
    start.elapsed()
}

/// Copies the rows into tables with the same indexes.
async fn postgres_floor(pool: &PgPool) -> Duration {
    let mut copies = Vec::new();
    for table in TABLES {
        let mut connection = pool.acquire().await.unwrap();
        let mut rows = Vec::new();
        let sql = format!("COPY workos_{table} TO STDOUT");
        let mut stream = connection.copy_out_raw(&sql).await.unwrap();
        while let Some(row) = futures_next(&mut stream).await {
            rows.extend_from_slice(&row.unwrap());
        }
        drop(stream);
        run_postgres(
            pool,
            &format!("CREATE TABLE floor_{table} (LIKE workos_{table} INCLUDING ALL)"),
        )
        .await;
        copies.push((table, rows));
    }
    let start = Instant::now();
    let mut tx = pool.begin().await.unwrap();
    for (table, rows) in copies {
        let sql = format!("COPY floor_{table} FROM STDIN");
        let mut copy = tx.copy_in_raw(&sql).await.unwrap();
        copy.send(rows).await.unwrap();
        copy.finish().await.unwrap();
    }
    tx.commit().await.unwrap();
    start.elapsed()
}

async fn futures_next<S: futures_core::Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    std::future::poll_fn(|cx| std::pin::Pin::new(&mut *stream).poll_next(cx)).await
}

async fn sqlite_floor(pool: &SqlitePool) -> Duration {
    let mut inserts = Vec::new();
    for table in TABLES {
        let columns: Vec<String> =
            sqlx::query(AssertSqlSafe(format!("PRAGMA table_info(workos_{table})")))
                .fetch_all(pool)
                .await
                .unwrap()
                .iter()
                .map(|row| row.get("name"))
                .collect();
        let quoted: Vec<_> = columns.iter().map(|name| format!("CAST({name} AS text)")).collect();
        let sql = format!("SELECT {} FROM workos_{table}", quoted.join(", "));
        let rows: Vec<Vec<Option<String>>> = sqlx::query(AssertSqlSafe(sql))
            .fetch_all(pool)
            .await
            .unwrap()
            .iter()
            .map(|row| (0..columns.len()).map(|index| row.get(index)).collect())
            .collect();
        let ddl: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT sql FROM sqlite_master WHERE tbl_name = 'workos_{table}' AND sql IS NOT NULL AND type IN ('table', 'index')"
        )))
        .fetch_all(pool)
        .await
        .unwrap();
        for sql in ddl {
            run_sqlite(pool, &sql.replace("workos_", "floor_")).await;
        }
        inserts.push((table, columns.len(), rows));
    }
    let start = Instant::now();
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    for (table, width, rows) in inserts {
        for chunk in rows.chunks(512) {
            let group = format!("(?{})", ", ?".repeat(width - 1));
            let groups = vec![group; chunk.len()].join(", ");
            let sql = format!("INSERT INTO floor_{table} VALUES {groups}");
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for value in chunk.iter().flatten() {
                query = query.bind(value.clone());
            }
            query.execute(&mut *tx).await.unwrap();
        }
    }
    tx.commit().await.unwrap();
    start.elapsed()
}

/// How often each measurement is repeated.
fn runs() -> usize {
    std::env::var("RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(3)
}
