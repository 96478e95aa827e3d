use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower_layer::Layer as _;
use tower_service::Service;
use tower_workos::{
    DirectoryEvent, SIGNATURE_HEADER, VerifyWebhook, VerifyWebhookLayer, verify::VerifiedBody,
};

use crate::{
    error::MirrorError,
    mirror::Mirror,
    webhook::{
        future::WebhookFuture,
        response::{excerpt, log_dead_letter, log_failure, missing_event, unavailable},
    },
    writer::{Done, Work},
};

/// The service of [`Mirror::webhook`].
///
/// Cloning it increments two reference counts.
#[derive(Clone)]
#[must_use]
pub struct Webhook {
    verify: VerifyWebhook<Apply>,
}

impl Webhook {
    pub(super) fn new(mirror: Mirror, layer: &VerifyWebhookLayer) -> Self {
        Self { verify: layer.layer(Apply { mirror }) }
    }
}

impl<B> Service<Request<B>> for Webhook
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = WebhookFuture<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> WebhookFuture<B> {
        // Needed for a dead letter, because the response doesn't contain the request's headers.
        let signature = request.headers().get(SIGNATURE_HEADER).cloned();
        let mirror = self.verify.get_ref().mirror.clone();
        WebhookFuture::new(self.verify.call(request), mirror, signature)
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("verify", &self.verify).finish()
    }
}

/// The service inside the verification: it applies the event.
#[derive(Clone, Debug)]
pub(super) struct Apply {
    mirror: Mirror,
}

/// Boxed because it mostly waits for the database.
pub(super) type BoxResponse =
    Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send>>;

impl Service<Request<VerifiedBody>> for Apply {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = BoxResponse;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<VerifiedBody>) -> BoxResponse {
        let event = request.extensions_mut().remove::<DirectoryEvent>();
        let mirror = self.mirror.clone();
        Box::pin(async move {
            let Some(event) = event else { return Ok(missing_event().map(Full::new)) };
            Ok(match submit(&mirror, event).await {
                Ok(_) => Response::new(Full::default()),
                Err(error) => unavailable(error.kind()).map(Full::new),
            })
        })
    }
}

/// Applies an event and logs the result.
pub(crate) async fn submit(mirror: &Mirror, event: DirectoryEvent) -> Result<Done, MirrorError> {
    let result = mirror.submit(Work::Event(event.clone())).await;
    let (id, name) = (event.id().as_str(), event.name());
    match &result {
        Ok(Done::Applied(changes)) => tracing::debug!(
            target: "tower_workos_mirror::webhook",
            event_id = excerpt(id), event_name = excerpt(name), changes = changes.len(),
            "event applied"
        ),
        Ok(Done::DeadLetter) => log_dead_letter(Some(id), Some(name)),
        Err(error) => log_failure(Some(id), Some(name), error),
    }
    result
}
