//! A webhook endpoint in axum.
//!
//! ```text
//! cargo run --example axum
//! ```
//!
//! Serves `POST /webhooks/workos` on `127.0.0.1:$PORT`, by default port 3000. Without `WORKOS_WEBHOOK_SECRET` it generates a
//! secret, delivers a sample of each event to itself, and prints a `curl` command that delivers another.

mod support;

use std::process::ExitCode;

use axum::{Router, http::StatusCode, routing::post};
use support::{BoxError, PATH, Settings, bind, demonstrate, describe, say, shutdown};
use tower_workos::{AccessChange, DirectoryEvent, VerifyWebhookLayer};

fn main() -> ExitCode {
    support::main(run())
}

fn app(layer: VerifyWebhookLayer) -> Router {
    Router::new().route(PATH, post(on_event)).route_layer(layer)
}

async fn on_event(event: DirectoryEvent) -> StatusCode {
    match event.access_change() {
        Some(AccessChange::Revoked(_user)) => { /* End the user's sessions here. */ }
        Some(AccessChange::DirectoryRevoked(_directory)) => { /* End the sessions of all its users here. */
        }
        _ => {}
    }
    say(describe(&event));
    StatusCode::OK
}

async fn run() -> Result<(), BoxError> {
    let settings = Settings::from_env()?;
    let listener = bind().await?;
    let address = listener.local_addr()?;
    say(format!("listening on http://{address}{PATH}"));

    let server = axum::serve(listener, app(settings.layer)).with_graceful_shutdown(shutdown());
    let server = tokio::spawn(server.into_future());
    if let Some(signer) = settings.demo {
        demonstrate(signer, address).await?;
    }
    server.await??;
    say("bye");
    Ok(())
}
