//! The API over HTTP.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod events;
mod faults;
mod lists;
mod schemas;
mod support;
mod world;
