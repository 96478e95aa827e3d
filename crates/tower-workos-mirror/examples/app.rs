//! A user table that is always right. `cargo run -p tower-workos-mirror --example app` prints a command to try it.
//!
//! Reads `DATABASE_URL` (default: `sqlite:app.db`; for Postgres, add `--features postgres`), `WORKOS_WEBHOOK_SECRET`
//! (default: a random one) and `PORT` (default: 3000).

use std::{env::var, error::Error, process::ExitCode};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use tower_workos::WebhookSecret;
use tower_workos_mirror::{Listing, Mirror, Page, User, UserFilter};

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = run().await else { return ExitCode::SUCCESS };
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mirror = Mirror::connect(&var("DATABASE_URL").unwrap_or("sqlite:app.db".into())).await?;
    mirror.migrate().await?;
    let random = format!("whsec_{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?);
    let secret = var("WORKOS_WEBHOOK_SECRET").unwrap_or(random);
    let address = format!("127.0.0.1:{}", var("PORT").unwrap_or("3000".into()));
    let app = Router::new()
        .route_service("/webhooks/workos", mirror.webhook(WebhookSecret::new(&*secret)?))
        .route("/users", get(async |State(mirror): State<Mirror>| users(&mirror).await))
        .route("/state", get(async |State(mirror): State<Mirror>| Json(mirror.state().await.ok())))
        .with_state(mirror);
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("listening; to try it, run: WORKOS_WEBHOOK_SECRET={secret} \\");
    println!(
        "  dsync simulate --to http://{address}/webhooks/workos --check http://{address}/state"
    );
    Ok(axum::serve(listener, app).await?)
}

async fn users(
    mirror: &Mirror,
) -> Result<Json<Listing<User, tower_workos::DirectoryUserId>>, StatusCode> {
    let page = mirror.users(&UserFilter::new().access(true), Page::new(50)).await;
    page.map(Json).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}
