//! The repair of a mirror from the API of an emulated WorkOS, on both databases.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

#[path = "../databases/mod.rs"]
mod databases;

mod complete;
mod proxy;
mod support;
