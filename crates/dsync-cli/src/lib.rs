//! The library part of `dsync`, the command for [WorkOS Directory Sync] webhooks.
//!
//! [`directory`] is the model behind `dsync simulate`: [`Life`](directory::Life) generates the events of some directories
//! from a seed, [`Deliveries`](directory::Deliveries) decides when each is delivered, and [`State`](directory::State) is the state
//! that a correct application holds after any set of events, in any order.
//!
//! The README of the package and `dsync --help` describe the command.
//!
//! [WorkOS Directory Sync]: https://workos.com/docs/directory-sync

pub mod directory;
