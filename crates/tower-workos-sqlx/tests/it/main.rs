//! Tests the public API, in one program so that one log is checked for secrets and payloads (see `support`).
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test may panic, and its helpers are outside `#[test]` functions"
)]

mod complete_in;
#[path = "../databases/mod.rs"]
mod databases;
mod disconnect;
#[path = "../../../../tests/it/replicas.rs"]
mod replicas;
#[path = "../../../../tests/it/senders.rs"]
mod senders;
mod stores;
#[allow(dead_code, reason = "a part of what the tests of tower-workos need")]
#[path = "../../../../tests/it/support.rs"]
mod support;

use databases::services;
