//! The API over HTTP.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod events;
mod lists;
mod support;
mod world;
