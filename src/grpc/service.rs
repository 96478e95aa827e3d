use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::Body as HttpBody;
use tonic::{Status, body::Body, codegen::StdError};
use tower_service::Service;

use crate::{
    grpc::{
        future::{GrpcResponseFuture, GrpcState},
        generated::directory_events_server::SERVICE_NAME,
        unary::{Unary, problem},
    },
    signature::SIGNATURE_HEADER,
    verify::{body::VerifiedBody, service::VerifyWebhook},
};

/// The services of a tonic server, with a webhook endpoint. Created by [`GrpcWebhookLayer`](crate::grpc::GrpcWebhookLayer).
#[derive(Clone, Debug)]
#[must_use]
pub struct GrpcWebhook<S, D = Unary<S>> {
    pub(super) path: Arc<str>,
    pub(super) inner: S,
    pub(super) deliver: VerifyWebhook<D>,
}

impl<S, D> GrpcWebhook<S, D> {
    /// Returns a reference to the server's services.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the server's services.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Consumes this service and returns the server's services.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Clone, D> GrpcWebhook<S, D> {
    /// Releases the permit that `poll_ready` acquired, because the inner service is not called now. A delivery acquires
    /// another one after it has been verified.
    fn release_permit(&mut self) {
        self.inner = self.inner.clone();
    }
}

impl<S, D, ReqBody, ResBody, DeliverBody> Service<Request<ReqBody>> for GrpcWebhook<S, D>
where
    S: Service<Request<Body>, Response = Response<ResBody>> + Clone,
    D: Service<Request<VerifiedBody>, Response = Response<DeliverBody>, Error = Infallible> + Clone,
    ReqBody: HttpBody<Data = Bytes> + Send + 'static,
    ReqBody::Error: Into<StdError>,
    ResBody: HttpBody<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<StdError>,
    DeliverBody: HttpBody<Data = Bytes> + Send + 'static,
    DeliverBody::Error: Into<StdError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = GrpcResponseFuture<S, D, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let path = request.uri().path();
        let state = if path == &*self.path {
            self.release_permit();
            GrpcState::Delivery { future: self.deliver.call(request) }
        } else if is_stray_delivery(request.headers()) {
            self.release_permit();
            #[cfg(feature = "tracing")]
            self.deliver.log().stray_delivery(&self.path);
            GrpcState::Answered { response: Some(stray()) }
        } else if is_directory_events(path) {
            self.release_permit();
            GrpcState::Answered { response: Some(denied()) }
        } else {
            GrpcState::Passed { future: self.inner.call(request.map(Body::new)) }
        };
        GrpcResponseFuture { state }
    }
}

/// Whether a path belongs to `DirectoryEvents`, which only the layer may call.
fn is_directory_events(path: &str) -> bool {
    path.strip_prefix('/')
        .and_then(|path| path.strip_prefix(SERVICE_NAME))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether this is a webhook delivery to a path that is not the endpoint's. tonic would respond with HTTP 200 and
/// `grpc-status: 12`, and WorkOS would not deliver the event again.
fn is_stray_delivery(headers: &HeaderMap) -> bool {
    let is_grpc = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    headers.contains_key(SIGNATURE_HEADER) && !is_grpc
}

fn stray() -> Response<Body> {
    problem(StatusCode::NOT_FOUND).map(Body::new)
}

fn denied() -> Response<Body> {
    Status::permission_denied("DirectoryEvents can only be called by a webhook delivery")
        .into_http()
}
