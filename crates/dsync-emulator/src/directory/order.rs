//! The order in which events are delivered.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    life::Event,
    random::{Random, Share},
};

/// By how many events a late delivery may be delayed.
const LATE: u64 = 1000;
/// By how many events a duplicate may be delayed, unless the reordering allows more.
const DUPLICATE: u64 = 16;

/// How the deliveries differ from the order of the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Order {
    seed: u64,
    reorder: u32,
    duplicates: Share,
    late: Share,
    drop: Share,
}

impl Order {
    /// Creates the order in which the events happened, without duplicates or losses.
    pub fn new(seed: u64) -> Self {
        Self { seed, reorder: 0, duplicates: Share::NONE, late: Share::NONE, drop: Share::NONE }
    }

    /// Delays each event by up to this many events.
    pub fn reorder(mut self, window: u32) -> Self {
        self.reorder = window;
        self
    }

    /// Delivers a share of the events twice.
    pub fn duplicates(mut self, share: Share) -> Self {
        self.duplicates = share;
        self
    }

    /// Delays a share of the events by up to 1000 events, as a late retry would.
    pub fn late(mut self, share: Share) -> Self {
        self.late = share;
        self
    }

    /// Drops a share of the events.
    pub fn drop(mut self, share: Share) -> Self {
        self.drop = share;
        self
    }
}

/// A delivery of an event.
#[derive(Clone, Debug)]
pub struct Delivery {
    event: Arc<Event>,
    copies: u8,
}

impl Delivery {
    /// The event.
    #[must_use]
    pub fn event(&self) -> &Arc<Event> {
        &self.event
    }

    /// The total number of deliveries of this event.
    #[must_use]
    pub fn copies(&self) -> u8 {
        self.copies
    }
}

/// Decides when events are delivered, for a caller that gets the events one after the other. [`Deliveries`] is the same
/// for an iterator of events.
#[derive(Debug)]
pub struct Schedule {
    order: Order,
    random: Random,
    /// By the number of events after which each is due, and a number that keeps the order of equal ones.
    held: BTreeMap<(u64, u64), Delivery>,
    /// The number of events so far.
    taken: u64,
    /// The number of deliveries so far.
    number: u64,
    dropped: u64,
    ended: bool,
}

impl Schedule {
    /// Creates a schedule without events.
    #[must_use]
    pub fn new(order: Order) -> Self {
        Self {
            order,
            random: Random::new(order.seed, "order"),
            held: BTreeMap::new(),
            taken: 0,
            number: 0,
            dropped: 0,
            ended: false,
        }
    }

    /// Adds the next event.
    pub fn add(&mut self, event: Event) {
        let order = self.order;
        let now = self.taken;
        self.taken += 1;
        // Every number is drawn for every event, so that one option does not change the effect of another.
        let dropped = self.random.chance(order.drop);
        let late = self.random.chance(order.late);
        let twice = self.random.chance(order.duplicates);
        let moved = self.random.below(u64::from(order.reorder) + 1);
        let lateness = 1 + self.random.below(LATE);
        let distance = 1 + self.random.below(DUPLICATE.max(order.reorder.into()));
        if dropped {
            self.dropped += 1;
            return;
        }
        let due = now.saturating_add(if late { lateness } else { moved });
        let delivery = Delivery { event: Arc::new(event), copies: if twice { 2 } else { 1 } };
        if twice {
            self.hold(due.saturating_add(distance), delivery.clone());
        }
        self.hold(due, delivery);
    }

    /// Marks the end of the events: the deliveries that are still held are due now.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Returns the next delivery that is due, or `None` until there are more events.
    pub fn pop_due(&mut self) -> Option<Delivery> {
        let due = self.held.first_key_value().map(|((due, _), _)| *due)?;
        // The next event will be due at `taken` or later.
        if self.ended || due < self.taken {
            return self.held.pop_first().map(|(_, delivery)| delivery);
        }
        None
    }

    /// Returns whether [`end`](Self::end) was called and nothing is held.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ended && self.held.is_empty()
    }

    /// Returns the number of events dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn hold(&mut self, due: u64, delivery: Delivery) {
        self.held.insert((due, self.number), delivery);
        self.number += 1;
    }
}

/// An iterator over the deliveries of events. It holds back no more events than the options need.
#[derive(Debug)]
pub struct Deliveries<I> {
    events: I,
    schedule: Schedule,
}

impl<I: Iterator<Item = Event>> Deliveries<I> {
    /// Creates the deliveries of these events.
    pub fn new(events: I, order: Order) -> Self {
        Self { events, schedule: Schedule::new(order) }
    }

    /// Returns the number of events dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.schedule.dropped()
    }

    /// Returns the source of the events.
    #[must_use]
    pub fn events(&self) -> &I {
        &self.events
    }
}

impl<I: Iterator<Item = Event>> Iterator for Deliveries<I> {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        loop {
            if let Some(delivery) = self.schedule.pop_due() {
                return Some(delivery);
            }
            if self.schedule.is_over() {
                return None;
            }
            match self.events.next() {
                Some(event) => self.schedule.add(event),
                None => self.schedule.end(),
            }
        }
    }
}
