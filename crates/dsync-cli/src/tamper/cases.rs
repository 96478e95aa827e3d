//! What is sent, and what should come of it.

use std::time::Duration;

use tower_workos::testing::sample::{self, Sample};

use super::request::RawRequest;
use crate::ids::fresh_id;

/// One request and its expected answer.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) expect: Expect,
    pub(super) request: RawRequest,
}

/// What should come back. The status is what tower-workos answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// Nobody with the secret has signed this, or not now: to accept it is to be deceived.
    Forged(u16),
    /// 2xx.
    Genuine,
    /// Signed with the secret, but not a delivery that WorkOS makes.
    Malformed(u16),
}

/// What cases are made of.
pub(super) struct Forge<'a> {
    pub(super) secret: &'a [u8],
    /// Unix time in milliseconds.
    pub(super) now: i64,
    pub(super) tolerance: Duration,
}

impl Forge<'_> {
    /// The time, as WorkOS writes it.
    pub(super) fn time(&self) -> String {
        self.now.to_string()
    }

    pub(super) fn seconds(&self) -> String {
        (self.now / 1000).to_string()
    }

    /// A minute more than the tolerance ago.
    pub(super) fn stale(&self) -> String {
        self.now.saturating_sub(self.beyond()).to_string()
    }

    /// A minute more than the tolerance ahead.
    pub(super) fn future(&self) -> String {
        self.now.saturating_add(self.beyond()).to_string()
    }

    fn beyond(&self) -> i64 {
        i64::try_from(self.tolerance.as_millis()).unwrap_or(i64::MAX).saturating_add(60_000)
    }

    /// An event of its own each time, so that no store of handled ones answers for the verification.
    pub(super) fn body(&self) -> Vec<u8> {
        self.body_of(sample::USER_UPDATED)
    }

    pub(super) fn body_of(&self, sample: Sample) -> Vec<u8> {
        let id = format!("event_{}", fresh_id(self.now));
        sample.with_id(&id).to_vec()
    }

    /// The header that WorkOS would send with this body.
    pub(super) fn header(&self, body: &[u8]) -> String {
        self.header_at(&self.time(), body)
    }

    /// The same, with this text as the time, whatever it is.
    pub(super) fn header_at(&self, time: &str, body: &[u8]) -> String {
        format!("t={time}, v1={}", self.mac(time, body))
    }

    pub(super) fn mac(&self, time: &str, body: &[u8]) -> String {
        super::request::mac(self.secret, time, body)
    }

    /// A genuine delivery of this body.
    pub(super) fn genuine(&self, body: impl Into<Vec<u8>>) -> RawRequest {
        let body = body.into();
        RawRequest::new(self.header(&body), body)
    }
}
