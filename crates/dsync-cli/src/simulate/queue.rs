//! Decides what the workers send next, and records the results.

use std::time::Duration;

use dsync_cli::directory::Delivery;
use tokio::time::Instant;
use tower_workos::testing;

use super::{
    feed::{Feed, Source},
    ledger::{End, Ledger},
    log::Log,
    outcome::Outcome,
    retry::{Backoff, Waiting},
    settings::Settings,
    stats::Stats,
};
use crate::client::{Answer, SendError};

/// While this many deliveries wait for a retry, no new ones are sent. This bounds their memory.
const MAX_WAITING: usize = 10_000;

/// New deliveries, those that wait for a retry, and the counters. All workers share it.
pub(super) struct Queue {
    source: Source,
    waiting: Waiting<Attempt>,
    backoff: Option<Backoff>,
    pub(super) stats: Stats,
    pub(super) ledger: Ledger,
    /// Only `--check` needs it.
    log: Option<Log>,
    in_flight: u64,
    /// Whether there are no more new deliveries.
    ended: bool,
    stopped: bool,
}

/// A delivery and its attempts so far.
pub(super) struct Attempt {
    pub(super) delivery: Delivery,
    /// The first attempt, with `--keep-signature`.
    pub(super) signed: Option<testing::Delivery>,
    attempts: u8,
    /// The index of the latest attempt in the log.
    place: usize,
    /// Whether a response was lost, so that the application may have handled the event.
    uncertain: bool,
}

/// What a worker does next.
pub(super) enum Next {
    Send(Attempt),
    /// Wait until this time or for a notification.
    WaitUntil(Instant),
    /// Wait for a notification.
    Wait,
    End,
}

impl Queue {
    pub(super) fn new(settings: &Settings, source: Source) -> Self {
        Self {
            source,
            waiting: Waiting::new(),
            backoff: settings.backoff.clone(),
            stats: Stats::new(),
            ledger: Ledger::new(settings.keep_state),
            log: settings.check.is_some().then(Log::default),
            in_flight: 0,
            ended: false,
            stopped: false,
        }
    }

    pub(super) fn next(&mut self, now: Instant) -> Next {
        if self.stopped {
            return Next::End;
        }
        if let Some(attempt) = self.waiting.pop_due(now) {
            self.stats.retries += 1;
            return self.send(attempt);
        }
        if !self.ended && self.waiting.len() < MAX_WAITING {
            match self.source.next(now) {
                Feed::Delivery(delivery) => {
                    let (signed, uncertain) = (None, false);
                    return self.send(Attempt {
                        delivery,
                        signed,
                        attempts: 0,
                        place: 0,
                        uncertain,
                    });
                }
                Feed::WaitUntil(slot) => {
                    let due = self.waiting.next_due();
                    return Next::WaitUntil(due.map_or(slot, |due| due.min(slot)));
                }
                Feed::Wait => {}
                Feed::End => self.ended = true,
            }
        }
        match self.waiting.next_due() {
            Some(due) => Next::WaitUntil(due),
            // A delivery in flight may fail and need a retry, and an event may happen.
            None if self.in_flight > 0 || !self.ended => Next::Wait,
            None => Next::End,
        }
    }

    fn send(&mut self, mut attempt: Attempt) -> Next {
        self.in_flight += 1;
        if let Some(log) = &mut self.log {
            attempt.place = log.send(attempt.delivery.event().sequence());
        }
        Next::Send(attempt)
    }

    /// Records a result. Returns whether the waiting workers must be notified.
    pub(super) fn record(
        &mut self,
        mut attempt: Attempt,
        result: &Result<Answer, SendError>,
        now: Instant,
    ) -> bool {
        self.stats.record(result);
        if let Some(log) = &mut self.log {
            log.reply(attempt.place, result);
        }
        self.in_flight -= 1;
        attempt.attempts += 1;
        if result.as_ref().is_ok_and(|answer| answer.status.is_success()) {
            self.ledger.end(&attempt.delivery, End::Acknowledged);
            return self.ended && self.in_flight == 0;
        }
        attempt.uncertain |= result.as_ref().is_err_and(|error| error.sent);
        let pause = self.backoff.as_mut().and_then(|backoff| backoff.pause(attempt.attempts));
        match pause {
            Some(pause) => {
                self.waiting.push(now + pause, attempt);
                true
            }
            None => {
                self.ledger.end(&attempt.delivery, End::GivenUp { uncertain: attempt.uncertain });
                self.ended && self.in_flight == 0
            }
        }
    }

    /// Ends every worker after its current delivery.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The number of events that are finished, including dropped ones.
    pub(super) fn settled(&self) -> u64 {
        self.ledger.settled() + self.source.dropped()
    }

    /// Counts what is unfinished, and returns the result.
    pub(super) fn close(&mut self, elapsed: Duration, interrupted: bool) -> Outcome {
        let waiting = std::mem::replace(&mut self.waiting, Waiting::new());
        let in_flight = self.in_flight;
        self.ledger.close(waiting.into_items().map(|attempt| attempt.delivery));
        Outcome {
            stats: std::mem::replace(&mut self.stats, Stats::new()),
            state: self.ledger.state.take(),
            log: self.log.take(),
            acknowledged: self.ledger.acknowledged,
            given_up: self.ledger.given_up,
            uncertain: self.ledger.uncertain,
            open: self.ledger.open + in_flight,
            dropped: self.source.dropped(),
            elapsed,
            interrupted,
        }
    }
}
