//! The library part of `dsync`, the command for [WorkOS Directory Sync] webhooks.
//!
//! [`directory`] is the model behind `dsync simulate`. It is the module of the crate `dsync-emulator`.
//!
//! The README of the package and `dsync --help` describe the command.
//!
//! [WorkOS Directory Sync]: https://workos.com/docs/directory-sync

#[doc(inline)]
pub use dsync_emulator::directory;
