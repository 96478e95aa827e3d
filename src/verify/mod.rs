//! The middleware: [`VerifyWebhookLayer`] and [`VerifyWebhook`].
//!
//! # What happens to a request
//!
//! In this order, and the first fault ends it. Until the row "body", nothing of the body is read.
//!
//! | check | rejection | status |
//! |---|---|---|
//! | the method is `POST` | [`MethodNotAllowed`] | 405 with `Allow: POST` |
//! | there is a `workos-signature` header | [`MissingSignature`] | 401 with `WWW-Authenticate` |
//! | it occurs exactly once and is well formed | [`MalformedSignature`] | 400 |
//! | its time is within the tolerance | [`TimestampOutsideTolerance`] | 401 with `WWW-Authenticate` |
//! | `Content-Length` is within the limit | [`BodyTooLarge`] | 413 |
//! | the body stays within the limit | [`BodyTooLarge`] | 413 |
//! | it is complete before the deadline | [`BodyTimeout`] | 408 |
//! | it does not break off | [`BodyRead`] | 400 |
//! | a signature matches, with one of the secrets | [`SignatureMismatch`] | 401 with `WWW-Authenticate` |
//! | it is JSON with the ids that an event needs | [`InvalidPayload`] | 422 |
//!
//! What passes reaches the inner service with a [`DirectoryEvent`](crate::DirectoryEvent) in its extensions and the
//! signed bytes as its body, in one frame ([`VerifiedBody`]). Trailers are not signed and are dropped. A body that
//! came in a single frame of up to 64 KiB is copied, so that a kept event doesn't keep the server's read buffer alive.
//!
//! A rejection is a response, not an error, so the service's error type stays the inner one's, and no outer layer
//! need translate it: `application/problem+json` (RFC 9457) with a text fixed for each kind. The
//! [`Rejection`](crate::Rejection) is in the response's extensions, with what a log needs beyond the kind. Neither has the
//! secret or anything of the body in it, except the id and the name of a genuine event that can't be read.
//! [`rejection_response`](VerifyWebhookLayer::rejection_response) answers in another way, and is a place to keep such an
//! event: it is [in the rejection](crate::Rejection::parse_error).
//!
//! Such events are rare: a field of an unexpected type doesn't make an event unreadable, unless it is one of the ids that
//! the event needs. Any other is left out, and [`unreadable_fields`](crate::DirectoryEvent::unreadable_fields) lists it.
//!
//! # What is logged
//!
//! With the feature `tracing`:
//!
//! | target | level | what | fields |
//! |---|---|---|---|
//! | `tower_workos::rejection` | `WARN` | a rejected request | `kind`, `status`, `reason`, `hint`, `suppressed`; of a genuine event that can't be read also `event_id`, `event_name` |
//! | | `DEBUG` | the same for [`MethodNotAllowed`], which is mostly health checks and crawlers | the same |
//! | `tower_workos::verify` | `DEBUG` | an accepted event | `event_id`, `event_name` |
//! | `tower_workos::event` | `WARN` | an event of which a field was left out, once for each delivery | `event_id`, `event_name`, `fields` (paths) |
//!
//! Anybody can send requests that are rejected, so at most ten lines of each kind are written in a second by one layer and
//! all of its services. The rest is counted, and `suppressed` says how many rejections of any kind were left out since the
//! line before. If no such line follows, the next accepted event writes one with the count (at most one a second), or the
//! layer does when it is dropped with its last service. [`InvalidPayload`] is a genuine event, and is always logged. The
//! [`Rejection`](crate::Rejection) in the response's extensions is there in any case: count that for metrics.
//!
//! # Among other layers
//!
//! The layer verifies the bytes that it reads, so nothing outside it may change them: no decompression, no
//! re-serialization. Layers that limit, time or trace requests belong outside; layers that use the event, inside.
//!
//! ```
//! use std::time::Duration;
//!
//! use tower::{ServiceBuilder, limit::ConcurrencyLimitLayer};
//! use tower_http::{
//!     catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer, timeout::TimeoutLayer, trace::TraceLayer,
//! };
//! use tower_workos::{VerifyWebhookLayer, WebhookSecret};
//!
//! # fn main() -> Result<(), tower_workos::ConfigError> {
//! # let secret = WebhookSecret::new("whsec_from_the_dashboard")?;
//! let stack = ServiceBuilder::new()
//!     .layer(TraceLayer::new_for_http())
//!     .layer(CatchPanicLayer::new())
//!     .layer(RequestBodyLimitLayer::new(1024 * 1024))
//!     .layer(TimeoutLayer::with_status_code(http::StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(4)))
//!     .layer(VerifyWebhookLayer::new(secret))
//!     // Inside, where it bounds what runs at once; see below.
//!     .layer(ConcurrencyLimitLayer::new(64));
//! # let _ = stack.service(tower::service_fn(|_: http::Request<tower_workos::verify::VerifiedBody>| async {
//! #     Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Empty::<bytes::Bytes>::new()))
//! # }));
//! # Ok(())
//! # }
//! ```
//!
//! A permit of a limit, or a place in a buffer, inside this layer is acquired when the service is polled ready, as tower
//! requires, and is held while the body arrives, **before anything is verified**. A client that sends slow bodies with a
//! current time can hold as many permits as it has connections, each until the deadline. If that matters, make
//! [`body_timeout`](VerifyWebhookLayer::body_timeout) short, limit connections in front, or limit inside the handler.

mod body;
mod future;
#[expect(clippy::module_inception, reason = "one file a tower role, as in tower-http")]
mod layer;
#[cfg(feature = "tracing")]
mod log;
mod service;

pub use self::{
    body::VerifiedBody, future::ResponseFuture, layer::VerifyWebhookLayer, service::VerifyWebhook,
};

pub use crate::response_body::ResponseBody;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[cfg(doc)]
use crate::rejection::RejectionKind::{
    BodyRead, BodyTimeout, BodyTooLarge, InvalidPayload, MalformedSignature, MethodNotAllowed,
    MissingSignature, SignatureMismatch, TimestampOutsideTolerance,
};
