//! What the stores in databases share.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use crate::dedupe::StoreError;

/// The token of a claim in a database: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClaimToken([u8; 16]);

impl ClaimToken {
    pub(super) fn new() -> Result<Self, StoreError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| StoreError::unavailable(error.to_string()))?;
        Ok(Self(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ClaimToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimToken(..)")
    }
}

/// The drivers' calls are `async fn`s, whose futures have no name.
pub(super) type StoreFuture<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// A hundred years: longer than any lease or retention, short enough for every database's arithmetic.
const LONGEST: i64 = 100 * 365 * 24 * 60 * 60 * 1000;

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).map_or(LONGEST, |millis| millis.min(LONGEST))
}

/// What is left of a lease, at least a millisecond.
pub(super) fn remaining(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(1).max(1))
}
