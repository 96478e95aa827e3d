//! Replaces the module `metrics` if the feature is not enabled.

use std::time::Duration;

use tower_workos::DirectoryEvent;

use crate::change::Change;

pub(crate) const DEAD_LETTER: &str = "dead_letter";
pub(crate) const FAILED: &str = "failed";

pub(crate) fn event(_: &DirectoryEvent, _: &[Change]) {}

pub(crate) fn applied(_: Option<&str>, _: &'static str) {}

pub(crate) fn batch(_: Duration) {}

#[cfg(feature = "reconcile")]
pub(crate) fn drift(_: &'static str, _: &'static str) {}

#[cfg(feature = "reconcile")]
pub(crate) fn run(_: Option<bool>) {}

pub(crate) fn queue_depth(_: usize) {}

#[cfg(feature = "reconcile")]
pub(crate) fn throttled() {}

#[cfg(feature = "reconcile")]
pub(crate) fn poller_lag(_: Duration) {}
