//! Tests the public API, in one program so that one log is checked for secrets and payloads (see `support`).
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test may panic, and its helpers are outside `#[test]` functions"
)]
#![cfg(feature = "tonic")]

mod axum;
mod body;
mod boxed;
mod dead_letter;
mod dedupe;
#[cfg(feature = "redis")]
mod disconnect;
mod event;
mod hyper;
mod layer;
mod log;
#[cfg(feature = "metrics")]
mod metrics;
mod outcomes;
mod readiness;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
mod replicas;
mod schedules;
#[cfg(feature = "redis")]
mod senders;
#[cfg(feature = "redis")]
#[path = "../services/mod.rs"]
mod services;
mod shared;
#[cfg(feature = "source-address")]
mod source_address;
#[cfg(feature = "tracing")]
mod spans;
mod support;
mod tonic;
mod tonic_dedupe;
mod verifier;
