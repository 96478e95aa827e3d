//! Kills the processes that store and handle events again and again, while a sender retries like WorkOS. No acknowledged event
//! is lost, and none is handled twice unless the kill fell between its effect and its end.
#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod child;
mod parent;
#[path = "../it/support.rs"]
mod support;

use parent::{Handler, crash};
use support::Kind;

/// The process that a test starts and kills. It is this program.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "only the tests start it"]
async fn process() {
    child::main().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    crash(Kind::Sqlite, Handler::Plain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_in_a_transaction() {
    crash(Kind::Sqlite, Handler::Transactional).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    crash(Kind::Postgres, Handler::Plain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_in_a_transaction() {
    crash(Kind::Postgres, Handler::Transactional).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats() {
    crash(Kind::Nats, Handler::Plain).await;
}
