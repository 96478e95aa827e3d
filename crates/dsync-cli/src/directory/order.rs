//! The order in which events arrive: rarely the one in which they happened.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use super::{
    life::Event,
    random::{Random, Share},
};

/// How many events later a late one may come.
const LATE: u64 = 1000;
/// How many events later a duplicate may come, where the reordering does not allow for more.
const DUPLICATE: u64 = 16;

/// How the order of deliveries differs from the order of events.
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
    /// As it happened.
    pub fn new(seed: u64) -> Self {
        Self { seed, reorder: 0, duplicates: Share::NONE, late: Share::NONE, drop: Share::NONE }
    }

    /// Lets an event arrive up to this many events later.
    pub fn reorder(mut self, window: u32) -> Self {
        self.reorder = window;
        self
    }

    /// Delivers a share of the events twice.
    pub fn duplicates(mut self, share: Share) -> Self {
        self.duplicates = share;
        self
    }

    /// Delivers a share of the events up to 1000 events late, as a retry that follows newer events does.
    pub fn late(mut self, share: Share) -> Self {
        self.late = share;
        self
    }

    /// Never delivers a share of the events.
    pub fn drop(mut self, share: Share) -> Self {
        self.drop = share;
        self
    }
}

/// An event on its way.
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

    /// How many deliveries this event has in all.
    #[must_use]
    pub fn copies(&self) -> u8 {
        self.copies
    }
}

/// The deliveries of a life's events, in order of arrival. It holds back no more events than the options ask for.
#[derive(Debug)]
pub struct Deliveries<I> {
    events: I,
    order: Order,
    random: Random,
    held: BinaryHeap<Reverse<Held>>,
    /// Events taken so far.
    taken: u64,
    /// Deliveries held so far.
    number: u64,
    dropped: u64,
    ended: bool,
}

impl<I: Iterator<Item = Event>> Deliveries<I> {
    /// Delivers these events.
    pub fn new(events: I, order: Order) -> Self {
        Self {
            events,
            order,
            random: Random::new(order.seed, "order"),
            held: BinaryHeap::new(),
            taken: 0,
            number: 0,
            dropped: 0,
            ended: false,
        }
    }

    /// How many events were dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The events behind.
    #[must_use]
    pub fn events(&self) -> &I {
        &self.events
    }

    fn take(&mut self, event: Event) {
        let order = self.order;
        let now = self.taken;
        self.taken += 1;
        // Asked in any case, so that an option changes what it is about and nothing else.
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

    fn hold(&mut self, due: u64, delivery: Delivery) {
        self.held.push(Reverse(Held { due, number: self.number, delivery }));
        self.number += 1;
    }
}

impl<I: Iterator<Item = Event>> Iterator for Deliveries<I> {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        loop {
            let due = self.held.peek().map(|Reverse(held)| held.due);
            // What comes next is due no earlier than at `taken`.
            if due.is_some_and(|due| self.ended || due < self.taken) {
                return self.held.pop().map(|Reverse(held)| held.delivery);
            }
            if self.ended {
                return None;
            }
            match self.events.next() {
                Some(event) => self.take(event),
                None => self.ended = true,
            }
        }
    }
}

/// Ordered by when it is due, then by which was held first.
#[derive(Debug)]
struct Held {
    due: u64,
    number: u64,
    delivery: Delivery,
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Held {}
