//! Requests to the WorkOS API.
//!
//! The official crate `workos` builds, authenticates and encodes the requests. Its models can't read everything that
//! WorkOS sends: one field that is `null` or absent fails a whole page. So the transport keeps each response, and the
//! modules here read it.

pub(crate) mod client;
pub(crate) mod error;
mod http;
pub(crate) mod key;
pub(crate) mod page;
pub(crate) mod request;
mod send;
mod throttle;
pub(crate) mod timer;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
mod tests;
