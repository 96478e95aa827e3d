//! Counts the events by their result.

use std::collections::HashMap;

use dsync_cli::directory::{Delivery, State};
use tower_workos::DirectoryEvent;

/// Counts events, not deliveries: an event with two deliveries is acknowledged if one of them is.
pub(super) struct Ledger {
    pub(super) state: Option<State>,
    pub(super) acknowledged: u64,
    /// Every attempt was rejected or got no response.
    pub(super) given_up: u64,
    /// The part of `given_up` that the application may have handled, because a response was lost.
    pub(super) uncertain: u64,
    /// Not finished when the simulation was interrupted.
    pub(super) open: u64,
    /// Events with several deliveries, some of which are not finished.
    several: HashMap<u64, Several>,
}

struct Several {
    acknowledged: bool,
    uncertain: bool,
    left: u8,
}

/// The final result of a delivery.
#[derive(Clone, Copy)]
pub(super) enum End {
    Acknowledged,
    GivenUp { uncertain: bool },
}

impl Ledger {
    pub(super) fn new(keep_state: bool) -> Self {
        Self {
            state: keep_state.then(State::default),
            acknowledged: 0,
            given_up: 0,
            uncertain: 0,
            open: 0,
            several: HashMap::new(),
        }
    }

    /// The number of finished events.
    pub(super) fn settled(&self) -> u64 {
        self.acknowledged + self.given_up
    }

    pub(super) fn end(&mut self, delivery: &Delivery, end: End) {
        if delivery.copies() == 1 {
            if matches!(end, End::Acknowledged) {
                self.apply(delivery);
            }
            return self.settle(end);
        }
        let sequence = delivery.event().sequence();
        let several = self.several.entry(sequence).or_insert_with(|| Several {
            acknowledged: false,
            uncertain: false,
            left: delivery.copies(),
        });
        several.left = several.left.saturating_sub(1);
        let first = match end {
            End::Acknowledged => !std::mem::replace(&mut several.acknowledged, true),
            End::GivenUp { uncertain } => {
                several.uncertain |= uncertain;
                false
            }
        };
        let settled = (several.left == 0).then_some(several.end());
        if first {
            self.apply(delivery);
        }
        if let Some(end) = settled {
            self.several.remove(&sequence);
            self.settle(end);
        }
    }

    /// Counts the unfinished events after an interruption. `failed` are the deliveries that were waiting for a retry.
    pub(super) fn close(&mut self, failed: impl IntoIterator<Item = Delivery>) {
        let failed = failed.into_iter().filter(|delivery| delivery.copies() == 1).count();
        self.open = u64::try_from(failed).unwrap_or(u64::MAX);
        for (_, several) in std::mem::take(&mut self.several) {
            match several.end() {
                End::Acknowledged => self.acknowledged += 1,
                End::GivenUp { .. } => self.open += 1,
            }
        }
    }

    fn settle(&mut self, end: End) {
        match end {
            End::Acknowledged => self.acknowledged += 1,
            End::GivenUp { uncertain } => {
                self.given_up += 1;
                self.uncertain += u64::from(uncertain);
            }
        }
    }

    fn apply(&mut self, delivery: &Delivery) {
        if let Some(state) = &mut self.state
            // The bodies of a `Life` are always valid.
            && let Ok(event) = DirectoryEvent::parse(delivery.event().body().clone())
        {
            state.apply(&event);
        }
    }
}

impl Several {
    fn end(&self) -> End {
        if self.acknowledged {
            End::Acknowledged
        } else {
            End::GivenUp { uncertain: self.uncertain }
        }
    }
}

#[cfg(test)]
mod tests {
    use dsync_cli::directory::{Deliveries, Life, Order, Plan, Share};

    use super::*;

    fn twice() -> Delivery {
        let order = Order::new(1).duplicates(Share::ALL);
        Deliveries::new(Life::new(Plan::new(1)), order).next().unwrap()
    }

    fn counts(ends: &[End]) -> [u64; 4] {
        let mut ledger = Ledger::new(true);
        let delivery = twice();
        ends.iter().for_each(|&end| ledger.end(&delivery, end));
        let known = ledger.state.as_ref().unwrap().snapshot().directories.len();
        [ledger.acknowledged, ledger.given_up, ledger.uncertain, u64::try_from(known).unwrap()]
    }

    #[test]
    fn an_event_delivered_twice_counts_once() {
        let lost = End::GivenUp { uncertain: true };
        let rejected = End::GivenUp { uncertain: false };
        assert_eq!(counts(&[End::Acknowledged]), [0, 0, 0, 1]);
        assert_eq!(counts(&[End::Acknowledged, End::Acknowledged]), [1, 0, 0, 1]);
        assert_eq!(counts(&[End::Acknowledged, lost]), [1, 0, 0, 1]);
        assert_eq!(counts(&[lost, End::Acknowledged]), [1, 0, 0, 1]);
        assert_eq!(counts(&[lost, rejected]), [0, 1, 1, 0]);
        assert_eq!(counts(&[rejected, rejected]), [0, 1, 0, 0]);
    }

    #[test]
    fn interrupted_events_are_open() {
        let mut ledger = Ledger::new(false);
        ledger.end(&twice(), End::GivenUp { uncertain: true });
        let once = Deliveries::new(Life::new(Plan::new(1)), Order::new(1)).next().unwrap();
        ledger.close([once, twice()]);
        assert_eq!((ledger.acknowledged, ledger.given_up, ledger.open), (0, 0, 2));
    }
}
