//! Commits the handler's changes and the record of the event in one transaction, so that each event takes effect exactly
//! once, even after a crash. The database is a file.
//!
//! ```text
//! cargo run -p tower-workos-sqlx --example dedupe_sqlite --features sqlite
//! ```
//!
//! The file is `$DEDUPE_DB`, by default `tower-workos-dedupe.db` in the directory for temporary files. Reads
//! `WORKOS_WEBHOOK_SECRET` and `PORT` as the `axum` example does.

#[path = "../../../examples/support/mod.rs"]
mod support;

use std::{env, path::PathBuf, process::ExitCode, time::Duration};

use axum::{Extension, Router, http::StatusCode, routing::post};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use support::{
    BoxError, PATH, Settings, bind, demonstrate_duplicates, describe, revoked, say, shutdown,
};
use tower::ServiceBuilder;
use tower_workos::{
    DedupeLayer, DirectoryEvent, VerifyWebhookLayer,
    dedupe::{Claimed, Completion},
};
use tower_workos_sqlx::{CompleteIn, SqliteStore};

fn main() -> ExitCode {
    support::main(run())
}

fn app(layer: VerifyWebhookLayer, store: SqliteStore) -> Router {
    // The outer layer verifies; the inner one drops duplicates.
    let stack = ServiceBuilder::new().layer(layer).layer(DedupeLayer::new("workos", store));
    Router::new().route(PATH, post(on_event)).route_layer(stack)
}

async fn on_event(
    Extension(claimed): Extension<Claimed<SqliteStore>>,
    event: DirectoryEvent,
) -> StatusCode {
    match handle(&claimed, &event).await {
        Ok(Completion::Completed) => StatusCode::OK,
        // The lease expired, so another delivery may be handling the event. Nothing was committed.
        Ok(Completion::Stale) => StatusCode::SERVICE_UNAVAILABLE,
        Err(error) => {
            eprintln!("handling failed: {error}");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

async fn handle(
    claimed: &Claimed<SqliteStore>,
    event: &DirectoryEvent,
) -> Result<Completion, BoxError> {
    // BEGIN IMMEDIATE locks the database for other writers, so keep the transaction short.
    let mut tx = claimed.store().begin().await?;
    if let Some(id) = revoked(event) {
        sqlx::query("INSERT INTO example_leavers (id, event_id) VALUES (?1, ?2)")
            .bind(id)
            .bind(event.id().as_str())
            .execute(&mut *tx)
            .await?;
    }
    let completion = claimed.complete_in(&mut tx).await?;
    if completion == Completion::Completed {
        tx.commit().await?;
        say(format!("  handled {}", describe(event)));
    }
    Ok(completion)
}

async fn open(file: &PathBuf) -> Result<SqliteStore, BoxError> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(2));
    let pool = SqlitePoolOptions::new()
        // SQLite has one writer at a time. In the pool, deliveries take turns; at SQLite's lock, some would wait long.
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(2))
        .connect_with(options)
        .await
        .map_err(|error| {
            format!("can't open {} ({error}); set DEDUPE_DB to a writable file", file.display())
        })?;
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS example_leavers (id TEXT NOT NULL, event_id TEXT NOT NULL)",
    )
    .execute(&pool)
    .await?;
    let store = SqliteStore::new(pool);
    store.migrate().await?;
    Ok(store)
}

async fn run() -> Result<(), BoxError> {
    let settings = Settings::from_env()?;
    let file = env::var_os("DEDUPE_DB")
        .map_or_else(|| env::temp_dir().join("tower-workos-dedupe.db"), PathBuf::from);
    let store = open(&file).await?;
    let listener = bind().await?;
    let address = listener.local_addr()?;
    say(format!("listening on http://{address}{PATH}"));
    say(format!("recording events in {}", file.display()));

    let server =
        axum::serve(listener, app(settings.layer, store)).with_graceful_shutdown(shutdown());
    let server = tokio::spawn(server.into_future());
    if let Some(signer) = settings.demo {
        demonstrate_duplicates(signer, address).await?;
    }
    server.await??;
    say("bye");
    Ok(())
}
