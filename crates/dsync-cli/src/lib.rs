//! The library part of `dsync`, the command for [WorkOS Directory Sync] webhooks.
//!
//! [`directory`] is the model that `dsync simulate` judges an application by: a directory's life, made from a seed
//! ([`Life`](directory::Life)), the order in which it is delivered ([`Deliveries`](directory::Deliveries)), and the
//! state that a correct application holds after any set of events, in whatever order they came
//! ([`State`](directory::State)).
//!
//! The command itself is described in the package's README and by `dsync --help`.
//!
//! [WorkOS Directory Sync]: https://workos.com/docs/directory-sync

pub mod directory;
