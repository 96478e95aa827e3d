//! Reports what becomes of an event: in metrics and in the span of its delivery.

use crate::{dedupe::outcome::DedupeOutcome, metrics};

/// Follows a request with an event until its response, or until it is dropped.
pub(super) struct Observer {
    state: State,
}

enum State {
    /// There is nothing to report, or it was reported.
    Done,
    /// The inner service is running: if this is dropped now, it panicked.
    Running,
    Waiting,
}

impl Observer {
    pub(super) fn new() -> Self {
        Self { state: State::Waiting }
    }

    /// For a request that passes through.
    pub(super) fn none() -> Self {
        Self { state: State::Done }
    }

    /// Runs the inner service.
    pub(super) fn run<T>(&mut self, service: impl FnOnce() -> T) -> T {
        if matches!(self.state, State::Done) {
            return service();
        }
        self.state = State::Running;
        let output = service();
        self.state = State::Waiting;
        output
    }

    pub(super) fn ended(&mut self, outcome: DedupeOutcome) {
        if !matches!(self.state, State::Done) {
            self.state = State::Done;
            report(outcome);
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        match self.state {
            State::Done => {}
            State::Running => report(DedupeOutcome::Released),
            State::Waiting => metrics::dedupe(None),
        }
    }
}

fn report(outcome: DedupeOutcome) {
    metrics::dedupe(Some(outcome));
    // The span of the delivery, unless the application has opened another one inside it. Spans without the field ignore it.
    #[cfg(feature = "tracing")]
    tracing::Span::current().record("dedupe", outcome.as_str());
}
