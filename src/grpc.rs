//! A delivery as a call of a tonic service method.
//!
//! WorkOS sends JSON by HTTP/1.1 `POST`; a tonic server speaks gRPC. [`GrpcWebhookLayer`] stands around the
//! whole server: it verifies what is posted to one path, calls
//! [`DirectoryEvents::deliver`](directory_events_server::DirectoryEvents::deliver) on the same server with the
//! [`DirectoryEvent`] in the request's extensions, and answers the sender with the HTTP status that the call's
//! gRPC status stands for ([`http_status`]). Every other request passes untouched.
//!
//! ```
//! use tonic::{Request, Response, Status, transport::Server};
//! use tower_workos::{
//!     VerifyWebhookLayer, WebhookSecret,
//!     grpc::{
//!         DeliverRequest, DeliverResponse, GrpcWebhookLayer, directory_event,
//!         directory_events_server::{DirectoryEvents, DirectoryEventsServer},
//!     },
//! };
//!
//! struct Directory;
//!
//! #[tonic::async_trait]
//! impl DirectoryEvents for Directory {
//!     async fn deliver(&self, request: Request<DeliverRequest>) -> Result<Response<DeliverResponse>, Status> {
//!         let event = directory_event(&request)?;
//!         println!("{} {}", event.name(), event.id());
//!         Ok(Response::new(DeliverResponse {}))
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let secret = WebhookSecret::new("whsec_from_the_dashboard")?;
//! let server = Server::builder()
//!     .accept_http1(true)
//!     .layer(GrpcWebhookLayer::new("/webhooks/workos", VerifyWebhookLayer::new(secret)))
//!     .add_service(DirectoryEventsServer::new(Directory));
//! # Ok(())
//! # }
//! ```
//!
//! `accept_http1(true)` matters: without it the server does not understand the sender.
//!
//! # Whatever tonic does not know, it acknowledges
//!
//! A tonic server answers any `POST` to an unknown path with HTTP 200 and the status in `grpc-status`, a header
//! that WorkOS does not read: **without this layer, or with a wrong path in the dashboard, every event would be
//! lost in silence**. So the layer answers 404 to requests that carry `workos-signature`, are not gRPC, and came
//! to another path than its own.
//!
//! The same goes for what tonic itself wraps around all layers: **set neither `Server::timeout` nor `load_shed` nor
//! `concurrency_limit_per_connection`** on a server that takes deliveries. What they refuse or cut off is answered with
//! HTTP 200 and a `grpc-status`, outside this layer's reach. Bound the time within the method, and answer
//! `Status::deadline_exceeded` or `Status::unavailable`, which become 504 and 503.
//!
//! # Duplicates
//!
//! [`GrpcWebhookLayer::dedupe`] is the place for a [`DedupeLayer`]: between the verification and the call, where a
//! status other than `OK` is an HTTP failure, so that the event is given back.
//!
//! ```
//! use tower_workos::{DedupeLayer, VerifyWebhookLayer, MemoryStore, WebhookSecret, grpc::GrpcWebhookLayer};
//!
//! # fn main() -> Result<(), tower_workos::ConfigError> {
//! let secret = WebhookSecret::new("whsec_from_the_dashboard")?;
//! let layer = GrpcWebhookLayer::new("/webhooks/workos", VerifyWebhookLayer::new(secret))
//!     .dedupe(DedupeLayer::new("workos", MemoryStore::default()));
//! # let _ = layer;
//! # Ok(())
//! # }
//! ```
//!
//! A `DedupeLayer` as a layer of its own inside this one, or around the generated service, works too: it answers gRPC
//! calls with gRPC statuses, looks at the handler's, and passes calls of other services. Outside this one it answers
//! every delivery with 500, because it finds no event.
//!
//! # The method can't be called from outside
//!
//! The event travels in the request's extensions, which no network can fill, and `DeliverRequest` has no fields
//! that could be taken for one. Calls of `DirectoryEvents` that come in as gRPC are refused with
//! `PERMISSION_DENIED` before they reach the service.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body as HttpBody;
use http_body_util::Full;
use pin_project_lite::pin_project;
use tonic::{Code, Status, body::Body, codegen::StdError, metadata::MetadataMap};
use tower_layer::{Identity, Layer};
use tower_service::Service;

use crate::{
    DedupeLayer, DirectoryEvent, SIGNATURE_HEADER, VerifyWebhook, VerifyWebhookLayer,
    dedupe::GrpcCall,
    verify::{ResponseFuture, VerifiedBody},
};

#[allow(
    clippy::as_conversions,
    clippy::missing_errors_doc,
    missing_docs,
    unused_qualifications,
    reason = "generated from proto/tower_workos/v1/directory_events.proto"
)]
#[rustfmt::skip]
mod generated;

pub use self::generated::{
    DeliverRequest, DeliverResponse, directory_events_client, directory_events_server,
};
use self::{directory_events_client::DirectoryEventsClient, directory_events_server::SERVICE_NAME};

/// The event that a [`deliver`](directory_events_server::DirectoryEvents::deliver) call is about.
///
/// # Errors
///
/// `INTERNAL`, naming the hint, where no [`GrpcWebhookLayer`] stands around the server.
pub fn directory_event<T>(request: &tonic::Request<T>) -> Result<DirectoryEvent, Status> {
    request.extensions().get::<DirectoryEvent>().cloned().ok_or_else(|| {
        Status::internal(
            "no DirectoryEvent in the request: add `.layer(GrpcWebhookLayer::new(path, layer))` to the tonic \
             server",
        )
    })
}

/// The HTTP status that a gRPC code stands for, by the table of `google.rpc.Code`. WorkOS delivers again on
/// all but the first.
///
/// | code | status |
/// |---|---|
/// | `OK` | 200 |
/// | `CANCELLED` | 499 |
/// | `INVALID_ARGUMENT`, `FAILED_PRECONDITION`, `OUT_OF_RANGE` | 400 |
/// | `UNAUTHENTICATED` | 401 |
/// | `PERMISSION_DENIED` | 403 |
/// | `NOT_FOUND` | 404 |
/// | `ALREADY_EXISTS`, `ABORTED` | 409 |
/// | `RESOURCE_EXHAUSTED` | 429 |
/// | `UNKNOWN`, `INTERNAL`, `DATA_LOSS` | 500 |
/// | `UNIMPLEMENTED` | 501 |
/// | `UNAVAILABLE` | 503 |
/// | `DEADLINE_EXCEEDED` | 504 |
#[must_use]
pub fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::Cancelled => {
            // nginx's "client closed request"; http has no name for it.
            StatusCode::from_u16(499).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        }
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// Turns deliveries posted to one path into calls of `DirectoryEvents`: see the [module docs](self).
///
/// `D` is the layer between the verification and the call: none, or a [`DedupeLayer`].
#[derive(Clone, Debug)]
#[must_use]
pub struct GrpcWebhookLayer<D = Identity> {
    path: Arc<str>,
    verify: VerifyWebhookLayer,
    dedupe: D,
}

impl GrpcWebhookLayer {
    /// Takes the path of the webhook endpoint, `/webhooks/workos` for instance, compared to a request's
    /// exactly, and the layer that verifies.
    pub fn new(path: impl AsRef<str>, verify: VerifyWebhookLayer) -> Self {
        let path = path.as_ref();
        let path = if path.starts_with('/') { path.into() } else { format!("/{path}").into() };
        Self { path, verify, dedupe: Identity::new() }
    }

    /// Handles each event once: the method is called only for an event that no other call has handled or is handling. A
    /// call whose status is not `OK` gives the event back, and the next delivery calls the method again.
    pub fn dedupe<St>(self, dedupe: DedupeLayer<St>) -> GrpcWebhookLayer<DedupeLayer<St>> {
        GrpcWebhookLayer { path: self.path, verify: self.verify, dedupe }
    }
}

impl<S: Clone, D: Layer<Unary<S>>> Layer<S> for GrpcWebhookLayer<D> {
    type Service = GrpcWebhook<S, D::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        let deliver = self.dedupe.layer(Unary { inner: inner.clone() });
        GrpcWebhook { path: Arc::clone(&self.path), inner, deliver: self.verify.layer(deliver) }
    }
}

/// A tonic server's services, one of them reachable by webhook. Made by [`GrpcWebhookLayer`].
#[derive(Clone, Debug)]
#[must_use]
pub struct GrpcWebhook<S, D = Unary<S>> {
    path: Arc<str>,
    inner: S,
    deliver: VerifyWebhook<D>,
}

impl<S: Clone, D> GrpcWebhook<S, D> {
    /// Gives up the place that being polled ready took, since the inner service is not called now. A delivery waits for
    /// a place again once it is verified.
    fn give_back(&mut self) {
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
            self.give_back();
            GrpcState::Delivery { future: self.deliver.call(request) }
        } else if is_stray_delivery(request.headers()) {
            self.give_back();
            #[cfg(feature = "tracing")]
            self.deliver.log().stray_delivery(&self.path);
            GrpcState::Answered { response: Some(stray()) }
        } else if is_directory_events(path) {
            self.give_back();
            GrpcState::Answered { response: Some(refused()) }
        } else {
            GrpcState::Passed { future: self.inner.call(request.map(Body::new)) }
        };
        GrpcResponseFuture { state }
    }
}

/// Whether a path belongs to the service that only the layer may call.
fn is_directory_events(path: &str) -> bool {
    path.strip_prefix('/')
        .and_then(|path| path.strip_prefix(SERVICE_NAME))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether this is a webhook delivery at a path that is not the endpoint's. tonic would answer it with HTTP 200
/// and `grpc-status: 12`, and the sender would take the event for delivered.
fn is_stray_delivery(headers: &HeaderMap) -> bool {
    let is_grpc = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    headers.contains_key(SIGNATURE_HEADER) && !is_grpc
}

fn stray() -> Response<Body> {
    problem(StatusCode::NOT_FOUND).map(Body::new)
}

fn refused() -> Response<Body> {
    Status::permission_denied("DirectoryEvents is called by webhook only").into_http()
}

pin_project! {
    /// The future of [`GrpcWebhook`]'s response.
    #[must_use]
    pub struct GrpcResponseFuture<S, D, B>
    where
        S: Service<Request<Body>>,
        D: Service<Request<VerifiedBody>>,
    {
        #[pin]
        state: GrpcState<S::Future, ResponseFuture<D, B>>,
    }
}

pin_project! {
    #[project = GrpcStateProj]
    enum GrpcState<P, D> {
        Passed { #[pin] future: P },
        Delivery { #[pin] future: D },
        Answered { response: Option<Response<Body>> },
    }
}

impl<S, D, B, ResBody, DeliverBody> Future for GrpcResponseFuture<S, D, B>
where
    S: Service<Request<Body>, Response = Response<ResBody>>,
    D: Service<Request<VerifiedBody>, Response = Response<DeliverBody>, Error = Infallible>,
    B: HttpBody,
    B::Error: Into<StdError>,
    ResBody: HttpBody<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<StdError>,
    DeliverBody: HttpBody<Data = Bytes> + Send + 'static,
    DeliverBody::Error: Into<StdError>,
{
    type Output = Result<Response<Body>, S::Error>;

    /// # Panics
    ///
    /// If it is polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().state.project() {
            GrpcStateProj::Passed { future } => {
                ready!(future.poll(cx)).map(|response| response.map(Body::new))
            }
            GrpcStateProj::Delivery { future } => {
                let response = ready!(future.poll(cx)).unwrap_or_else(|never| match never {});
                Ok(response.map(Body::new))
            }
            GrpcStateProj::Answered { response } => {
                Ok(response.take().expect("polled after it was ready"))
            }
        })
    }
}

impl<S, D, B> fmt::Debug for GrpcResponseFuture<S, D, B>
where
    S: Service<Request<Body>>,
    D: Service<Request<VerifiedBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcResponseFuture").finish_non_exhaustive()
    }
}

/// A server's services as the one method that a verified request calls: what [`GrpcWebhookLayer`] puts the
/// verification and the deduplication around. Not made by applications.
#[derive(Clone, Debug)]
pub struct Unary<S> {
    inner: S,
}

impl<S, ResBody> Service<Request<VerifiedBody>> for Unary<S>
where
    S: Service<Request<Body>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Error: Into<StdError>,
    S::Future: Send,
    ResBody: HttpBody<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<StdError> + Send,
{
    type Response = Response<Full<Bytes>>;
    // What goes wrong in the server is a status of the call.
    type Error = Infallible;
    // tonic boxes its own calls too; the client's is an `async fn`.
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<VerifiedBody>) -> Self::Future {
        let clone = self.inner.clone();
        let mut client = DirectoryEventsClient::new(mem::replace(&mut self.inner, clone));
        let (mut parts, _) = request.into_parts();
        parts.extensions.insert(GrpcCall);
        let metadata = MetadataMap::from_headers(call_headers(parts.headers));
        let request = tonic::Request::from_parts(metadata, parts.extensions, DeliverRequest {});
        Box::pin(async move {
            let code =
                client.deliver(request).await.map_or_else(|status| status.code(), |_| Code::Ok);
            Ok(respond(code))
        })
    }
}

/// The delivery's headers without those that speak of its body, its connection or of gRPC.
fn call_headers(mut headers: HeaderMap) -> HeaderMap {
    for name in [
        header::ACCEPT_ENCODING,
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::EXPECT,
        header::HOST,
        header::TRANSFER_ENCODING,
        SIGNATURE_HEADER,
    ] {
        headers.remove(name);
    }
    let grpc: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("grpc-")).cloned().collect();
    for name in grpc {
        headers.remove(name);
    }
    headers
}

/// Answers the sender. The status's message stays here: it is the application's, and may quote the event.
fn respond(code: Code) -> Response<Full<Bytes>> {
    let status = http_status(code);
    if code == Code::Ok {
        return Response::new(Full::default());
    }
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "tower_workos::grpc",
        code = ?code,
        status = status.as_u16(),
        "DirectoryEvents/Deliver failed; the sender delivers the event again"
    );
    problem(status)
}

fn problem(status: StatusCode) -> Response<Full<Bytes>> {
    let title = status.canonical_reason().unwrap_or("Client Closed Request");
    let problem =
        format!(r#"{{"type":"about:blank","title":"{title}","status":{}}}"#, status.as_u16());
    let mut response = Response::new(Full::from(problem));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("WorkOS-Signature"));
    }
    response
}
