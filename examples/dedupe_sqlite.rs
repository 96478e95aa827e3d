//! Each event handled once, across crashes and restarts, with nothing but a file.
//!
//! ```text
//! cargo run --example dedupe_sqlite --features sqlite
//! ```
//!
//! The file is `$DEDUPE_DB`, by default one in the system's folder for temporary files. `WORKOS_WEBHOOK_SECRET` and
//! `PORT` as in the `axum` example.

mod support;

use std::{env, path::PathBuf, process::ExitCode, time::Duration};

use axum::{Router, routing::post};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use support::{BoxError, PATH, Settings, bind, demonstrate_duplicates, describe, say, shutdown};
use tower::ServiceBuilder;
use tower_workos::{DedupeLayer, DirectoryEvent, DirectorySyncLayer, dedupe::SqliteStore};

fn main() -> ExitCode {
    support::main(run())
}

fn app(layer: DirectorySyncLayer, store: SqliteStore) -> Router {
    // Outside: is it genuine? Inside: is it new?
    let stack = ServiceBuilder::new().layer(layer).layer(DedupeLayer::new("workos", store));
    Router::new().route(PATH, post(on_event)).route_layer(stack)
}

async fn on_event(event: DirectoryEvent) {
    say(format!("  handling {}", describe(&event)));
}

async fn open(file: &PathBuf) -> Result<SqliteStore, BoxError> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(5));
    let pool = SqlitePoolOptions::new().connect_with(options).await.map_err(|error| {
        format!(
            "can't open {} ({error}); set DEDUPE_DB to a file that can be written",
            file.display()
        )
    })?;
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
    say(format!("remembering events in {}", file.display()));

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
