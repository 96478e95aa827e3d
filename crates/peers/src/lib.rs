//! Sends the same deliveries through `tower-workos` and through comparable crates, in one process, and compares the
//! times.
//!
//! ```text
//! cargo run --release -p peers
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a benchmark may panic"
)]

pub mod body;
pub mod end_to_end;
pub mod goals;
pub mod plot;
pub mod report;
pub mod row;
pub mod rows;
pub mod run;
pub mod sample;
pub mod sdks;
mod sign;
pub mod statistics;
