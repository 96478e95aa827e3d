//! apalis-sqlite as the engine of an inbox: an adapter that shields users from its faults, and its speed.
//!
//! The faults are in `tests/faults.rs`.

mod adapter;
pub mod rates;
mod raw;

pub use adapter::{DeadLetter, Failure, Inbox, Job, Settings};
