//! The webhook endpoint.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use tower_layer::Layer as _;
use tower_service::Service;
use tower_workos::{
    DirectoryEvent, EventId, ParseError, Rejection, SIGNATURE_HEADER, SignatureHeader, Verifier,
    VerifyWebhook, VerifyWebhookLayer, WebhookSecrets,
};

use crate::{
    error::{InboxError, InboxErrorKind},
    queue::{Inbox, Queue, Stored},
};

/// Longer than WorkOS retries a delivery, which is three days.
const TOLERANCE: Duration = Duration::from_secs(4 * 24 * 60 * 60);

impl Queue<DirectoryEvent> {
    /// The whole webhook endpoint: verifies each delivery, stores its event, and responds with 200 once it is durable.
    ///
    /// It is a tower service for axum (`route_service`, `post_service`), hyper and tonic's router. `secrets` is a
    /// [`WebhookSecret`](tower_workos::WebhookSecret), or several as [`WebhookSecrets`]. An event that is delivered twice is
    /// stored once, so no [`DedupeLayer`](tower_workos::DedupeLayer) is needed.
    ///
    /// # Responses
    ///
    /// | status | when |
    /// |---|---|
    /// | 200 | The event is durable, or was stored before. A genuine body that can't be read as an event is a [dead letter](crate::DeadLetter). |
    /// | 503 with `Retry-After` | The event was not stored, or it is unknown whether it was. WorkOS sends it again. |
    /// | others | The request is not a genuine delivery: see [`RejectionKind`](tower_workos::RejectionKind). |
    ///
    /// The body of a response that is not 200 is `application/problem+json` (RFC 9457). A 503 has the
    /// [`InboxErrorKind`] in its extensions.
    ///
    /// # Logs
    ///
    /// It logs through `tracing` with the target `tower_workos_inbox::webhook`: `DEBUG` for each event, `WARN` for each 503
    /// and each dead letter. The logs contain the event's id and name, and nothing else of the event.
    ///
    /// # Age
    ///
    /// The time of a signature may differ from the clock by up to four days, instead of the usual three minutes. WorkOS
    /// retries for three days, and does not document whether a retry gets a new signature. A replayed delivery is a
    /// duplicate. [`webhook_with`](Self::webhook_with) takes a layer with another tolerance.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_workos::WebhookSecret;
    /// use tower_workos_inbox::Inbox;
    ///
    /// let inbox = Inbox::connect("sqlite:app.db").await?;
    /// inbox.migrate().await?;
    /// let secret = WebhookSecret::from_env("WORKOS_WEBHOOK_SECRET")?;
    /// let app: axum::Router = axum::Router::new()
    ///     .route_service("/webhooks/workos", inbox.webhook(secret));
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
        Webhook { verify: layer.layer(self.event_store()) }
    }

    /// The service inside [`webhook`](Self::webhook), for a stack of your own: stores the
    /// [`DirectoryEvent`] in the request's extensions, and responds with 200 or 503.
    ///
    /// A body that can't be read as an event does not reach it: the [`VerifyWebhookLayer`] rejects it, and it is lost when
    /// WorkOS gives up. [`store_unreadable`](Self::store_unreadable) keeps it.
    pub fn event_store(&self) -> EventStore {
        EventStore { inbox: self.clone() }
    }
}

/// The service of [`Inbox::webhook`](Queue::webhook).
#[derive(Clone, Debug)]
#[must_use]
pub struct Webhook {
    verify: VerifyWebhook<EventStore>,
}

/// The service of [`Inbox::event_store`](Queue::event_store).
#[derive(Clone, Debug)]
#[must_use]
pub struct EventStore {
    inbox: Inbox,
}

/// The future of a response.
#[must_use]
pub struct WebhookFuture(Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>);

impl Future for WebhookFuture {
    type Output = Result<Response<Full<Bytes>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for WebhookFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookFuture").finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for Webhook
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = WebhookFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> WebhookFuture {
        // Needed for a dead letter, because the response doesn't contain the request's headers.
        let signature = request.headers().get(SIGNATURE_HEADER).cloned();
        let inbox = self.verify.get_ref().inbox.clone();
        let verifying = self.verify.call(request);
        WebhookFuture(Box::pin(async move {
            let response = match verifying.await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            let unreadable = response.extensions().get().and_then(Rejection::parse_error).cloned();
            let (parts, body) = response.into_parts();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(never) => match never {},
            };
            let response = Response::from_parts(parts, Full::new(body));
            match unreadable {
                Some(error) => keep(&inbox, &error, signature.as_ref(), response).await,
                None => response,
            }
        }))
    }
}

impl<B> Service<Request<B>> for EventStore {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = WebhookFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> WebhookFuture {
        let event = request.extensions_mut().remove::<DirectoryEvent>();
        let inbox = self.inbox.clone();
        WebhookFuture(Box::pin(async move {
            let Some(event) = event else { return missing_event() };
            let (id, name) = (event.id().as_str(), event.name());
            match inbox.store(&event).await {
                Ok(stored) => {
                    tracing::debug!(
                        target: "tower_workos_inbox::webhook",
                        event_id = excerpt(id), event_name = excerpt(name),
                        is_new = stored == Stored::New, "event stored"
                    );
                    Response::default()
                }
                Err(error) => unavailable(Some(id), Some(name), &error),
            }
        }))
    }
}

/// Stores a body that can't be read. The response keeps its extensions, so that an outer layer sees the rejection.
async fn keep(
    inbox: &Inbox,
    error: &ParseError,
    signature: Option<&HeaderValue>,
    mut response: Response<Full<Bytes>>,
) -> Response<Full<Bytes>> {
    let (id, name) = (error.id().map(EventId::as_str), error.name());
    let signature = signature.and_then(|value| SignatureHeader::try_from(value).ok());
    let issued_at = signature.map(|signature| signature.issued_at());
    match inbox.store_unreadable(error, issued_at).await {
        Ok(_) => {
            tracing::warn!(
                target: "tower_workos_inbox::webhook",
                event_id = id.map(excerpt), event_name = name.map(excerpt),
                "the event can't be read: kept as a dead letter"
            );
            *response.status_mut() = StatusCode::OK;
            response.headers_mut().clear();
            *response.body_mut() = Full::default();
            response
        }
        Err(error) => unavailable(id, name, &error),
    }
}

const OVERLOADED: &str = r#"{"type":"https://docs.rs/tower-workos-inbox/latest/tower_workos_inbox/enum.InboxErrorKind.html#variant.Overloaded","title":"Overloaded","status":503,"detail":"Too many deliveries are waiting. Send the delivery again later."}"#;
const NOT_STORED: &str = r#"{"type":"https://docs.rs/tower-workos-inbox/latest/tower_workos_inbox/enum.InboxErrorKind.html","title":"Not stored","status":503,"detail":"The event could not be stored. Send the delivery again later."}"#;
const MISSING_EVENT: &str = r#"{"type":"https://docs.rs/tower-workos-inbox/latest/tower_workos_inbox/struct.EventStore.html","title":"Missing event","status":500,"detail":"The request has no DirectoryEvent in its extensions. Add a VerifyWebhookLayer outside the EventStore."}"#;

/// Returns 503: WorkOS has to send the event again.
fn unavailable(id: Option<&str>, name: Option<&str>, error: &InboxError) -> Response<Full<Bytes>> {
    tracing::warn!(
        target: "tower_workos_inbox::webhook",
        event_id = id.map(excerpt), event_name = name.map(excerpt), error = error.without_payload(),
        "the event was not stored: responded with 503"
    );
    let is_overloaded = error.kind() == InboxErrorKind::Overloaded;
    let problem = if is_overloaded { OVERLOADED } else { NOT_STORED };
    let mut response = respond(StatusCode::SERVICE_UNAVAILABLE, problem);
    // In seconds.
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response.extensions_mut().insert(error.kind());
    response
}

/// Returns 500: a layer is missing.
fn missing_event() -> Response<Full<Bytes>> {
    tracing::error!(
        target: "tower_workos_inbox::webhook",
        hint = "add a VerifyWebhookLayer outside the EventStore",
        "a request has no DirectoryEvent in its extensions"
    );
    respond(StatusCode::INTERNAL_SERVER_ERROR, MISSING_EVENT)
}

fn respond(status: StatusCode, problem: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(problem.as_bytes())));
    *response.status_mut() = status;
    let problem = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, problem);
    response
}

/// Makes text from a body safe to log: escaped and truncated.
fn excerpt(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}
