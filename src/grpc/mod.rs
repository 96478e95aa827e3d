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

use http::StatusCode;
use tonic::{Code, Status};

use crate::event::DirectoryEvent;

mod future;
#[allow(
    clippy::as_conversions,
    clippy::missing_errors_doc,
    missing_docs,
    unused_qualifications,
    reason = "generated from proto/tower_workos/v1/directory_events.proto"
)]
#[rustfmt::skip]
mod generated;
mod layer;
mod service;
mod unary;

pub use self::{
    future::GrpcResponseFuture,
    generated::{
        DeliverRequest, DeliverResponse, directory_events_client, directory_events_server,
    },
    layer::GrpcWebhookLayer,
    service::GrpcWebhook,
    unary::Unary,
};

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
