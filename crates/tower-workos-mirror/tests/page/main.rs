//! The page for operators, without a browser, on both databases. `tests/browser` has the tests with one.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

#[path = "../databases/mod.rs"]
mod databases;
#[path = "../repair/proxy.rs"]
#[allow(dead_code, reason = "shared with the tests of the repair")]
mod proxy;
#[path = "../repair/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the repair")]
mod support;

mod access;
mod client;
mod directories;
mod events;
mod failures;
mod guard;
mod headers;
mod history;
mod history_pages;
mod mounting;
mod search;
mod search_pages;
mod server;
mod shutdown;
mod since;
mod stream;
mod verdict;
