//! Without the feature `metrics`, nothing is recorded.

use crate::{error::InboxError, queue::Stored, status::QueueStatus};

pub(crate) const DEAD: &str = "dead";
pub(crate) const FAILED: &str = "failed";

pub(crate) fn stored(_: &Result<Stored, InboxError>) -> &'static str {
    ""
}

pub(crate) fn enqueued(_: &str, _: &'static str) {}

pub(crate) fn job(_: &str, _: &'static str) {}

pub(crate) fn status(_: &str, _: &QueueStatus) {}
