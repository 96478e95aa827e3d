//! What there is to send, and what came of it.

use std::time::Duration;

use dsync_cli::directory::{Deliveries, Delivery, Life};
use tokio::time::Instant;
use tower_workos::testing;

use super::{
    engine::{Outcome, Settings},
    ledger::{End, Ledger},
    log::Log,
    retry::{Backoff, Waiting},
    stats::Stats,
};
use crate::client::{Answer, SendError};

/// While this many deliveries wait for a retry, no new ones are sent. It bounds the memory they take.
const MAX_WAITING: usize = 10_000;
/// A rate that was not kept is not made up for by more than this.
const MAX_LAG: Duration = Duration::from_secs(1);

/// New deliveries, those that wait for a retry, and the accounts. Workers share it.
pub(super) struct Queue {
    deliveries: Deliveries<Life>,
    waiting: Waiting<Attempt>,
    backoff: Option<Backoff>,
    pace: Option<Pace>,
    pub(super) stats: Stats,
    pub(super) ledger: Ledger,
    /// Kept for the check alone.
    log: Option<Log>,
    in_flight: u64,
    /// Nothing new is to come.
    ended: bool,
    stopped: bool,
}

/// A delivery and its attempts so far.
pub(super) struct Attempt {
    pub(super) delivery: Delivery,
    /// As it was first sent, where its signature is to be kept.
    pub(super) signed: Option<testing::Delivery>,
    attempts: u8,
    /// The place of the latest attempt in the log.
    place: usize,
    /// Whether an answer was lost, so that the endpoint may have handled it.
    uncertain: bool,
}

/// What a worker does next.
pub(super) enum Next {
    Send(Attempt),
    /// Wait for this time, or for a change.
    WaitUntil(Instant),
    /// Wait for a change.
    Wait,
    End,
}

impl Queue {
    pub(super) fn new(settings: &Settings, deliveries: Deliveries<Life>) -> Self {
        Self {
            deliveries,
            waiting: Waiting::new(),
            backoff: settings.backoff.clone(),
            pace: settings.rate.map(Pace::new),
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
            if let Some(slot) = self.pace.as_mut().and_then(|pace| pace.next(now)) {
                let due = self.waiting.next_due();
                return Next::WaitUntil(due.map_or(slot, |due| due.min(slot)));
            }
            if let Some(delivery) = self.deliveries.next() {
                let (signed, uncertain) = (None, false);
                return self.send(Attempt { delivery, signed, attempts: 0, place: 0, uncertain });
            }
            self.ended = true;
        }
        match self.waiting.next_due() {
            Some(due) => Next::WaitUntil(due),
            // What is under way may have to be sent again.
            None if self.in_flight > 0 => Next::Wait,
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

    /// Takes an answer in. True where workers that wait should ask again.
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

    /// Sends nothing more.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many events are settled, dropped ones included.
    pub(super) fn settled(&self) -> u64 {
        self.ledger.settled() + self.deliveries.dropped()
    }

    /// Settles the accounts.
    pub(super) fn close(&mut self, elapsed: Duration, interrupted: bool) -> Outcome {
        let waiting = std::mem::replace(&mut self.waiting, Waiting::new());
        let in_flight = self.in_flight;
        self.ledger.close(waiting.into_rest().map(|attempt| attempt.delivery));
        Outcome {
            stats: std::mem::replace(&mut self.stats, Stats::new()),
            state: self.ledger.state.take(),
            log: self.log.take(),
            acknowledged: self.ledger.acknowledged,
            given_up: self.ledger.given_up,
            uncertain: self.ledger.uncertain,
            open: self.ledger.open + in_flight,
            dropped: self.deliveries.dropped(),
            elapsed,
            interrupted,
        }
    }
}

/// A number of deliveries a second, evenly.
struct Pace {
    interval: Duration,
    next: Option<Instant>,
}

impl Pace {
    fn new(rate: u32) -> Self {
        Self { interval: Duration::from_secs(1) / rate.max(1), next: None }
    }

    /// When the next delivery may be sent; `None` is now, and takes its place.
    fn next(&mut self, now: Instant) -> Option<Instant> {
        let slot = self.next.unwrap_or(now);
        if slot > now {
            return Some(slot);
        }
        let earliest = now.checked_sub(MAX_LAG).unwrap_or(slot);
        self.next = Some(slot.max(earliest) + self.interval);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_even_and_makes_up_for_a_second_only() {
        let mut pace = Pace::new(10);
        let now = Instant::now();
        assert_eq!(pace.next(now), None);
        assert_eq!(pace.next(now), Some(now + Duration::from_millis(100)));
        // An hour later, it is a second behind.
        let later = now + Duration::from_secs(3600);
        let sent = std::iter::from_fn(|| pace.next(later).is_none().then_some(())).count();
        assert_eq!(sent, 11);
    }
}
