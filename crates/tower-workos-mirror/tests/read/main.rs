//! The queries and views of the mirror, on both databases.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod connect;
mod databases;
mod events;
mod moves;
mod pages;
mod privacy;
mod queries;
mod state;
mod views;
