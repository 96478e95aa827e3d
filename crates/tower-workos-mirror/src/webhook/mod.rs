//! The webhook endpoint.

mod future;
pub(crate) mod response;
mod service;

pub(crate) use self::service::submit;
pub use self::{future::WebhookFuture, service::Webhook};
use crate::mirror::Mirror;
use std::time::Duration;

use tower_workos::{Verifier, VerifyWebhookLayer, WebhookSecrets};

/// Longer than WorkOS retries a delivery, which is three days.
const TOLERANCE: Duration = Duration::from_secs(4 * 24 * 60 * 60);

impl Mirror {
    /// The whole webhook endpoint: verifies each delivery, applies its event, and responds with 200 after the commit.
    ///
    /// It is a tower service for axum (`route_service`, `post_service`), hyper and tonic's router. `secrets` is a
    /// [`WebhookSecret`](tower_workos::WebhookSecret), or several as [`WebhookSecrets`]. A delivery that is sent twice
    /// changes nothing the second time, so no [`DedupeLayer`](tower_workos::DedupeLayer) is needed.
    ///
    /// Deliveries that arrive at the same time share a transaction.
    ///
    /// # Responses
    ///
    /// | status | when |
    /// |---|---|
    /// | 200 | The event was committed, or kept as a [dead letter](crate::DeadLetter): a genuine body that can't be read as an event, or an event that the database can't store. |
    /// | 503 with `Retry-After` | The database is unavailable, or too many deliveries are waiting. WorkOS sends the event again. |
    /// | others | The request is not a genuine delivery: see [`RejectionKind`](tower_workos::RejectionKind). |
    ///
    /// The body of a response that is not 200 is `application/problem+json` (RFC 9457). A 503 has the
    /// [`MirrorErrorKind`](crate::MirrorErrorKind) in its extensions.
    ///
    /// # Logs
    ///
    /// It logs through `tracing` with the target `tower_workos_mirror::webhook`: `DEBUG` for each applied event, `WARN`
    /// for each 503 and each dead letter. The logs contain the event's id and name, and nothing else of the event.
    ///
    /// # Age
    ///
    /// The time of a signature may differ from the clock by up to four days, instead of the usual three minutes. WorkOS
    /// retries for three days, and does not document whether a retry gets a new signature. A replayed delivery changes
    /// nothing. [`webhook_with`](Self::webhook_with) takes a layer with another tolerance.
    ///
    /// # Runtime
    ///
    /// It needs a tokio runtime with time enabled. The first delivery spawns the task that writes; the task ends after the last
    /// clone of the mirror and its services is dropped.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_workos::WebhookSecret;
    /// use tower_workos_mirror::Mirror;
    ///
    /// let mirror = Mirror::connect("sqlite:app.db").await?;
    /// mirror.migrate().await?;
    /// let secret = WebhookSecret::from_env("WORKOS_WEBHOOK_SECRET")?;
    /// let app: axum::Router = axum::Router::new()
    ///     .route_service("/webhooks/workos", mirror.webhook(secret));
    /// # Ok(())
    /// # }
    /// ```
    pub fn webhook(&self, secrets: impl Into<WebhookSecrets>) -> Webhook {
        let verifier = Verifier::new(secrets).tolerance(TOLERANCE);
        self.webhook_with(VerifyWebhookLayer::new(verifier))
    }

    /// Like [`webhook`](Self::webhook), with the settings of this layer, such as the limit and the time-out of the
    /// body, and the response to rejected requests.
    pub fn webhook_with(&self, layer: VerifyWebhookLayer) -> Webhook {
        Webhook::new(self.clone(), &layer)
    }
}
