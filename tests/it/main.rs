//! The crate from outside: one program, so that one log is watched for secrets and payloads (see `support`).
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test may panic, and its helpers are outside `#[test]` functions"
)]
#![cfg(all(feature = "axum", feature = "testing", feature = "tonic"))]

mod axum;
mod body;
#[cfg(all(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod complete_in;
mod dead_letter;
mod dedupe;
#[cfg(all(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod disconnect;
mod event;
mod hyper;
mod layer;
mod log;
mod outcomes;
mod readiness;
mod schedules;
#[cfg(all(feature = "postgres", feature = "redis", feature = "sqlite"))]
#[path = "../services/mod.rs"]
mod services;
mod shared;
#[cfg(all(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod stores;
mod support;
mod tonic;
mod tonic_dedupe;
mod verifier;
