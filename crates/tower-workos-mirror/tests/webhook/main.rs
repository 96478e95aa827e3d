//! The write path: the webhook endpoint, the layer, the queue and the dead letters, on both databases.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test may panic, and its modules are shared by name"
)]

mod batches;
mod database;
mod dead_letters;
mod layer;
#[cfg(feature = "metrics")]
mod metrics;
mod mounting;
mod outage;
#[allow(dead_code, reason = "shared with other test programs")]
#[path = "../../../../tests/services/proxy.rs"]
mod proxy;
mod replicas;
mod requests;
mod shutdown;
mod upkeep;
