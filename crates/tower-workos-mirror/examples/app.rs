//! A user table that is always right. `cargo run -p tower-workos-mirror --example app` prints a command to try it.
//!
//! Reads `DATABASE_URL` (default: `sqlite:app.db`; for Postgres, add `--features postgres`), `WORKOS_WEBHOOK_SECRET`
//! (default: a random one, which is printed) and `PORT` (default: 3000). Ctrl-C stops it.
//!
//! With `--features reconcile` and `WORKOS_API_KEY`, it repairs the table from the API: at the start, then every hour. For
//! `dsync emulate`, set `WORKOS_API_BASE` as well. `GET /health` shows the state of the repair.
//!
//! With `--features page`, `/directory` is a page for operators, for this machine only.

use std::{env::var, error::Error, process::ExitCode};

#[cfg(feature = "page")]
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use tower_workos::WebhookSecret;
use tower_workos_mirror::{Mirror, MirrorError, Page, UserFilter};
type Db = State<Mirror>;

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = run().await else { return ExitCode::SUCCESS };
    eprintln!("error: {error}{}", error.source().map_or(String::new(), |it| format!(": {it}")));
    ExitCode::FAILURE
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mirror = Mirror::connect(&var("DATABASE_URL").unwrap_or("sqlite:app.db".into())).await?;
    mirror.migrate().await?;
    let random = format!("whsec_{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?);
    let secret = var("WORKOS_WEBHOOK_SECRET").unwrap_or_else(|_| {
        println!("export WORKOS_WEBHOOK_SECRET={random}");
        random
    });
    #[cfg(feature = "reconcile")]
    if var("WORKOS_API_KEY").is_ok() {
        let api = tower_workos_mirror::ApiClient::from_env()?;
        let repair = tower_workos_mirror::Repair::new(mirror.clone(), api)
            .on_error(|error| eprintln!("repair: {error}"));
        tokio::spawn(repair.run(std::future::pending()));
    }
    let all = UserFilter::new();
    #[cfg(feature = "page")]
    let (page, live_updates) = {
        let page = tower_workos_mirror::page::DirectoryPage::new(mirror.clone());
        let live_updates = page.live_updates();
        (page.router(axum::middleware::from_fn(only_local)), live_updates)
    };
    let app = Router::new()
        .route("/health", get(async |State(it): Db| json(it.repair_status().await)))
        .route_service("/webhooks/workos", mirror.webhook(WebhookSecret::new(secret)?))
        .route("/users", get(async move |State(it): Db| json(it.users(&all, Page::new(50)).await)))
        .route("/state", get(async |State(it): Db| json(it.state().await)))
        .with_state(mirror);
    #[cfg(feature = "page")]
    let app = app.nest("/directory", page);
    let address = format!("127.0.0.1:{}", var("PORT").unwrap_or("3000".into()));
    let listener = tokio::net::TcpListener::bind(&address).await;
    let listener = listener.map_err(|error| format!("can't listen on {address}: {error}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    let has_api = cfg!(feature = "reconcile") && var("WORKOS_API_KEY").is_ok();
    let command = if has_api { "emulate" } else { "simulate" };
    println!("listening on {url}\ndsync {command} --to {url}/webhooks/workos --check {url}/state");
    #[cfg(feature = "page")]
    println!("for operators: {url}/directory");
    let stop = async move {
        tokio::signal::ctrl_c().await.unwrap_or_default();
        #[cfg(feature = "page")]
        live_updates.close();
    };
    Ok(axum::serve(listener, app).with_graceful_shutdown(stop).await?)
}

/// A web site could give its name the address 127.0.0.1. In production: only operators.
#[cfg(feature = "page")]
async fn only_local(request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()?.split(':').next());
    match host {
        Some("127.0.0.1" | "localhost") => next.run(request).await,
        _ => StatusCode::FORBIDDEN.into_response(),
    }
}

fn json<T>(result: Result<T, MirrorError>) -> Result<Json<T>, StatusCode> {
    result.map(Json).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}
