//! Acknowledges events once they are durable, and handles them later. `cargo run -p tower-workos-inbox --example inbox`
//! prints a command to try it.
//!
//! Reads `INBOX_URL` (default: `sqlite:inbox.db`; for others, add `--features postgres` or `--features nats`),
//! `WORKOS_WEBHOOK_SECRET` (default: a random one, which is printed), `HOST` (default: 127.0.0.1) and `PORT` (default: 3000).
//! `ROLE=store` only stores events, `ROLE=work` only handles them; by default, one process does both. Ctrl-C or SIGTERM stops it.

use std::{env::var, error::Error, io, process::ExitCode};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use tower_workos::{DirectoryEvent, WebhookSecret};
use tower_workos_inbox::{Inbox, QueueStatus};

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = run().await else { return ExitCode::SUCCESS };
    eprintln!("error: {error}{}", error.source().map_or(String::new(), |it| format!(": {it}")));
    ExitCode::FAILURE
}

async fn run() -> Result<(), Box<dyn Error>> {
    let inbox = Inbox::connect(&var("INBOX_URL").unwrap_or("sqlite:inbox.db".into())).await?;
    inbox.migrate().await?;
    let role = var("ROLE").unwrap_or_default();
    let worker = inbox.worker(tower::service_fn(handle));
    if role == "work" {
        println!("handling events");
        return Ok(worker.run_until(stop()).await?);
    }
    let random = format!("whsec_{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?);
    let secret = var("WORKOS_WEBHOOK_SECRET").unwrap_or_else(|_| {
        println!("export WORKOS_WEBHOOK_SECRET={random}");
        random
    });
    let app = app(inbox, WebhookSecret::new(secret)?);
    let host = var("HOST").unwrap_or("127.0.0.1".into());
    let address = format!("{host}:{}", var("PORT").unwrap_or("3000".into()));
    let listener = tokio::net::TcpListener::bind(&address).await;
    let listener = listener.map_err(|error| format!("can't listen on {address}: {error}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("listening on {url}\ndsync simulate --to {url}/webhooks/workos\ncurl {url}/status");
    let serving = axum::serve(listener, app).with_graceful_shutdown(stop()).into_future();
    if role == "store" {
        return Ok(serving.await?);
    }
    let (served, worked) = tokio::join!(serving, worker.run_until(stop()));
    worked?;
    Ok(served?)
}

fn app(inbox: Inbox, secret: WebhookSecret) -> Router {
    Router::new()
        .route_service("/webhooks/workos", inbox.webhook(secret))
        .route("/status", get(status))
        .with_state(inbox)
}

/// The effect. It must be idempotent: after a crash, an event can be handled again.
async fn handle(event: DirectoryEvent) -> io::Result<()> {
    println!("{} {}", event.name(), event.id());
    Ok(())
}

async fn status(State(inbox): State<Inbox>) -> Result<Json<QueueStatus>, StatusCode> {
    inbox.status().await.map(Json).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}

/// Ctrl-C, or SIGTERM, with which most platforms stop a process.
async fn stop() {
    let ctrl_c = tokio::signal::ctrl_c();
    #[cfg(unix)]
    if let Ok(mut term) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    {
        return tokio::select! { _ = ctrl_c => {}, _ = term.recv() => {} };
    }
    ctrl_c.await.unwrap_or_default();
}
