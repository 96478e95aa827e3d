//! A small, correct application to try `dsync simulate --check` with:
//!
//! ```text
//! export WORKOS_WEBHOOK_SECRET=whsec_of_my_test_endpoint
//! cargo run -p dsync-cli --example application
//! dsync simulate --reorder 50 --duplicates 5% --retry --check http://127.0.0.1:3000/state
//! ```
//!
//! It receives deliveries at `/webhooks/workos` on `127.0.0.1:$PORT` (3000), keeps the resulting state in memory, and
//! returns it at `/state`. With `FAIL_EVERY=20` it rejects every twentieth delivery with 503, as if its database were
//! unavailable.

use std::{
    env,
    error::Error,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use dsync_cli::directory::{self, Snapshot};
use tower_workos::{DirectoryEvent, VerifyWebhookLayer, WebhookSecret};

#[derive(Default)]
struct Application {
    state: Mutex<directory::State>,
    deliveries: AtomicU64,
    fail_every: Option<u64>,
}

fn app(secret: WebhookSecret, fail_every: Option<u64>) -> Router {
    Router::new()
        .route("/webhooks/workos", post(on_event))
        .route_layer(VerifyWebhookLayer::new(secret))
        .route("/state", get(state))
        .with_state(Arc::new(Application { fail_every, ..Application::default() }))
}

async fn on_event(State(app): State<Arc<Application>>, event: DirectoryEvent) -> StatusCode {
    let number = app.deliveries.fetch_add(1, Ordering::Relaxed) + 1;
    if app.fail_every.is_some_and(|every| number.is_multiple_of(every)) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    app.state.lock().unwrap_or_else(PoisonError::into_inner).apply(&event);
    StatusCode::OK
}

async fn state(State(app): State<Arc<Application>>) -> Json<Snapshot> {
    Json(app.state.lock().unwrap_or_else(PoisonError::into_inner).snapshot())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = WebhookSecret::from_env("WORKOS_WEBHOOK_SECRET")?;
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned()).parse::<u16>()?;
    let fail_every = env::var("FAIL_EVERY").ok().map(|every| every.parse()).transpose()?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}/webhooks/workos", listener.local_addr()?);
    axum::serve(listener, app(secret, fail_every)).await?;
    Ok(())
}
