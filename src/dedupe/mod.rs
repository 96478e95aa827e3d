//! Duplicates: [`DedupeLayer`], [`Dedupe`] and the stores.
//!
//! WorkOS delivers an event again when it saw no 2xx, and sometimes when it did. This layer, inside of
//! [`DirectorySyncLayer`](crate::DirectorySyncLayer), lets a handler's success happen once and its failure lose
//! nothing:
//!
//! ```
//! use tower::ServiceBuilder;
//! use tower_workos::{DedupeLayer, DirectorySyncLayer, MemoryStore, WebhookSecret};
//!
//! # fn main() -> Result<(), tower_workos::ConfigError> {
//! # let secret = WebhookSecret::new("whsec_from_the_dashboard")?;
//! let stack = ServiceBuilder::new()
//!     .layer(DirectorySyncLayer::new(secret))
//!     .layer(DedupeLayer::new("workos", MemoryStore::default()));
//! # let _ = stack.service(tower::service_fn(|_: http::Request<tower_workos::layer::VerifiedBody>| async {
//! #     Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Empty::<bytes::Bytes>::new()))
//! # }));
//! # Ok(())
//! # }
//! ```
//!
//! # What happens to an event
//!
//! | the store says | the handler | the answer |
//! |---|---|---|
//! | new, or its last holder's lease ended | runs | 2xx: once the store has it as done, the handler's; else the handler's |
//! | in flight | does not run | 503 with `Retry-After` |
//! | done | does not run | 200 |
//! | nothing: it failed | does not run ([`OnStoreError`]) | 503 |
//!
//! A handler that answers anything but 2xx, fails, panics, or whose future is dropped (a time-out, a client that
//! left) gives the event back, and the next delivery runs it anew. If the process dies, the lease ends instead. If
//! a handler succeeds but that can't be recorded, or its lease had ended by then, the answer is 503: the handler
//! will run again, so it must bear that, unless it completes the claim in its own transaction ([`Claimed`]).
//!
//! Without a [`DirectoryEvent`](crate::DirectoryEvent) in the request the answer is a 500 that names the mend.
//!
//! With the feature `tracing`, what is not the handler's answer is an event of the target `tower_workos::dedupe`.

mod background;
mod claimed;
mod future;
mod hold;
mod layer;
mod memory;
mod outcome;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
mod response;
mod service;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod token;

#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use self::postgres::PostgresStore;
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use self::redis::RedisStore;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub use self::sqlite::SqliteStore;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
pub use self::token::ClaimToken;
pub use self::{
    claimed::Claimed,
    future::ResponseFuture,
    layer::{DedupeLayer, OnStoreError},
    memory::MemoryStore,
    outcome::DedupeOutcome,
    service::Dedupe,
    store::{Claim, Completion, DedupeKey, DedupeStore, StoreError},
};
pub use crate::response::ResponseBody;
