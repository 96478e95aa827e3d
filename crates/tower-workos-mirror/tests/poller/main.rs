//! The pollers of the Events API, against the emulator and real databases.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "../databases/mod.rs"]
mod databases;
mod letters;
mod positions;
mod races;
mod run;
mod schedules;
mod service;
mod stream;
mod stub;
mod support;
