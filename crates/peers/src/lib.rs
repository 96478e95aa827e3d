//! The same deliveries through `tower-workos` and through its peers, in one process and sampled in turn.
//!
//! ```text
//! cargo run --release -p peers
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a bench may panic"
)]

pub mod body;
pub mod end_to_end;
pub mod goals;
pub mod plot;
pub mod report;
mod row;
pub mod rows;
pub mod sample;
pub mod sdks;
mod sign;

pub use row::Row;
