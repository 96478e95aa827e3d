//! Duplicates: [`DedupeLayer`], [`Dedupe`] and the stores.
//!
//! WorkOS delivers an event again when it saw no 2xx, and sometimes when it did. This layer, inside
//! [`VerifyWebhookLayer`](crate::VerifyWebhookLayer), lets a handler's success happen once and its failure lose
//! nothing:
//!
//! ```
//! use tower::ServiceBuilder;
//! use tower_workos::{DedupeLayer, VerifyWebhookLayer, MemoryStore, WebhookSecret};
//!
//! # fn main() -> Result<(), tower_workos::ConfigError> {
//! # let secret = WebhookSecret::new("whsec_from_the_dashboard")?;
//! let stack = ServiceBuilder::new()
//!     .layer(VerifyWebhookLayer::new(secret))
//!     .layer(DedupeLayer::new("workos", MemoryStore::default()));
//! # let _ = stack.service(tower::service_fn(|_: http::Request<tower_workos::verify::VerifiedBody>| async {
//! #     Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Empty::<bytes::Bytes>::new()))
//! # }));
//! # Ok(())
//! # }
//! ```
//!
//! # What happens to an event
//!
//! | the store says | the handler | the response | [outcome](DedupeOutcome) |
//! |---|---|---|---|
//! | new, or its last holder's lease expired | runs and succeeds (2xx) | the handler's, once the store has it as done | `Completed` |
//! | the same | runs and does not succeed | the handler's; the event is released | `Released` |
//! | in progress | does not run | 503 with `Retry-After` | `InFlight` |
//! | done | does not run | 200 | `Duplicate` |
//! | nothing: it failed or took too long | does not run ([`OnStoreError`]) | 503 | `StoreError` |
//!
//! A handler that answers anything but 2xx, fails or panics releases the event, and the next delivery runs the handler
//! again. If the process dies, the lease expires instead. If a handler succeeds, but that can't be recorded
//! (`StoreError`) or its lease had expired by then (`LeaseExpired`), the response is 503: the handler may run again, so it
//! must be idempotent, unless it completes the claim in its own transaction ([`Claimed`]).
//!
//! # What happens if the sender disconnects
//!
//! The server drops the response's future, as it does if a time-out outside this layer ends. No event is lost by that, and
//! none is blocked:
//!
//! | dropped while | then |
//! |---|---|
//! | the event is being claimed | the claim continues in a task, which releases what it claims |
//! | the handler runs | the handler is cancelled, and a task releases the event |
//! | the event is being completed | the completion continues in a task, which releases the event only if that fails |
//!
//! The same happens to a store call that takes longer than [`store_timeout`](DedupeLayer::store_timeout). Tasks run on the
//! tokio runtime that dropped the future, for at most the lease. **A runtime that shuts down drops them**: a claim then
//! blocks its event until the lease expires, and a handler that had succeeded runs again, as after a crash. To give
//! them time, await [`DedupeLayer::idle`] before `main` returns. A future that is dropped outside a runtime leaves its
//! event to the lease, unless the store is a [`MemoryStore`]. So does a claim whose reply is lost together with its
//! connection: the stores try to release it, but they may not be able to reach the database.
//!
//! A store that is not ready at once, as all but `MemoryStore` are, needs a tokio runtime with time enabled; elsewhere its
//! time-out panics.
//!
//! # One name for each endpoint
//!
//! WorkOS sends an event to every endpoint that is subscribed to it, with one id. Two layers that share a store therefore
//! need two names, the first argument of [`DedupeLayer::new`]: under one name, the second endpoint's handler would never
//! run for what the first has handled.
//!
//! # Stores
//!
//! | store | for |
//! |---|---|
//! | [`MemoryStore`] | one replica; everything is forgotten when it restarts |
//! | `RedisStore` (feature `redis`) | any number of replicas, with idempotent handlers |
//! | `SqliteStore`, `PostgresStore` (crate `tower-workos-sqlx`) | durable; a handler can complete its claim in its own transaction |
//! | [`BoxStore`] | any of these, chosen at run time |
//! | your own | see [`DedupeStore`] |
//!
//! # Handlers with a transaction of their own
//!
//! With a store of `tower-workos-sqlx`, a handler that calls `complete_in` completes its claim together with its effect, and
//! nothing happens twice. The layer then checks after a 2xx response that the completion is committed. If it isn't (the
//! transaction was dropped), the response is 503 and the outcome `NotCompleted`.
//!
//! # Logs
//!
//! With the feature `tracing`, each outcome is one event of the target `tower_workos::dedupe`, with the fields `event_id`,
//! `event_name` and `outcome`: at `DEBUG` for `Completed`, `Released`, `Duplicate` and `InFlight`, at `WARN` for
//! `LeaseExpired`, and at `ERROR` for the others (`Misplaced` at most once a second). A request that is dropped before its
//! response, by a disconnect or a time-out outside this layer, is a `WARN` event with the field `during`. An `error` is logged with its causes. The outcome is in the extensions
//! of the response, too.
//!
//! Without a [`DirectoryEvent`](crate::DirectoryEvent) in the request the response is a 500 that explains the fix. A gRPC
//! call without one passes: it is for another service of the server (see the `grpc` module).

mod background;
pub(crate) mod boxed;
mod claimed;
mod config;
mod future;
mod hold;
pub(crate) mod layer;
pub(crate) mod memory;
mod outcome;
#[cfg(feature = "redis")]
pub(crate) mod redis;
mod response;
pub(crate) mod service;
pub(crate) mod store;
mod token;

#[cfg(feature = "tonic")]
pub(crate) use self::service::GrpcCall;
pub use self::{
    boxed::BoxToken,
    claimed::Claimed,
    config::OnStoreError,
    future::ResponseFuture,
    outcome::DedupeOutcome,
    store::{Claim, Completion, DedupeKey, StoreError, StoreFuture},
    token::ClaimToken,
};
pub(crate) use self::{layer::DedupeLayer, store::DedupeStore};
#[cfg(doc)]
use self::{memory::MemoryStore, service::Dedupe};
