use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    fmt,
    future::{Ready, ready},
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::dedupe::{Claim, Completion, DedupeKey, DedupeStore, StoreError};

/// Done keys that a call removes at most, of those whose retention is over.
const EXPIRED_PER_CALL: usize = 4;
/// Keys in flight below which no sweep looks for expired ones.
const SWEEP_FROM: usize = 64;
/// A power of two, so that the mask chooses evenly.
const SHARDS: usize = 64;
const SHARD_MASK: u64 = 63;

/// Remembers events in this process's memory: for one replica, until it restarts.
///
/// Bounded by a capacity and by the retention. Where it is full, a new event takes the place of the event that has
/// been done for longest; events in flight are never forgotten, and if there are nothing but those, the claim fails
/// with [`StoreError::full`]. Time is the monotonic clock's, so steps of the wall clock change nothing.
///
/// A key is kept as a 128-bit keyed hash (SipHash, with keys made at random), not as text: two of 10 million ids
/// share one with a probability below 10⁻²⁴.
///
/// Clones share what is remembered.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    shards: Vec<Mutex<Shard>>,
    shard_capacity: usize,
    hashers: [RandomState; 2],
    start: Instant,
}

impl MemoryStore {
    /// A store for this many events, rounded up to a multiple of 64.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
                shard_capacity: capacity.div_ceil(SHARDS).max(1),
                hashers: [RandomState::new(), RandomState::new()],
                start: Instant::now(),
            }),
        }
    }

    /// How many events are remembered, in flight or done; those whose time is over may still be counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `f` with the key's fingerprint, its shard, and the time.
    fn with<T>(
        &self,
        key: &DedupeKey,
        f: impl FnOnce(Fingerprint, &mut Shard, u64) -> T,
    ) -> Option<T> {
        let [first, second] = &self.shared.hashers;
        let fingerprint = Fingerprint(first.hash_one(key), second.hash_one(key));
        // The second half chooses the shard, the first the place in it.
        let shard = usize::try_from(fingerprint.1 & SHARD_MASK).ok()?;
        let shard = self.shared.shards.get(shard)?;
        let now = millis(self.shared.start.elapsed());
        Some(f(fingerprint, &mut lock(shard), now))
    }
}

impl Default for MemoryStore {
    /// A store for 100 000 events, some 10 MB when full.
    fn default() -> Self {
        Self::new(100_000)
    }
}

impl DedupeStore for MemoryStore {
    type Token = u64;
    type ClaimFuture = Ready<Result<Claim<u64>, StoreError>>;
    type CompleteFuture = Ready<Result<Completion, StoreError>>;
    type ReleaseFuture = Ready<Result<(), StoreError>>;

    fn claim(&self, key: &DedupeKey, lease: Duration) -> Self::ClaimFuture {
        let capacity = self.shared.shard_capacity;
        let claim = self.with(key, |fingerprint, shard, now| {
            shard.claim(fingerprint, now, now.saturating_add(millis(lease)), capacity)
        });
        ready(claim.unwrap_or_else(|| Err(StoreError::full())))
    }

    fn complete(&self, key: &DedupeKey, token: &u64, retention: Duration) -> Self::CompleteFuture {
        let completion = self.with(key, |fingerprint, shard, now| {
            shard.complete(fingerprint, *token, now, now.saturating_add(millis(retention)))
        });
        ready(Ok(completion.unwrap_or(Completion::Stale)))
    }

    fn release(&self, key: &DedupeKey, token: &u64) -> Self::ReleaseFuture {
        self.abandon(key, token);
        ready(Ok(()))
    }

    fn abandon(&self, key: &DedupeKey, token: &u64) {
        self.with(key, |fingerprint, shard, _| shard.release(fingerprint, *token));
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// A part of the keys, under a lock of its own. Every call takes one lock, once, and waits for nothing under it.
#[derive(Default)]
struct Shard {
    in_flight: HashMap<Fingerprint, Holder, Prehashed>,
    done: HashMap<Fingerprint, Finished, Prehashed>,
    /// The done ones, in the order in which they were completed.
    order: VecDeque<Fingerprint>,
    /// Not before this is any of them over; `u64::MAX` where there is none.
    expire_at: u64,
    last_token: u64,
    sweep_at: usize,
}

struct Holder {
    token: u64,
    lease_until: u64,
}

struct Finished {
    token: u64,
    until: u64,
}

impl Shard {
    fn len(&self) -> usize {
        self.in_flight.len() + self.done.len()
    }

    fn claim(
        &mut self,
        key: Fingerprint,
        now: u64,
        lease_until: u64,
        capacity: usize,
    ) -> Result<Claim<u64>, StoreError> {
        self.expire(now);
        if self.done.get(&key).is_some_and(|finished| finished.until > now) {
            return Ok(Claim::Done);
        }
        let token = self.last_token.wrapping_add(1);
        let holder = Holder { token, lease_until };
        let full = self.len() >= capacity || self.in_flight.len() >= self.sweep_at.max(SWEEP_FROM);
        match self.in_flight.entry(key) {
            Entry::Occupied(mut taken) => {
                let left = taken.get().lease_until.saturating_sub(now);
                if left > 0 {
                    return Ok(Claim::InFlight { retry_after: Duration::from_millis(left) });
                }
                taken.insert(holder);
            }
            Entry::Vacant(free) if !full => {
                free.insert(holder);
            }
            Entry::Vacant(_) => {
                self.make_room(now, capacity)?;
                self.in_flight.insert(key, holder);
            }
        }
        self.last_token = token;
        Ok(Claim::Acquired(token))
    }

    fn complete(&mut self, key: Fingerprint, token: u64, now: u64, until: u64) -> Completion {
        match self.in_flight.entry(key) {
            Entry::Occupied(held) if held.get().token == token && held.get().lease_until > now => {
                held.remove();
                self.done.insert(key, Finished { token, until });
                self.order.push_back(key);
                self.expire_at = self.expire_at.min(until);
                Completion::Completed
            }
            Entry::Occupied(_) => Completion::Stale,
            Entry::Vacant(_) => match self.done.get_mut(&key) {
                Some(finished) if finished.token == token && finished.until > now => {
                    finished.until = until;
                    Completion::Completed
                }
                _ => Completion::Stale,
            },
        }
    }

    fn release(&mut self, key: Fingerprint, token: u64) {
        if self.in_flight.get(&key).is_some_and(|holder| holder.token == token) {
            self.in_flight.remove(&key);
        }
    }

    /// Forgets a few of the done keys whose time is over, so that no single call pays for many.
    fn expire(&mut self, now: u64) {
        if now < self.expire_at {
            return;
        }
        for _ in 0..EXPIRED_PER_CALL {
            match self.order.front().map(|key| self.done.get(key)) {
                Some(Some(finished)) if finished.until > now => {
                    self.expire_at = finished.until;
                    return;
                }
                Some(_) => self.forget_oldest(),
                None => {
                    self.expire_at = u64::MAX;
                    return;
                }
            }
        }
    }

    fn make_room(&mut self, now: u64, capacity: usize) -> Result<(), StoreError> {
        // Holders that crashed are found when the number in flight has doubled since the last look.
        if self.in_flight.len() >= self.sweep_at.max(SWEEP_FROM) || self.in_flight.len() >= capacity
        {
            self.in_flight.retain(|_, holder| holder.lease_until > now);
            self.sweep_at = self.in_flight.len().saturating_mul(2);
        }
        while self.len() >= capacity {
            if self.order.is_empty() {
                return Err(StoreError::full());
            }
            self.forget_oldest();
        }
        Ok(())
    }

    fn forget_oldest(&mut self) {
        if let Some(key) = self.order.pop_front() {
            self.done.remove(&key);
        }
    }
}

/// A poisoned shard is used on: nothing in a call can panic between two changes that belong together.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Fingerprint(u64, u64);

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

type Prehashed = BuildHasherDefault<First>;

/// Hashes a [`Fingerprint`], which is a hash already.
#[derive(Default)]
struct First(u64);

impl Hasher for First {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(index: u64) -> Fingerprint {
        Fingerprint(index, index)
    }

    fn acquire(shard: &mut Shard, index: u64, now: u64, capacity: usize) -> u64 {
        match shard.claim(key(index), now, now + 10, capacity) {
            Ok(Claim::Acquired(token)) => token,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn leases_and_retention_at_their_boundaries() {
        let mut shard = Shard::default();
        let token = acquire(&mut shard, 1, 0, 9);
        let in_flight = |millis| Claim::InFlight { retry_after: Duration::from_millis(millis) };
        assert_eq!(shard.claim(key(1), 9, 99, 9).unwrap(), in_flight(1));
        assert_eq!(
            shard.complete(key(1), token, 10, 99),
            Completion::Stale,
            "the lease ended at 10"
        );
        let next = acquire(&mut shard, 1, 10, 9);
        assert_eq!(shard.complete(key(1), token, 11, 99), Completion::Stale);
        shard.release(key(1), token);
        assert_eq!(shard.claim(key(1), 11, 99, 9).unwrap(), in_flight(9));
        assert_eq!(shard.complete(key(1), next, 19, 30), Completion::Completed);
        shard.release(key(1), next);
        assert_eq!(shard.claim(key(1), 29, 99, 9).unwrap(), Claim::Done);
        acquire(&mut shard, 1, 30, 9);
    }

    #[test]
    fn what_is_in_flight_is_never_forgotten() {
        let mut shard = Shard::default();
        let first = acquire(&mut shard, 1, 0, 2);
        acquire(&mut shard, 2, 0, 2);
        assert!(shard.claim(key(3), 0, 10, 2).unwrap_err().is_full());
        // A done one makes room, the oldest first.
        assert_eq!(shard.complete(key(1), first, 1, 99), Completion::Completed);
        let third = acquire(&mut shard, 3, 1, 2);
        assert_eq!(shard.complete(key(3), third, 1, 99), Completion::Completed);
        acquire(&mut shard, 4, 2, 2);
        assert!(matches!(shard.claim(key(2), 3, 10, 2).unwrap(), Claim::InFlight { .. }));
        // So do crashed holders, once their leases are over.
        acquire(&mut shard, 5, 10, 2);
        assert_eq!(shard.len(), 2);
    }

    #[test]
    fn crashed_holders_are_swept_without_being_asked_for() {
        let mut shard = Shard::default();
        for index in 0..10_000 {
            acquire(&mut shard, index, index * 10, 1_000_000);
        }
        assert!(shard.len() <= 2 * SWEEP_FROM, "{}", shard.len());
    }

    #[test]
    fn what_is_done_is_forgotten_in_small_bites() {
        let mut shard = Shard::default();
        for index in 0..100 {
            let token = acquire(&mut shard, index, 0, 1000);
            assert_eq!(shard.complete(key(index), token, 1, 50), Completion::Completed);
        }
        for call in 1..=30 {
            shard.expire(50);
            assert_eq!(shard.done.len(), 100_usize.saturating_sub(call * EXPIRED_PER_CALL));
            assert_eq!(shard.order.len(), shard.done.len());
        }
    }
}
