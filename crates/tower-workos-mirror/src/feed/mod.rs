//! The change feed.

pub(crate) mod consumer;
pub(crate) mod error;
#[cfg(feature = "postgres")]
mod listen;
pub(crate) mod page;
mod run;
pub(crate) mod stream;
pub(crate) mod wake;
