//! Changes a webhook secret without losing an event and without a restart: add the new secret, wait until the old one is
//! no longer used, and remove it.
//!
//! ```text
//! cargo run --example rotate_secrets
//! ```
//!
//! Listens on `127.0.0.1:$PORT`, sends the deliveries itself, and exits.

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
    // In production, count this in a metric: remove the old secret once its index has not occurred for days.
    if let Some(signature) = event.signature() {
        say(format!("  accepted, signed with secret {}", signature.secret_index()));
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

    say("only the old secret is configured:");
    say(format!("  signed with the old: {}", by_old().await?));
    say(format!("  signed with the new: {}", by_new().await?));

    // Do this before you change the secret in the WorkOS dashboard.
    secrets.replace([new.clone(), old.clone()])?;
    say("both secrets are configured, the new one first:");
    say(format!("  signed with the old: {}", by_old().await?));
    say(format!("  signed with the new: {}", by_new().await?));

    // Do this once no delivery is signed with the old one anymore.
    secrets.replace([new.clone()])?;
    say("only the new secret is configured:");
    say(format!("  signed with the old: {}", by_old().await?));
    say(format!("  signed with the new: {}", by_new().await?));
    Ok(())
}
