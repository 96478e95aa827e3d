//! The middleware: [`VerifyWebhookLayer`] and [`VerifyWebhook`].
//!
//! # What happens to a request
//!
//! The checks run in this order, and the first that fails ends the request. The body is not read before the row "the body stays
//! within the limit".
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
//! | it is received completely | [`BodyRead`] | 400 |
//! | a signature matches one of the secrets | [`SignatureMismatch`] | 401 with `WWW-Authenticate` |
//! | it is JSON and has the ids that an event needs | [`InvalidPayload`] | 422 |
//!
//! A request that passes all checks reaches the inner service with a [`DirectoryEvent`](crate::DirectoryEvent) in its
//! extensions and the signed bytes as its body, in one frame ([`VerifiedBody`]). Trailers are not signed and are dropped. A
//! body that arrived in a single frame of up to 64 KiB is copied, so that an event that is kept doesn't keep the server's read
//! buffer alive.
//!
//! A rejection is a response, not an error: the service has the error type of the inner service, and no outer layer has to
//! convert it. The response is `application/problem+json` (RFC 9457) with a fixed text for each kind. Its extensions contain
//! the [`Rejection`](crate::Rejection), which has the details that a log needs. Neither contains the secret or any part of the
//! body, except the id and the name of a genuine event that can't be read.
//! [`rejection_response`](VerifyWebhookLayer::rejection_response) changes the response, and shows how to keep
//! [the event that can't be read](crate::Rejection::parse_error).
//!
//! Such events are rare. A field of an unexpected type makes an event unreadable only if it is one of the ids that the event
//! needs. Any other such field is left out, and [`unreadable_fields`](crate::DirectoryEvent::unreadable_fields) lists it.
//!
//! # What is logged
//!
//! With the feature `tracing`:
//!
//! | target | level | what | fields |
//! |---|---|---|---|
//! | `tower_workos::rejection` | `WARN` | a rejected request | `kind`, `status`, `reason`, `hint`, `suppressed`; for a genuine event that can't be read also `event_id`, `event_name` |
//! | | `DEBUG` | a request rejected with [`MethodNotAllowed`], usually a health check or a crawler | the same |
//! | `tower_workos::verify` | `DEBUG` | an accepted event | `event_id`, `event_name` |
//! | `tower_workos::delivery` | `INFO` | the span of an accepted event | [see below](#the-span-of-a-delivery) |
//! | `tower_workos::event` | `WARN` | an event with unreadable fields, once for each delivery | `event_id`, `event_name`, `fields` (paths) |
//!
//! Anybody can send requests that are rejected, so a layer and all of its services together log at most ten rejections of each
//! kind per second. The others are counted, and `suppressed` in the next line is the number of rejections of any kind that were
//! not logged. If no other rejection follows, the count is logged with the next accepted event (at most once per second), or when
//! the layer and its last service are dropped. [`InvalidPayload`] is a genuine event and is always logged.
//!
//! For metrics, enable the feature `metrics`, or count the [`Rejection`](crate::Rejection) in the response's extensions, which is
//! always present.
//!
//! # The span of a delivery
//!
//! With the feature `tracing`, the inner service runs in a span, `workos_delivery`, so that each line that a handler logs has
//! the ids of its event. It opens when the event is accepted and closes with the response, or when the request is dropped.
//! Anybody can send requests that are rejected, so they have no span. It is a child of the current span, for example that of
//! tower-http's `TraceLayer`.
//!
//! | field | value |
//! |---|---|
//! | `event_id`, `event_name` | of the event |
//! | `directory_id` | of the event, if it has one |
//! | `dedupe` | the [`DedupeOutcome`](crate::dedupe::DedupeOutcome), with a [`DedupeLayer`](crate::DedupeLayer) directly inside |
//! | `outcome` | at the end: `success` (2xx), `failure` (another status, an error or a panic), or `cancelled` (dropped before the response) |
//! | `http.response.status_code` | at the end, if there is a response |
//! | `error.type` | at the end, unless it is a success: the status, `error` (the service returned an error), `panic` or `cancelled` |
//! | `messaging.system` | `workos` |
//! | `messaging.operation.type`, `messaging.operation.name` | `process` |
//! | `messaging.destination.name` | the event's name: an endpoint subscribes to names of events |
//! | `messaging.message.id` | the event's id |
//! | `otel.name`, `otel.kind`, `otel.status_code` | `process` and the event's name; `consumer`; at the end, `ERROR` unless it is a success |
//!
//! Text from the event is escaped and truncated to 64 characters, and nothing else of the event is shown. The `messaging`
//! fields, and the name and the kind of the span, are those of the [messaging conventions] of OpenTelemetry, version 1.44. These
//! conventions are in development. If they change, a minor release of this crate can follow them. The crate
//! `tracing-opentelemetry` reads the `otel` fields.
//!
//! The level is `INFO`, higher than is usual for the spans of a library, because there is only one span for each genuine delivery
//! and the usual filter keeps it. A filter `tower_workos::delivery=off` disables it, which makes lines shorter if the
//! subscriber writes all fields of a span.
//!
//! [messaging conventions]: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
//!
//! # Among other layers
//!
//! The signature covers the bytes that WorkOS sent, so no layer outside this one may change the body: no decompression, no
//! re-serialization. Layers that limit, time or trace requests belong outside; layers that use the event belong inside.
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
//!     // Limits how many handlers run concurrently; see below.
//!     .layer(ConcurrencyLimitLayer::new(64));
//! # let _ = stack.service(tower::service_fn(|_: http::Request<tower_workos::verify::VerifiedBody>| async {
//! #     Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Empty::<bytes::Bytes>::new()))
//! # }));
//! # Ok(())
//! # }
//! ```
//!
//! A limit or a buffer inside this layer acquires its permit or its slot when the service is polled ready. The permit is then
//! held while the body arrives, **before anything is verified**. A client that sends slow bodies with a current timestamp can
//! hold as many permits as it has connections, each until the deadline. If that matters, make
//! [`body_timeout`](VerifyWebhookLayer::body_timeout) short, limit connections in front of the server, or limit
//! concurrency inside the handler.

pub(crate) mod body;
mod config;
pub(crate) mod future;
pub(crate) mod layer;
#[cfg(feature = "tracing")]
mod log;
mod observer;
pub(crate) mod service;
#[cfg_attr(not(feature = "tracing"), path = "no_span.rs")]
mod span;

pub use self::{body::VerifiedBody, future::ResponseFuture};
#[cfg(doc)]
use self::{layer::VerifyWebhookLayer, service::VerifyWebhook};

#[cfg(doc)]
use crate::rejection::RejectionKind::{
    BodyRead, BodyTimeout, BodyTooLarge, InvalidPayload, MalformedSignature, MethodNotAllowed,
    MissingSignature, SignatureMismatch, TimestampOutsideTolerance,
};
