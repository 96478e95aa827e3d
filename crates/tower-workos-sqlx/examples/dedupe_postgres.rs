//! Commits the handler's changes and the record of the event in one transaction, so that each event takes effect exactly
//! once, even after a crash.
//!
//! ```text
//! DATABASE_URL=postgres://postgres@127.0.0.1/postgres \
//!     cargo run -p tower-workos-sqlx --example dedupe_postgres --features postgres
//! ```
//!
//! Creates the tables `tower_workos_dedupe`, `tower_workos_dedupe_migrations` and `example_leavers` in that database.
//! Reads `WORKOS_WEBHOOK_SECRET` and `PORT` as the `axum` example does.

#[path = "../../../examples/support/mod.rs"]
mod support;

use std::{env, process::ExitCode, time::Duration};

use axum::{Extension, Router, http::StatusCode, routing::post};
use sqlx::{PgPool, postgres::PgPoolOptions};
use support::{
    BoxError, PATH, Settings, bind, demonstrate_duplicates, describe, revoked, say, shutdown,
};
use tower::ServiceBuilder;
use tower_workos::{
    DedupeLayer, DirectoryEvent, VerifyWebhookLayer,
    dedupe::{Claimed, Completion},
};
use tower_workos_sqlx::{CompleteIn, PostgresStore};

fn main() -> ExitCode {
    support::main(run())
}

fn app(layer: VerifyWebhookLayer, pool: PgPool) -> Router {
    let dedupe = DedupeLayer::new("workos", PostgresStore::new(pool));
    let stack = ServiceBuilder::new().layer(layer).layer(dedupe);
    Router::new().route(PATH, post(on_event)).route_layer(stack)
}

async fn on_event(
    Extension(claimed): Extension<Claimed<PostgresStore>>,
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
    claimed: &Claimed<PostgresStore>,
    event: &DirectoryEvent,
) -> Result<Completion, BoxError> {
    let mut tx = claimed.store().begin().await?;
    if let Some(id) = revoked(event) {
        sqlx::query("INSERT INTO example_leavers (id, event_id) VALUES ($1, $2)")
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

async fn run() -> Result<(), BoxError> {
    let settings = Settings::from_env()?;
    let pool = connect().await?;
    let listener = bind().await?;
    let address = listener.local_addr()?;
    say(format!("listening on http://{address}{PATH}"));

    let server =
        axum::serve(listener, app(settings.layer, pool)).with_graceful_shutdown(shutdown());
    let server = tokio::spawn(server.into_future());
    if let Some(signer) = settings.demo {
        demonstrate_duplicates(signer, address).await?;
    }
    server.await??;
    say("bye");
    Ok(())
}

async fn connect() -> Result<PgPool, BoxError> {
    let url = env::var("DATABASE_URL")
        .map_err(|_| "DATABASE_URL is not set; set it to postgres://user@host/database")?;
    let pool = PgPoolOptions::new()
        // Shorter than the sender's timeout.
        .acquire_timeout(Duration::from_secs(2))
        .connect(&url)
        .await
        .map_err(|error| format!("can't reach the database ({error}); check DATABASE_URL"))?;
    PostgresStore::new(pool.clone()).migrate().await?;
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS example_leavers (id TEXT NOT NULL, event_id TEXT NOT NULL)",
    )
    .execute(&pool)
    .await?;
    Ok(pool)
}
