//! The repair of a mirror from the API of an emulated WorkOS, on both databases.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

#[path = "../databases/mod.rs"]
mod databases;

mod absences;
mod complete;
mod directories;
mod dry_run;
mod environments;
mod failures;
mod fetch;
mod leases;
mod odd;
mod privacy;
mod proxy;
mod races;
mod schedule;
mod second_looks;
mod support;
