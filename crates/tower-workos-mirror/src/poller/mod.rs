//! Follows the Events API.

mod batch;
mod cursor;
mod drain;
mod error;
mod health;
mod mirror;
mod service;
mod stop;

pub(crate) use self::health::Health;
pub use self::{
    cursor::{CursorStore, EventsCursor, MemoryCursor},
    drain::Drain,
    error::{PollError, PollErrorKind},
    mirror::EventsPoller,
    service::ServicePoller,
};
