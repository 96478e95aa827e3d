//! Deduplication of events: [`DedupeLayer`], [`Dedupe`] and the stores.
//!
//! WorkOS delivers an event again if it received no 2xx response, and sometimes even if it did. With this layer inside
//! [`VerifyWebhookLayer`](crate::VerifyWebhookLayer), an event is handled successfully only once, and a failure loses no
//! event:
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
//! | the event is | the handler | the response | [outcome](DedupeOutcome) |
//! |---|---|---|---|
//! | new, or its last holder's lease expired | runs and succeeds (2xx) | the handler's, once the event is recorded as done | `Completed` |
//! | the same | runs and does not succeed | the handler's; the event is released | `Released` |
//! | in progress | does not run | 503 with `Retry-After` | `InFlight` |
//! | done | does not run | 200 | `Duplicate` |
//! | unknown: the store failed or took too long | does not run ([`OnStoreError`]) | 503 | `StoreError` |
//!
//! If a handler responds with anything but 2xx, fails or panics, the event is released, and the next delivery runs the
//! handler again. If the process dies, the lease expires instead. If a handler succeeds, but this can't be recorded
//! (`StoreError`) or the lease has expired (`LeaseExpired`), the response is 503. The handler may then run again, so it
//! must be idempotent, unless it completes the claim in its own transaction ([`Claimed`]).
//!
//! # What happens if the sender disconnects
//!
//! The server drops the response's future, as it also does after a time-out outside this layer. This neither loses nor
//! blocks an event:
//!
//! | dropped while | then |
//! |---|---|
//! | the event is being claimed | the claim continues in a task, which releases what it claims |
//! | the handler runs | the handler is cancelled, and a task releases the event |
//! | the event is being completed | the completion continues in a task, which releases the event if the completion fails |
//!
//! The same happens to a store call that takes longer than [`store_timeout`](DedupeLayer::store_timeout). Tasks run on the
//! tokio runtime in which the future was dropped, for at most the length of the lease. **A runtime that shuts down drops
//! its tasks**: a claim then blocks its event until the lease expires, and a handler that succeeded runs again, as after a
//! crash. To let the tasks finish, await [`DedupeLayer::idle`] before `main` returns.
//!
//! In two other cases, an event is blocked until its lease expires. A future that is dropped outside a runtime can't
//! release its event, unless the store is a [`MemoryStore`]. And if the reply to a claim is lost together with the
//! connection, the stores try to release the claim, but may not be able to reach the database.
//!
//! A store that does not respond immediately (any except `MemoryStore`) needs a tokio runtime with time enabled. Without
//! one, the layer's time-out panics.
//!
//! # One name for each endpoint
//!
//! WorkOS sends an event to every subscribed endpoint under the same id. Layers of different endpoints that share a store
//! therefore need different names, the first argument of [`DedupeLayer::new`]. With the same name, only one endpoint would
//! handle each event.
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
//! # Handlers with their own transaction
//!
//! With a store of `tower-workos-sqlx`, a handler can call `complete_in` to complete its claim in the transaction of its
//! changes, so that they can't happen twice. After a 2xx response, the layer then checks that the completion is committed.
//! If it isn't, for example because the transaction was dropped, the response is 503 and the outcome is `NotCompleted`.
//!
//! # Logs
//!
//! With the feature `tracing`, each outcome is one event of the target `tower_workos::dedupe`, with the fields `event_id`,
//! `event_name` and `outcome`: at `DEBUG` for `Completed`, `Released`, `Duplicate` and `InFlight`, at `WARN` for
//! `LeaseExpired`, and at `ERROR` for the others (`Misplaced` at most once a second). A request that is dropped before its
//! response, because of a disconnect or a time-out outside this layer, is logged as a `WARN` event with the field
//! `during`. An `error` is logged with its causes. The outcome is also in the extensions of the response, in the field `dedupe` of
//! the [delivery's span](crate::verify#the-span-of-a-delivery), and, with the feature `metrics`, a label of a counter.
//!
//! Without a [`DirectoryEvent`](crate::DirectoryEvent) in the request, the response is a 500 that explains the fix. A gRPC
//! call without one is passed through, because it is for another service of the server (see the `grpc` module).

mod background;
pub(crate) mod boxed;
mod claimed;
mod config;
mod future;
mod hold;
pub(crate) mod layer;
pub(crate) mod memory;
mod observer;
mod outcome;
#[cfg(feature = "redis")]
pub(crate) mod redis;
mod response;
pub(crate) mod service;
pub(crate) mod store;
mod token;

#[cfg(doc)]
use self::{
    boxed::BoxStore, layer::DedupeLayer, memory::MemoryStore, service::Dedupe, store::DedupeStore,
};
pub use self::{
    boxed::BoxToken,
    claimed::Claimed,
    config::OnStoreError,
    future::ResponseFuture,
    outcome::DedupeOutcome,
    store::{Claim, Completion, DedupeKey, StoreError, StoreFuture},
    token::ClaimToken,
};
