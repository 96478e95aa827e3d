//! Where the deliveries come from.

use std::{cell::RefCell, rc::Rc, time::Duration};

use dsync_cli::directory::{Deliveries, Delivery, Life, Schedule};
use tokio::time::Instant;

/// If the rate was not reached, at most this much of the delay is made up.
const MAX_LAG: Duration = Duration::from_secs(1);

/// The deliveries that are sent for the first time.
pub(crate) enum Source {
    /// The events of a life that another task runs.
    Live(Rc<RefCell<Schedule>>),
    /// The events of a life that happen when they are sent.
    Simulated { deliveries: Box<Deliveries<Life>>, pace: Option<Pace> },
}

/// What a source has.
pub(super) enum Feed {
    Delivery(Delivery),
    /// Nothing more.
    End,
    /// Nothing until a notification.
    Wait,
    /// Nothing until this time.
    WaitUntil(Instant),
}

impl Source {
    pub(super) fn simulated(deliveries: Deliveries<Life>, rate: Option<u32>) -> Self {
        Self::Simulated { deliveries: Box::new(deliveries), pace: rate.map(Pace::new) }
    }

    pub(super) fn next(&mut self, now: Instant) -> Feed {
        match self {
            Self::Live(schedule) => {
                let mut schedule = schedule.borrow_mut();
                match schedule.pop_due() {
                    Some(delivery) => Feed::Delivery(delivery),
                    None if schedule.is_over() => Feed::End,
                    None => Feed::Wait,
                }
            }
            Self::Simulated { deliveries, pace } => {
                if let Some(slot) = pace.as_mut().and_then(|pace| pace.next(now)) {
                    return Feed::WaitUntil(slot);
                }
                deliveries.next().map_or(Feed::End, Feed::Delivery)
            }
        }
    }

    /// The number of events dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        match self {
            Self::Live(schedule) => schedule.borrow().dropped(),
            Self::Simulated { deliveries, .. } => deliveries.dropped(),
        }
    }
}

/// Spaces deliveries evenly in time.
pub(crate) struct Pace {
    interval: Duration,
    next: Option<Instant>,
}

impl Pace {
    fn new(rate: u32) -> Self {
        Self { interval: Duration::from_secs(1) / rate.max(1), next: None }
    }

    /// Returns when the next delivery may be sent. `None` means now, and uses up the slot.
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
    fn the_pace_is_even_and_makes_up_for_one_second_only() {
        let mut pace = Pace::new(10);
        let now = Instant::now();
        assert_eq!(pace.next(now), None);
        assert_eq!(pace.next(now), Some(now + Duration::from_millis(100)));
        // An hour later, it is one second behind.
        let later = now + Duration::from_secs(3600);
        let sent = std::iter::from_fn(|| pace.next(later).is_none().then_some(())).count();
        assert_eq!(sent, 11);
    }
}
