//! A test case: a request and the expected response.

use std::time::Duration;

use tower_workos::testing::sample::{self, Sample};

use super::request::RawRequest;
use crate::ids::fresh_id;

/// A request and its expected response.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) expect: Expect,
    pub(super) request: RawRequest,
}

/// The expected response. The status is that of tower-workos.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// Not signed with the secret, or not recently: an endpoint that accepts it can be deceived.
    Forged(u16),
    /// Must be accepted with 2xx.
    Genuine,
    /// Signed with the secret, but not a delivery that WorkOS would send.
    Malformed(u16),
}

/// What the cases are built from.
pub(super) struct Forge<'a> {
    pub(super) secret: &'a [u8],
    /// Unix time in milliseconds.
    pub(super) now: i64,
    pub(super) tolerance: Duration,
}

impl Forge<'_> {
    /// The current time, as WorkOS writes it.
    pub(super) fn time(&self) -> String {
        self.now.to_string()
    }

    pub(super) fn seconds(&self) -> String {
        (self.now / 1000).to_string()
    }

    /// A time that is one minute older than the tolerance allows.
    pub(super) fn stale(&self) -> String {
        self.now.saturating_sub(self.beyond()).to_string()
    }

    /// A time that is one minute further in the future than the tolerance allows.
    pub(super) fn future(&self) -> String {
        self.now.saturating_add(self.beyond()).to_string()
    }

    fn beyond(&self) -> i64 {
        i64::try_from(self.tolerance.as_millis()).unwrap_or(i64::MAX).saturating_add(60_000)
    }

    /// A body with a new event id, so that a store of handled events does not hide the verification.
    pub(super) fn body(&self) -> Vec<u8> {
        self.body_of(sample::USER_UPDATED)
    }

    pub(super) fn body_of(&self, sample: Sample) -> Vec<u8> {
        let id = format!("event_{}", fresh_id(self.now));
        sample.with_id(&id).to_vec()
    }

    /// Returns the header that WorkOS would send with this body.
    pub(super) fn header(&self, body: &[u8]) -> String {
        self.header_at(&self.time(), body)
    }

    /// Returns a correctly signed header with any text as its time.
    pub(super) fn header_at(&self, time: &str, body: &[u8]) -> String {
        format!("t={time}, v1={}", self.mac(time, body))
    }

    pub(super) fn mac(&self, time: &str, body: &[u8]) -> String {
        super::request::mac(self.secret, time, body)
    }

    /// Returns a genuine delivery of this body.
    pub(super) fn genuine(&self, body: impl Into<Vec<u8>>) -> RawRequest {
        let body = body.into();
        RawRequest::new(self.header(&body), body)
    }
}
