//! The names of the metrics, and their descriptions.
//!
//! They are recorded through the [`metrics`](https://docs.rs/metrics) facade, if the application installs a recorder. Without
//! one, a request costs a few reads of the clock and no allocation.
//!
//! | name | type | labels |
//! |---|---|---|
//! | [`REQUESTS_TOTAL`] | counter | `outcome`: `accepted`, `cancelled`, or a [`RejectionKind`] |
//! | [`DURATION`] | histogram | `outcome`: `success`, `failure`, `rejected` or `cancelled` |
//! | [`SIGNATURE_AGE`] | histogram | |
//! | [`DEDUPE_TOTAL`] | counter | `outcome`: a [`DedupeOutcome`], or `cancelled` |
//! | [`STORE_DURATION`] | histogram | `operation`: `claim`, `complete`, `confirm` or `release` |
//!
//! The first three are recorded by [`VerifyWebhook`](crate::VerifyWebhook), the others by [`Dedupe`](crate::Dedupe). A
//! [`Verifier`](crate::Verifier) that is called directly records nothing. No label contains an id or any other text from a
//! request.
//!
//! # Buckets
//!
//! Most exporters need the bounds of a histogram's buckets. All three are in seconds. These fit the default settings:
//!
//! | histogram | buckets | why |
//! |---|---|---|
//! | [`DURATION`] | 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 | the body may take [10 s](crate::VerifyWebhookLayer::body_timeout), and WorkOS waits a few seconds for the response |
//! | [`SIGNATURE_AGE`] | 0.5, 1, 2, 5, 10, 30, 60, 120, 180 | an older signature is rejected: the last bound is the [tolerance](crate::Verifier::tolerance) |
//! | [`STORE_DURATION`] | 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2 | the last bound is the [time-out](crate::DedupeLayer::store_timeout) |
//!
//! With a higher tolerance, add bounds up to it. The webhook services of `tower-workos-mirror` and `tower-workos-inbox` accept
//! signatures of up to four days, so that a late retry is accepted: add 3600, 86400 and 345600.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use tokio::time::Instant;

use crate::{dedupe::DedupeOutcome, rejection::RejectionKind};

/// Requests, by what the verification decided. `accepted`: the delivery is genuine and was passed to the inner service;
/// `cancelled`: the request was dropped before it was decided, usually because the client disconnected; otherwise the
/// [kind](crate::RejectionKind) of the rejection, such as `SignatureMismatch`.
///
/// Each request is counted once, when it is decided. What the inner service did with it is in [`DURATION`].
pub const REQUESTS_TOTAL: &str = "workos_webhook_requests_total";
/// Seconds from the call of the service until its response, by outcome. `success`: the response is 2xx; `failure`: the inner
/// service returned another status or an error, or panicked; `rejected`: the request was rejected; `cancelled`: it was
/// dropped before the response, because the client disconnected or a time-out outside this layer fired.
pub const DURATION: &str = "workos_webhook_duration_seconds";
/// Seconds from the time in a signature until the signature was verified, by the verifier's [clock](crate::Clock). Only genuine
/// signatures are recorded. A time in the future counts as 0.
pub const SIGNATURE_AGE: &str = "workos_webhook_signature_age_seconds";
/// Requests with an event, by what [`Dedupe`](crate::Dedupe) did: a [`DedupeOutcome`], or
/// `cancelled` if the request was dropped before its response. A handler that panics is `Released`.
pub const DEDUPE_TOTAL: &str = "workos_dedupe_total";
/// Seconds from a call of the [store](crate::DedupeStore) until its result, by operation, whether it succeeded or failed. A
/// call that takes longer than the [time-out](crate::DedupeLayer::store_timeout) is recorded when the time-out fires; one
/// whose request is dropped, when it ends in the background. The statement of a handler that completes its claim in its own
/// transaction is not measured.
pub const STORE_DURATION: &str = "workos_store_duration_seconds";

/// Registers the descriptions of the metrics. Call it once, after the recorder is installed.
pub fn describe() {
    describe_counter!(
        REQUESTS_TOTAL,
        Unit::Count,
        "Webhook requests, by what the verification decided"
    );
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "Time from a webhook request until its response, by outcome"
    );
    describe_histogram!(
        SIGNATURE_AGE,
        Unit::Seconds,
        "Age of genuine signatures when they were verified"
    );
    describe_counter!(DEDUPE_TOTAL, Unit::Count, "Events, by what the deduplication did");
    describe_histogram!(
        STORE_DURATION,
        Unit::Seconds,
        "Duration of a call of the dedupe store, by operation"
    );
}

/// The labels of [`DURATION`].
#[derive(Clone, Copy)]
pub(crate) enum End {
    Cancelled,
    Failure,
    Rejected,
    Success,
}

/// A request, from the call of the service until its response.
pub(crate) struct Request {
    started: Instant,
    is_decided: bool,
}

// Every label is a literal, because the macros allocate for any other.
impl Request {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), is_decided: false }
    }

    pub(crate) fn accepted(&mut self) {
        self.is_decided = true;
        counter!(REQUESTS_TOTAL, "outcome" => "accepted").increment(1);
    }

    pub(crate) fn rejected(&mut self, kind: RejectionKind) {
        self.is_decided = true;
        match kind {
            RejectionKind::BodyRead => counter!(REQUESTS_TOTAL, "outcome" => "BodyRead"),
            RejectionKind::BodyTimeout => counter!(REQUESTS_TOTAL, "outcome" => "BodyTimeout"),
            RejectionKind::BodyTooLarge => counter!(REQUESTS_TOTAL, "outcome" => "BodyTooLarge"),
            RejectionKind::InvalidPayload => {
                counter!(REQUESTS_TOTAL, "outcome" => "InvalidPayload")
            }
            RejectionKind::MalformedSignature => {
                counter!(REQUESTS_TOTAL, "outcome" => "MalformedSignature")
            }
            RejectionKind::MethodNotAllowed => {
                counter!(REQUESTS_TOTAL, "outcome" => "MethodNotAllowed")
            }
            RejectionKind::MissingSignature => {
                counter!(REQUESTS_TOTAL, "outcome" => "MissingSignature")
            }
            RejectionKind::SignatureMismatch => {
                counter!(REQUESTS_TOTAL, "outcome" => "SignatureMismatch")
            }
            RejectionKind::TimestampOutsideTolerance => {
                counter!(REQUESTS_TOTAL, "outcome" => "TimestampOutsideTolerance")
            }
        }
        .increment(1);
    }

    /// The end of the request. If it was not decided before, it is counted as cancelled.
    pub(crate) fn ended(&self, end: End) {
        if !self.is_decided {
            counter!(REQUESTS_TOTAL, "outcome" => "cancelled").increment(1);
        }
        match end {
            End::Cancelled => histogram!(DURATION, "outcome" => "cancelled"),
            End::Failure => histogram!(DURATION, "outcome" => "failure"),
            End::Rejected => histogram!(DURATION, "outcome" => "rejected"),
            End::Success => histogram!(DURATION, "outcome" => "success"),
        }
        .record(self.started.elapsed());
    }
}

/// The age of a signature that was verified.
pub(crate) fn signature_age(age: impl FnOnce() -> Duration) {
    histogram!(SIGNATURE_AGE).record(age());
}

/// What became of an event; `None` if its request was dropped.
pub(crate) fn dedupe(outcome: Option<DedupeOutcome>) {
    match outcome {
        None => counter!(DEDUPE_TOTAL, "outcome" => "cancelled"),
        Some(DedupeOutcome::Completed) => counter!(DEDUPE_TOTAL, "outcome" => "Completed"),
        Some(DedupeOutcome::Duplicate) => counter!(DEDUPE_TOTAL, "outcome" => "Duplicate"),
        Some(DedupeOutcome::InFlight) => counter!(DEDUPE_TOTAL, "outcome" => "InFlight"),
        Some(DedupeOutcome::LeaseExpired) => counter!(DEDUPE_TOTAL, "outcome" => "LeaseExpired"),
        Some(DedupeOutcome::Misplaced) => counter!(DEDUPE_TOTAL, "outcome" => "Misplaced"),
        Some(DedupeOutcome::NotCompleted) => counter!(DEDUPE_TOTAL, "outcome" => "NotCompleted"),
        Some(DedupeOutcome::NotRecorded) => counter!(DEDUPE_TOTAL, "outcome" => "NotRecorded"),
        Some(DedupeOutcome::Released) => counter!(DEDUPE_TOTAL, "outcome" => "Released"),
        Some(DedupeOutcome::StoreError) => counter!(DEDUPE_TOTAL, "outcome" => "StoreError"),
    }
    .increment(1);
}

/// The labels of [`STORE_DURATION`].
#[derive(Clone, Copy)]
pub(crate) enum Operation {
    Claim,
    Complete,
    Confirm,
    Release,
}

/// A call of the store, from its start until this is dropped.
pub(crate) struct StoreCall {
    started: Instant,
    operation: Operation,
}

impl StoreCall {
    pub(crate) fn start(operation: Operation) -> Self {
        Self { started: Instant::now(), operation }
    }
}

impl Drop for StoreCall {
    fn drop(&mut self) {
        match self.operation {
            Operation::Claim => histogram!(STORE_DURATION, "operation" => "claim"),
            Operation::Complete => histogram!(STORE_DURATION, "operation" => "complete"),
            Operation::Confirm => histogram!(STORE_DURATION, "operation" => "confirm"),
            Operation::Release => histogram!(STORE_DURATION, "operation" => "release"),
        }
        .record(self.started.elapsed());
    }
}
