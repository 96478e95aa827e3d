//! The lag and the failures of a running poller.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    metrics,
    poller::{drain::Drain, error::PollError},
};

/// The lag of a running poller.
pub(crate) struct Health {
    /// The lag at a time. It grows from then on.
    last: (Instant, Duration),
}

impl Health {
    pub(crate) fn new() -> Self {
        Self { last: (Instant::now(), Duration::ZERO) }
    }

    pub(crate) fn succeeded(&mut self, drain: &Drain) {
        self.last = (Instant::now(), drain.lag);
    }

    /// Logs a temporary error, and returns any other.
    pub(crate) fn failed(&mut self, error: PollError) -> Result<(), PollError> {
        let (since, lag) = self.last;
        metrics::poller_lag(lag.saturating_add(since.elapsed()));
        if !error.is_temporary() {
            return Err(error);
        }
        let error = error.without_payload();
        tracing::warn!(target: "tower_workos_mirror::poller", %error, "events can't be polled: trying again");
        Ok(())
    }
}
