//! How to change a webhook secret without losing an event or restarting: add the new one, wait until the old one
//! is no longer used, drop it.
//!
//! ```text
//! cargo run --example rotate_secrets
//! ```
//!
//! Listens on `127.0.0.1:$PORT`, plays the sender itself, and ends.

mod support;

use std::process::ExitCode;

use axum::{Router, routing::post};
use support::{BoxError, PATH, bind, deliver, random_secret, say};
use tower_workos::{
    DirectoryEvent, VerifyWebhookLayer, WebhookSecrets,
    testing::{Signer, sample},
};

fn main() -> ExitCode {
    support::main(run())
}

fn app(secrets: WebhookSecrets) -> Router {
    Router::new().route(PATH, post(on_event)).route_layer(VerifyWebhookLayer::new(secrets))
}

async fn on_event(event: DirectoryEvent) {
    // In production a metric: the old secret may go once its place has not been seen for days.
    if let Some(signature) = event.signature() {
        say(format!("  accepted: signed with secret {}", signature.secret_index()));
    }
}

async fn run() -> Result<(), BoxError> {
    let listener = bind().await?;
    let address = listener.local_addr()?;
    let (old, new) = (random_secret()?, random_secret()?);
    let secrets = WebhookSecrets::from(old.clone());
    tokio::spawn(axum::serve(listener, app(secrets.clone())).into_future());

    let by_old = || deliver(Signer::new(old.clone()).sign(sample::USER_CREATED), address);
    let by_new = || deliver(Signer::new(new.clone()).sign(sample::USER_UPDATED), address);

    say("the old secret alone:");
    say(format!("  by the old: {}", by_old().await?));
    say(format!("  by the new: {}", by_new().await?));

    // Before the secret is changed in the WorkOS dashboard.
    secrets.replace([new.clone(), old.clone()])?;
    say("both, the new one first:");
    say(format!("  by the old: {}", by_old().await?));
    say(format!("  by the new: {}", by_new().await?));

    // Once nothing is signed with the old one any more.
    secrets.replace([new.clone()])?;
    say("the new secret alone:");
    say(format!("  by the old: {}", by_old().await?));
    say(format!("  by the new: {}", by_new().await?));
    Ok(())
}
