use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use pin_project_lite::pin_project;
use tower_workos::{
    EventId, ParseError, Rejection, ResponseBody, SignatureHeader, Timestamp,
    verify::ResponseFuture,
};

use crate::{
    mirror::Mirror,
    webhook::{
        response::{log_dead_letter, log_failure, unavailable},
        service::{Apply, BoxResponse},
    },
};

pin_project! {
    /// The future of a [`Webhook`](crate::Webhook)'s response.
    #[must_use]
    pub struct WebhookFuture<B> {
        #[pin]
        verifying: ResponseFuture<Apply, B>,
        // `Some` while a genuine body that can't be read is stored.
        keeping: Option<BoxResponse>,
        mirror: Mirror,
        signature: Option<HeaderValue>,
    }
}

impl<B> WebhookFuture<B> {
    pub(super) fn new(
        verifying: ResponseFuture<Apply, B>,
        mirror: Mirror,
        signature: Option<HeaderValue>,
    ) -> Self {
        Self { verifying, keeping: None, mirror, signature }
    }
}

impl<B> Future for WebhookFuture<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Output = Result<Response<Full<Bytes>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(keeping) = this.keeping {
            return keeping.as_mut().poll(cx);
        }
        let response = ready!(this.verifying.as_mut().poll(cx))?;
        let unreadable = response.extensions().get().and_then(Rejection::parse_error);
        let Some(error) = unreadable.cloned() else {
            return Poll::Ready(Ok(response.map(|body| full(body, cx))));
        };
        let signature =
            this.signature.as_ref().and_then(|value| SignatureHeader::try_from(value).ok());
        let issued_at = signature.map(|signature| signature.issued_at());
        let mirror = this.mirror.clone();
        let response = response.map(|body| full(body, cx));
        let keeping = this.keeping.insert(Box::pin(keep(mirror, error, issued_at, response)));
        keeping.as_mut().poll(cx)
    }
}

/// Stores a body that can't be read. The response keeps its extensions, so that an outer layer sees the rejection.
async fn keep(
    mirror: Mirror,
    error: ParseError,
    issued_at: Option<Timestamp>,
    mut response: Response<Full<Bytes>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (id, name) = (error.id().map(EventId::as_str), error.name());
    match mirror.add_dead_letter(&error, issued_at).await {
        Ok(()) => {
            log_dead_letter(id, name);
            *response.status_mut() = StatusCode::OK;
            response.headers_mut().clear();
            *response.body_mut() = Full::default();
            Ok(response)
        }
        Err(error) => {
            log_failure(id, name, &error);
            Ok(unavailable(error.kind()).map(Full::new))
        }
    }
}

/// Both kinds of body are in memory, in one frame.
fn full(mut body: ResponseBody<Full<Bytes>>, cx: &mut Context<'_>) -> Full<Bytes> {
    match Pin::new(&mut body).poll_frame(cx) {
        Poll::Ready(Some(Ok(frame))) => Full::new(frame.into_data().unwrap_or_default()),
        Poll::Ready(Some(Err(never))) => match never {},
        Poll::Ready(None) | Poll::Pending => Full::default(),
    }
}

impl<B> fmt::Debug for WebhookFuture<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookFuture").finish_non_exhaustive()
    }
}
