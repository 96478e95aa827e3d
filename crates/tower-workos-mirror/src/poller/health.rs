//! How a poller that runs is doing.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    metrics,
    poller::{drain::Drain, error::PollError},
};

/// How a poller that runs is doing.
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

    /// Returns the error if it does not pass.
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
