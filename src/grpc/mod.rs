//! Turns a delivery into a call of a tonic service method.
//!
//! WorkOS sends JSON with an HTTP/1.1 `POST`, while a tonic server expects gRPC. [`GrpcWebhookLayer`] wraps the whole server. It
//! verifies each request to one path, calls
//! [`DirectoryEvents::deliver`](directory_events_server::DirectoryEvents::deliver) on the same server with the
//! [`DirectoryEvent`] in the request's extensions, and responds with the HTTP status that corresponds to the call's gRPC
//! status ([`http_status`]). All other requests pass unchanged.
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
//! `accept_http1(true)` is required: without it, the server can't read the sender's requests.
//!
//! # tonic acknowledges requests to unknown paths
//!
//! A tonic server responds to a `POST` to an unknown path with HTTP 200 and the status in `grpc-status`, a header that WorkOS
//! does not read: **without this layer, or with a wrong path in the dashboard, every event would be lost without a trace**. The
//! layer therefore responds with 404 to a request to another path if it has a `workos-signature` header and is not gRPC.
//!
//! The same applies to the limits that tonic itself puts around all layers: **don't use `Server::timeout`, `load_shed` or
//! `concurrency_limit_per_connection`** on a server that receives deliveries. A request that they reject or time out gets HTTP
//! 200 and a `grpc-status`, and this layer can't change that. Limit the time inside the method instead, and return
//! `Status::deadline_exceeded` or `Status::unavailable`, which become 504 and 503.
//!
//! # Duplicates
//!
//! [`GrpcWebhookLayer::dedupe`] puts a [`DedupeLayer`](crate::DedupeLayer) between the verification and the call. A call that
//! returns a status other than `OK` has failed, and releases the event.
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
//! A `DedupeLayer` as a separate layer inside this one, or around the generated service, works as well: it responds to gRPC
//! calls with gRPC statuses, checks the handler's status, and passes calls of other services through. Outside this layer it
//! rejects every delivery with 500, because it finds no event.
//!
//! # The method can't be called from outside
//!
//! The event is in the request's extensions, which a client can't set, and `DeliverRequest` has no fields. Calls of
//! `DirectoryEvents` that arrive as gRPC are rejected with `PERMISSION_DENIED` before they reach the service.

use tonic::Status;

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
mod status;
mod unary;

pub use self::{
    future::GrpcResponseFuture,
    generated::{
        DeliverRequest, DeliverResponse, directory_events_client, directory_events_server,
    },
    layer::GrpcWebhookLayer,
    service::GrpcWebhook,
    status::http_status,
    unary::Unary,
};

/// Returns the event that a [`deliver`](directory_events_server::DirectoryEvents::deliver) call is about.
///
/// # Errors
///
/// `INTERNAL` with a hint, if no [`GrpcWebhookLayer`] wraps the server.
pub fn directory_event<T>(request: &tonic::Request<T>) -> Result<DirectoryEvent, Status> {
    request.extensions().get::<DirectoryEvent>().cloned().ok_or_else(|| {
        Status::internal(
            "no DirectoryEvent in the request: add `.layer(GrpcWebhookLayer::new(path, layer))` to the tonic \
             server",
        )
    })
}
