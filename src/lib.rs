//! [WorkOS Directory Sync] for [tower]: a [`Layer`](tower_layer::Layer) that lets only genuine webhook deliveries through to a
//! handler, which gets a typed [`DirectoryEvent`].
//!
//! WorkOS watches a customer's directory (Okta, Entra ID, Google Workspace, Workday …) and sends every change as a signed
//! webhook: a user is created, updated, deactivated or deleted, joins or leaves a group, or a whole directory is deleted. This
//! crate verifies the signature in constant time while the body arrives, rejects replays, parses the event, and inserts it into
//! the request's extensions. It works with axum, hyper, tonic, and any other tower service.
//!
//! # Quick start
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # {
//! use std::sync::{Arc, Mutex};
//!
//! use axum::{Router, extract::State, http::StatusCode, routing::post};
//! use tower_workos::{
//!     AccessChange, DirectoryEvent, DirectoryId, DirectoryUserId, VerifyWebhookLayer, WebhookSecret,
//! };
//!
//! /// Who is logged in, and from which directory. In production, use a database or a cache that all replicas share.
//! type Sessions = Arc<Mutex<Vec<(DirectoryUserId, DirectoryId)>>>;
//!
//! fn app(secret: WebhookSecret, sessions: Sessions) -> Router {
//!     Router::new()
//!         .route("/webhooks/workos", post(on_event))
//!         .route_layer(VerifyWebhookLayer::new(secret))
//!         .with_state(sessions)
//! }
//!
//! async fn on_event(State(sessions): State<Sessions>, event: DirectoryEvent) -> StatusCode {
//!     let mut sessions = sessions.lock().unwrap();
//!     // Safe in any order: ending a session again is harmless, and nothing here grants access.
//!     match event.access_change() {
//!         Some(AccessChange::Revoked(user)) => sessions.retain(|(id, _)| *id != user.id),
//!         Some(AccessChange::DirectoryRevoked(gone)) => sessions.retain(|(_, id)| *id != gone.id),
//!         _ => {}
//!     }
//!     StatusCode::OK
//! }
//!
//! # fn main() -> Result<(), tower_workos::ConfigError> {
//! let app = app(WebhookSecret::from_env("WORKOS_WEBHOOK_SECRET")?, Sessions::default());
//! # Ok(())
//! # }
//! # }
//! ```
//!
//! Return 2xx only after the event has been handled or stored: WorkOS sends it again after any other response.
//!
//! **WorkOS also delivers events twice and out of order.** [`DedupeLayer`] handles duplicates. A handler that only ends sessions,
//! like the one above, does not depend on the order, as long as something else decides at each login who may log in. A handler
//! that stores who has access needs versions and tombstones; otherwise a late event lets former employees back in. The
//! [`ordering`] module has the rules and a complete table of users.
//!
//! The [`verify`] module describes the middleware: how it rejects requests, what it logs, and its place among other layers. The
//! `grpc` module (feature `tonic`) turns a delivery into a call of a tonic service method. Without tower,
//! [`Verifier::construct_event`] does the same for a header and a body.
//!
//! # The event
//!
//! [`DirectoryEvent`] is one `Arc`: cheap to clone and to send to another task. [`data`](DirectoryEvent::data) has a type for
//! each event ([`EventData`]), [`raw`](DirectoryEvent::raw) returns the bytes that were signed, and
//! [`access_change`](DirectoryEvent::access_change) returns what an event means for somebody's access. Only an object's id is
//! guaranteed; nearly every other field can be absent, and is then `None` or an empty list. Unknown fields, enum values and
//! events are kept, not rejected. A field of an unexpected type counts as absent, and
//! [`unreadable_fields`](DirectoryEvent::unreadable_fields) lists it: an event that ends somebody's access must not be lost
//! because of one unreadable field. A genuine body is rejected, with 422, only if it isn't JSON or lacks the event's id, its
//! name, or the id of the directory, user, group or token that it is about. A retry can't help, so [`Rejection::parse_error`]
//! has the bytes, and what could be read of them.
//!
//! # Tolerance and retries
//!
//! A signature's time may be 180 s before or after the current time, as in WorkOS's SDKs. WorkOS does not document whether a
//! retry gets a new signature. If genuine retries are rejected with
//! [`TimestampOutsideTolerance`](RejectionKind::TimestampOutsideTolerance), raise [`Verifier::tolerance`]. The tolerance only
//! limits for how long a captured delivery can be replayed: with a [`DedupeLayer`] over a durable store, whose retention is
//! longer than the tolerance, a long tolerance is safe.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `tracing` (default) | logs, and a span for each delivery: see the [`verify`](verify#what-is-logged) and [`dedupe`](dedupe#logs) modules |
//! | `metrics` | counters and histograms: see the `metrics` module |
//! | `axum` | [`DirectoryEvent`] as a handler argument; [`Rejection`] as a response |
//! | `tonic` | the `grpc` module |
//! | `testing` | the `testing` module: a signer, a clock, samples with a builder, out-of-order deliveries, a check for stores |
//! | `redis` | `RedisStore` for [`DedupeLayer`] |
//! | `source-address` | `SourceAddressLayer`: an allow list of networks |
//!
//! `SqliteStore` and `PostgresStore` for [`DedupeLayer`] are in the crate `tower-workos-sqlx`.
//!
//! # Limits
//!
//! - Ordering is the application's responsibility: see [`ordering`].
//! - The body is held in memory, up to [`body_limit`](VerifyWebhookLayer::body_limit) for each request, and up to twice as much
//!   while its frames are joined.
//! - The body's deadline is a tokio timer: a body that isn't ready immediately needs a tokio runtime with time enabled, such as
//!   the runtime of `#[tokio::main]`. Without one, tokio panics.
//! - Only the body and the time are signed: don't trust the path, the query or other headers.
//! - The types of `dsync.token.*` events follow WorkOS's API description; no recorded delivery was available.
//!
//! # Minimum supported Rust
//!
//! 1.88, with every feature. Raising it is a minor release.
//!
//! [WorkOS Directory Sync]: https://workos.com/docs/directory-sync
//! [tower]: https://docs.rs/tower

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "tracing")]
mod budget;
mod clock;
pub mod dedupe;
mod error;
mod event;
#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "tonic")]
#[cfg_attr(docsrs, doc(cfg(feature = "tonic")))]
pub mod grpc;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "no_metrics.rs"]
mod metrics;
#[doc = include_str!("ordering.md")]
pub mod ordering {}
mod rejection;
mod response_body;
mod secret;
mod signature;
#[cfg(feature = "source-address")]
#[cfg_attr(docsrs, doc(cfg(feature = "source-address")))]
pub mod source_address;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
mod verifier;
pub mod verify;

#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use self::dedupe::redis::RedisStore;
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use self::extract::MissingDirectoryEvent;
#[cfg(feature = "source-address")]
#[cfg_attr(docsrs, doc(cfg(feature = "source-address")))]
pub use self::source_address::{layer::SourceAddressLayer, service::SourceAddress};
pub use self::{
    clock::{Clock, SystemClock},
    dedupe::{
        boxed::BoxStore, layer::DedupeLayer, memory::MemoryStore, service::Dedupe,
        store::DedupeStore,
    },
    error::{ConfigError, SignatureHeaderError, VerifyError},
    event::{
        AccessChange, Actor, AttributeError, Attributes, CustomAttributes, Directory,
        DirectoryEvent, DirectoryGroup, DirectoryGroupId, DirectoryId, DirectoryState,
        DirectoryToken, DirectoryTokenId, DirectoryType, DirectoryUser, DirectoryUserId,
        DirectoryUserState, EmailAddress, EventContext, EventData, EventId, GroupMembership,
        GroupUpdated, OrganizationDomain, OrganizationDomainId, OrganizationId, ParseError,
        PostalAddress, Previous, PreviousAttributes, PreviousCustomAttributes, Role, SignatureInfo,
        Timestamp, TimestampError, UnknownEvent, Unrecognized, UserUpdated,
    },
    rejection::{Rejection, RejectionKind},
    response_body::ResponseBody,
    secret::{WebhookSecret, WebhookSecrets},
    signature::{SIGNATURE_HEADER, SignatureHeader},
    verifier::{Verification, Verified, Verifier},
    verify::{layer::VerifyWebhookLayer, service::VerifyWebhook},
};
