//! Replaces the module `metrics` if the feature is not enabled.

use std::time::Duration;

use crate::{dedupe::DedupeOutcome, rejection::RejectionKind};

#[derive(Clone, Copy)]
pub(crate) enum End {
    Cancelled,
    Failure,
    Rejected,
    Success,
}

pub(crate) struct Request;

impl Request {
    pub(crate) fn start() -> Self {
        Self
    }

    pub(crate) fn accepted(&mut self) {}

    pub(crate) fn rejected(&mut self, _: RejectionKind) {}

    pub(crate) fn ended(&self, _: End) {}
}

pub(crate) fn signature_age(_: impl FnOnce() -> Duration) {}

pub(crate) fn dedupe(_: Option<DedupeOutcome>) {}

#[derive(Clone, Copy)]
pub(crate) enum Operation {
    Claim,
    Complete,
    Confirm,
    Release,
}

pub(crate) struct StoreCall;

impl StoreCall {
    pub(crate) fn start(_: Operation) -> Self {
        Self
    }
}

// As in `metrics`, so that `drop` has the same meaning.
impl Drop for StoreCall {
    fn drop(&mut self) {}
}
