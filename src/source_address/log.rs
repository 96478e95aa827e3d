//! The rate-limited log of the middleware.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use crate::{
    budget::{Budget, LINES_PER_SECOND},
    source_address::{client::ClientAddress, rejection::SourceRejection},
};

const TARGET: &str = "tower_workos::source_address";

/// A log that is shared by all services of one layer.
pub(super) struct Log {
    started: Instant,
    unknown: Budget,
    unlisted: Budget,
    suppressed: AtomicU64,
}

impl Log {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            unknown: Budget::default(),
            unlisted: Budget::default(),
            suppressed: AtomicU64::new(0),
        }
    }

    /// Logs a rejection, or what would have been one.
    pub(super) fn rejected(
        &self,
        rejection: &SourceRejection,
        client: &ClientAddress,
        passed: bool,
    ) {
        let (enabled, budget) = match rejection {
            SourceRejection::AddressUnknown => {
                (tracing::enabled!(target: TARGET, tracing::Level::ERROR), &self.unknown)
            }
            SourceRejection::NotListed { .. } => {
                (tracing::enabled!(target: TARGET, tracing::Level::WARN), &self.unlisted)
            }
        };
        // A disabled line must neither use up the budget nor reset the count.
        if !enabled {
            return;
        }
        if !budget.take(self.second(), LINES_PER_SECOND) {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let suppressed = self.suppressed.swap(0, Ordering::Relaxed);
        let suppressed = (suppressed > 0).then_some(suppressed);
        let outcome =
            if passed { "passed on, because of insecure_report_only" } else { "request rejected" };
        match rejection {
            SourceRejection::AddressUnknown => tracing::error!(
                target: TARGET,
                kind = rejection.as_str(),
                status = (!passed).then(|| rejection.status().as_u16()),
                source = %client.source(),
                hint = client.hint(),
                suppressed,
                "the address of the client is unknown: {outcome}"
            ),
            SourceRejection::NotListed { address } => tracing::warn!(
                target: TARGET,
                kind = rejection.as_str(),
                status = (!passed).then(|| rejection.status().as_u16()),
                %address,
                source = %client.source(),
                hint = "ignore this if the request is not from WorkOS; otherwise compare the list with WorkOS's documentation, \
                    and check where the address comes from",
                suppressed,
                "the address of the client is not listed: {outcome}"
            ),
        }
    }

    /// Seconds since the layer was created, counted from 1.
    fn second(&self) -> u64 {
        self.started.elapsed().as_secs().saturating_add(1)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let suppressed = self.suppressed.swap(0, Ordering::Relaxed);
        if suppressed > 0 {
            tracing::warn!(target: TARGET, suppressed, "requests from unlisted or unknown addresses were not logged");
        }
    }
}
