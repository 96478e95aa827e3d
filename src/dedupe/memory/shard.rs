use std::time::Duration;

use hashbrown::HashTable;

use crate::dedupe::{Claim, Completion, StoreError};

/// Keys that a new one forgets at most, of those whose retention is over, and of those whose lease is.
const EXPIRED_PER_KEY: usize = 4;

/// A part of the keys.
///
/// An entry stands in one place from its claim until it is forgotten, and is in one of three lists, in the order in
/// which it came there. The index holds no more than places, and a place that becomes free is the next to be taken:
/// so the memory that a call touches stays small however much there is.
pub(super) struct Shard {
    index: HashTable<Slot>,
    entries: Vec<Entry>,
    done: List,
    free: List,
    in_flight: List,
    capacity: usize,
    last_token: u64,
}

/// 128 bits of a keyed hash, of which one half chooses the place in a shard, the other the shard.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    pub(super) place: u64,
    pub(super) shard: u64,
}

struct Entry {
    key: Fingerprint,
    token: u64,
    /// The end of the retention, or of the lease.
    until: u64,
    previous: Slot,
    next: Slot,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Done,
    Free,
    InFlight,
}

/// Where an entry is, in half of a pointer's size.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Slot(u32);

impl Slot {
    /// No entry is here: a shard has fewer.
    const NONE: Self = Self(u32::MAX);

    fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

struct List {
    first: Slot,
    last: Slot,
}

impl List {
    const EMPTY: Self = Self { first: Slot::NONE, last: Slot::NONE };
}

impl Shard {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            index: HashTable::new(),
            entries: Vec::new(),
            done: List::EMPTY,
            free: List::EMPTY,
            in_flight: List::EMPTY,
            capacity: capacity.min(Slot::NONE.index()),
            last_token: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn claim(
        &mut self,
        key: Fingerprint,
        now: u64,
        lease_until: u64,
    ) -> Result<Claim<u64>, StoreError> {
        let token = self.last_token.wrapping_add(1);
        match self.find(key) {
            None => self.insert(key, now, token, lease_until)?,
            Some(slot) => {
                let Some(entry) = self.entry(slot) else { return Err(StoreError::full()) };
                let left = entry.until.saturating_sub(now);
                match entry.state {
                    State::Done if left > 0 => return Ok(Claim::Done),
                    State::InFlight if left > 0 => {
                        return Ok(Claim::InFlight { retry_after: Duration::from_millis(left) });
                    }
                    State::Done | State::Free | State::InFlight => {}
                }
                entry.token = token;
                entry.until = lease_until;
                self.move_to(slot, State::InFlight);
            }
        }
        self.last_token = token;
        Ok(Claim::Acquired(token))
    }

    pub(super) fn complete(
        &mut self,
        key: Fingerprint,
        token: u64,
        now: u64,
        until: u64,
    ) -> Completion {
        let Some(slot) = self.find(key) else { return Completion::Stale };
        match self.entry(slot) {
            Some(entry) if entry.token == token && entry.until > now => {
                entry.until = until;
                self.move_to(slot, State::Done);
                Completion::Completed
            }
            _ => Completion::Stale,
        }
    }

    pub(super) fn release(&mut self, key: Fingerprint, token: u64) {
        let Some(slot) = self.find(key) else { return };
        if self.entry(slot).is_some_and(|it| it.token == token && it.state == State::InFlight) {
            self.forget(slot);
        }
    }

    fn find(&self, key: Fingerprint) -> Option<Slot> {
        let is_key =
            |slot: &Slot| self.entries.get(slot.index()).is_some_and(|entry| entry.key == key);
        self.index.find(key.place, is_key).copied()
    }

    fn entry(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.entries.get_mut(slot.index())
    }

    /// Takes a key in, which is not there.
    fn insert(
        &mut self,
        key: Fingerprint,
        now: u64,
        token: u64,
        until: u64,
    ) -> Result<(), StoreError> {
        self.forget_expired(now);
        if self.len() >= self.capacity {
            self.make_room(now)?;
        }
        let mut slot = self.free.first;
        if slot == Slot::NONE {
            slot = u32::try_from(self.entries.len()).map_or(Slot::NONE, Slot);
            self.grow();
            let (previous, next) = (Slot::NONE, Slot::NONE);
            self.entries.push(Entry { key, token, until, previous, next, state: State::Free });
        } else if let Some(entry) = self.entry(slot) {
            (entry.key, entry.token, entry.until) = (key, token, until);
        }
        self.move_to(slot, State::InFlight);
        let place = |slot: &Slot| self.entries.get(slot.index()).map_or(0, |entry| entry.key.place);
        self.index.insert_unique(key.place, slot, place);
        Ok(())
    }

    /// Doubles the entries where they are full, as `Vec` does, but never beyond the capacity.
    fn grow(&mut self) {
        let len = self.entries.len();
        if len == self.entries.capacity() {
            self.entries.reserve_exact(self.capacity.saturating_sub(len).min(len.max(4)));
        }
    }

    /// Forgets a few of those whose time is over, so that no single call pays for many.
    fn forget_expired(&mut self, now: u64) {
        for _ in 0..EXPIRED_PER_KEY {
            for oldest in [self.done.first, self.in_flight.first] {
                if self.entry(oldest).is_some_and(|entry| entry.until <= now) {
                    self.forget(oldest);
                }
            }
        }
    }

    /// Forgets the key that has been done for longest, else one whose holder crashed.
    fn make_room(&mut self, now: u64) -> Result<(), StoreError> {
        let mut slot = self.done.first;
        if slot == Slot::NONE {
            slot = self.in_flight.first;
            while let Some(held) = self.entries.get(slot.index()).filter(|held| held.until > now) {
                slot = held.next;
            }
        }
        if slot == Slot::NONE {
            return Err(StoreError::full());
        }
        self.forget(slot);
        Ok(())
    }

    fn forget(&mut self, slot: Slot) {
        let Some(place) = self.entry(slot).map(|entry| entry.key.place) else { return };
        if let Ok(indexed) = self.index.find_entry(place, |it| *it == slot) {
            indexed.remove();
        }
        self.move_to(slot, State::Free);
    }

    /// Puts an entry at the end of its state's list.
    fn move_to(&mut self, slot: Slot, state: State) {
        let Some(entry) = self.entry(slot) else { return };
        let (previous, next) = (entry.previous, entry.next);
        let left = entry.state;
        match self.entry(previous) {
            Some(entry) => entry.next = next,
            None => self.list(left).first = next,
        }
        match self.entry(next) {
            Some(entry) => entry.previous = previous,
            None => self.list(left).last = previous,
        }
        let list = self.list(state);
        let last = std::mem::replace(&mut list.last, slot);
        match self.entry(last) {
            Some(entry) => entry.next = slot,
            None => self.list(state).first = slot,
        }
        if let Some(entry) = self.entry(slot) {
            (entry.previous, entry.next, entry.state) = (last, Slot::NONE, state);
        }
    }

    fn list(&mut self, state: State) -> &mut List {
        match state {
            State::Done => &mut self.done,
            State::Free => &mut self.free,
            State::InFlight => &mut self.in_flight,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(index: u64) -> Fingerprint {
        Fingerprint { place: index, shard: index }
    }

    fn acquire(shard: &mut Shard, index: u64, now: u64) -> u64 {
        match shard.claim(key(index), now, now + 10) {
            Ok(Claim::Acquired(token)) => token,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn leases_and_retention_at_their_boundaries() {
        let mut shard = Shard::new(9);
        let token = acquire(&mut shard, 1, 0);
        let in_flight = |millis| Claim::InFlight { retry_after: Duration::from_millis(millis) };
        assert_eq!(shard.claim(key(1), 9, 99).unwrap(), in_flight(1));
        assert_eq!(
            shard.complete(key(1), token, 10, 99),
            Completion::Stale,
            "the lease ended at 10"
        );
        let next = acquire(&mut shard, 1, 10);
        assert_eq!(shard.complete(key(1), token, 11, 99), Completion::Stale);
        shard.release(key(1), token);
        assert_eq!(shard.claim(key(1), 11, 99).unwrap(), in_flight(9));
        assert_eq!(shard.complete(key(1), next, 19, 30), Completion::Completed);
        shard.release(key(1), next);
        assert_eq!(shard.claim(key(1), 29, 99).unwrap(), Claim::Done);
        acquire(&mut shard, 1, 30);
    }

    #[test]
    fn what_is_in_flight_is_never_forgotten() {
        let mut shard = Shard::new(2);
        let first = acquire(&mut shard, 1, 0);
        acquire(&mut shard, 2, 0);
        assert!(shard.claim(key(3), 0, 10).unwrap_err().is_full());
        // A done one makes room, the oldest first.
        assert_eq!(shard.complete(key(1), first, 1, 99), Completion::Completed);
        let third = acquire(&mut shard, 3, 1);
        assert_eq!(shard.complete(key(3), third, 1, 99), Completion::Completed);
        acquire(&mut shard, 4, 2);
        assert!(matches!(shard.claim(key(2), 3, 10).unwrap(), Claim::InFlight { .. }));
        // So do crashed holders, once their leases are over.
        acquire(&mut shard, 5, 10);
        assert_eq!(shard.len(), 2);
    }

    #[test]
    fn a_crashed_holder_behind_a_long_lease_makes_room() {
        let mut shard = Shard::new(2);
        assert_eq!(shard.claim(key(1), 0, 99).unwrap(), Claim::Acquired(1));
        acquire(&mut shard, 2, 0);
        assert!(shard.claim(key(3), 9, 99).unwrap_err().is_full());
        acquire(&mut shard, 3, 10);
        assert!(matches!(shard.claim(key(1), 10, 99).unwrap(), Claim::InFlight { .. }));
    }

    #[test]
    fn a_refused_claim_changes_nothing() {
        let mut shard = Shard::new(1);
        let token = acquire(&mut shard, 1, 0);
        assert!(shard.claim(key(2), 0, 10).unwrap_err().is_full());
        assert_eq!(shard.complete(key(1), token, 1, 99), Completion::Completed);
        assert_eq!(shard.claim(key(1), 2, 10).unwrap(), Claim::Done);
    }

    #[test]
    fn no_more_is_reserved_than_there_may_be() {
        let mut shard = Shard::new(100);
        for index in 0..100 {
            acquire(&mut shard, index, 0);
            assert!(shard.entries.capacity() <= (2 * shard.entries.len()).clamp(4, 100));
        }
    }

    #[test]
    fn crashed_holders_are_forgotten_without_being_asked_for() {
        let mut shard = Shard::new(1_000_000);
        for index in 0..10_000 {
            acquire(&mut shard, index, index * 10);
        }
        assert_eq!(shard.len(), 1);
        assert_eq!(shard.entries.len(), 1, "their places are taken again");
    }

    #[test]
    fn what_is_done_is_forgotten_in_small_bites() {
        let mut shard = Shard::new(1000);
        for index in 0..100 {
            let token = acquire(&mut shard, index, 0);
            assert_eq!(shard.complete(key(index), token, 1, 50), Completion::Completed);
        }
        for bite in 1..=30 {
            shard.forget_expired(50);
            assert_eq!(shard.len(), 100_usize.saturating_sub(bite * EXPIRED_PER_KEY));
        }
    }
}
