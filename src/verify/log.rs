//! The rate-limited log of the middleware.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use tracing::Level;

use crate::{
    budget::{Budget, LINES_PER_SECOND},
    event::{DirectoryEvent, Excerpt},
    rejection::{Rejection, RejectionKind},
};

/// The target of rejections.
const REJECTION: &str = "tower_workos::rejection";
/// The target of accepted events.
const VERIFY: &str = "tower_workos::verify";

/// A rate-limited log, shared by all services of one layer.
///
/// Suppressed lines are counted. The count is logged with the next rejection, with the next accepted event (at most once per
/// second), or when the layer and its last service are dropped.
pub(crate) struct Log {
    started: Instant,
    budgets: [Budget; 8],
    #[cfg(feature = "tonic")]
    stray: Budget,
    summary: Budget,
    suppressed: AtomicU64,
}

impl Log {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            budgets: Default::default(),
            #[cfg(feature = "tonic")]
            stray: Budget::default(),
            summary: Budget::default(),
            suppressed: AtomicU64::new(0),
        }
    }

    /// Whether to log a rejection, and how many were suppressed before it.
    fn admit(&self, kind: RejectionKind) -> Option<u64> {
        // A disabled line must neither use up the budget nor reset the count.
        let enabled = if kind == RejectionKind::MethodNotAllowed {
            tracing::enabled!(target: REJECTION, Level::DEBUG)
        } else {
            tracing::enabled!(target: REJECTION, Level::WARN)
        };
        if !enabled {
            return None;
        }
        if self.budget(kind).is_some_and(|budget| !budget.take(self.second(), LINES_PER_SECOND)) {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.suppressed.swap(0, Ordering::Relaxed))
    }

    /// Logs a rejected request.
    pub(super) fn rejected(&self, rejection: &Rejection) {
        let Some(suppressed) = self.admit(rejection.kind()) else {
            return;
        };
        // Mostly health checks and crawlers.
        if rejection.kind() == RejectionKind::MethodNotAllowed {
            tracing::debug!(
                target: REJECTION,
                kind = rejection.kind().as_str(),
                status = rejection.status().as_u16(),
                reason = %rejection,
                hint = rejection.hint(),
                suppressed = some(suppressed),
                "request rejected"
            );
        } else {
            let unreadable = rejection.parse_error();
            tracing::warn!(
                target: REJECTION,
                kind = rejection.kind().as_str(),
                status = rejection.status().as_u16(),
                event_id = unreadable.and_then(|event| event.id()).map(|id| tracing::field::display(Excerpt(id.as_str()))),
                event_name = unreadable.and_then(|event| event.name()).map(|name| tracing::field::display(Excerpt(name))),
                reason = %rejection,
                hint = rejection.hint(),
                suppressed = some(suppressed),
                "request rejected"
            );
        }
    }

    /// Logs a request to another path that looks like a delivery. It is not verified, so its rate is limited too.
    #[cfg(feature = "tonic")]
    pub(crate) fn stray_delivery(&self, endpoint: &str) {
        const TARGET: &str = "tower_workos::grpc";

        if !tracing::enabled!(target: TARGET, Level::WARN) {
            return;
        }
        if !self.stray.take(self.second(), LINES_PER_SECOND) {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        tracing::warn!(
            target: TARGET,
            status = 404,
            endpoint,
            hint = "set the endpoint's URL in the WorkOS dashboard to the path given to GrpcWebhookLayer",
            "a webhook delivery was sent to a path that is not the endpoint's; responded with 404"
        );
    }

    /// Logs an event that is passed to the inner service.
    #[inline]
    pub(super) fn accepted(&self, event: &DirectoryEvent) {
        tracing::debug!(target: VERIFY, event_id = ?Excerpt(event.id().as_str()), event_name = ?Excerpt(event.name()), "event accepted");
        if self.suppressed.load(Ordering::Relaxed) > 0 {
            self.summarize();
        }
    }

    #[cold]
    fn summarize(&self) {
        if self.summary.take(self.second(), 1) {
            self.log_suppressed();
        }
    }

    fn log_suppressed(&self) {
        let suppressed = self.suppressed.swap(0, Ordering::Relaxed);
        if suppressed > 0 {
            tracing::warn!(target: REJECTION, suppressed, "rejected requests were not logged");
        }
    }

    /// The budget of a kind of rejection; `None` for one that only the sender can cause, which is always logged.
    fn budget(&self, kind: RejectionKind) -> Option<&Budget> {
        let [read, timeout, large, malformed, method, missing, mismatch, time] = &self.budgets;
        Some(match kind {
            RejectionKind::BodyRead => read,
            RejectionKind::BodyTimeout => timeout,
            RejectionKind::BodyTooLarge => large,
            RejectionKind::InvalidPayload => return None,
            RejectionKind::MalformedSignature => malformed,
            RejectionKind::MethodNotAllowed => method,
            RejectionKind::MissingSignature => missing,
            RejectionKind::SignatureMismatch => mismatch,
            RejectionKind::TimestampOutsideTolerance => time,
        })
    }

    /// Seconds since the layer was created, counted from 1.
    fn second(&self) -> u64 {
        self.started.elapsed().as_secs().saturating_add(1)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.log_suppressed();
    }
}

/// The value of the field `suppressed`, which is omitted if it is 0.
pub(super) fn some(suppressed: u64) -> Option<u64> {
    (suppressed > 0).then_some(suppressed)
}
