use std::{
    fmt,
    future::{Ready, ready},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hashlink::LinkedHashMap;

use crate::dedupe::store::{Claim, Completion, DedupeKey, DedupeStore, StoreError};

/// A new key removes at most this many expired entries of each kind, so that no single call pays for many. (If the store is
/// full of events in progress, a call checks all of them.)
const EXPIRED_PER_KEY: usize = 4;

/// Remembers events in this process's memory: for one replica, until it restarts.
///
/// It is bounded by a capacity and by the retention. If it is full, a new event replaces the event that has been done for
/// longest. Events in progress are never forgotten: if there are no others, the claim fails with [`StoreError::full`].
/// Times are those of the monotonic clock, so changes of the system time have no effect.
///
/// A key is kept as a 128-bit keyed hash (SipHash, with random keys), not as text. The probability that any two of 10
/// million ids have the same hash is below 10⁻²⁴.
///
/// Clones share the remembered events.
///
/// ```
/// use std::time::Duration;
///
/// use tower_workos::{
///     DedupeLayer, DedupeStore, MemoryStore,
///     dedupe::{Claim, Completion, DedupeKey, StoreError},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), StoreError> {
/// // About 1 MB when full.
/// let store = MemoryStore::new(10_000);
/// let dedupe = DedupeLayer::new("workos", store.clone());
/// # let _ = dedupe;
///
/// // What the layer does for each event:
/// let key = DedupeKey::new("workos", "event_01HXYZ".into());
/// let minute = Duration::from_secs(60);
/// if let Claim::Acquired(token) = store.claim(&key, minute).await? {
///     // The handler runs, and succeeds.
///     assert_eq!(store.complete(&key, &token, 60 * minute).await?, Completion::Completed);
/// }
/// assert_eq!(store.claim(&key, minute).await?, Claim::Done);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    entries: Mutex<Entries>,
    hashers: [RandomState; 2],
    start: Instant,
}

impl MemoryStore {
    /// Creates a store for this many events, at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                entries: Mutex::new(Entries::new(capacity.max(1))),
                hashers: [RandomState::new(), RandomState::new()],
                start: Instant::now(),
            }),
        }
    }

    /// How many events are remembered, in progress or done; expired ones may still be counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no events are remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn fingerprint(&self, key: &DedupeKey) -> Fingerprint {
        Fingerprint(self.shared.hashers.each_ref().map(|hasher| hasher.hash_one(key)))
    }

    fn now(&self) -> u64 {
        millis(self.shared.start.elapsed())
    }

    /// Ignores poisoning: no call can panic between two changes that belong together.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.shared.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    /// Creates a store for 100 000 events, about 10 MB when full.
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
        let (key, now) = (self.fingerprint(key), self.now());
        ready(self.lock().claim(key, now, now.saturating_add(millis(lease))))
    }

    fn complete(&self, key: &DedupeKey, token: &u64, retention: Duration) -> Self::CompleteFuture {
        let (key, now) = (self.fingerprint(key), self.now());
        let until = now.saturating_add(millis(retention));
        ready(Ok(self.lock().complete(key, *token, now, until)))
    }

    fn confirm(&self, key: &DedupeKey, token: &u64) -> Self::CompleteFuture {
        let key = self.fingerprint(key);
        ready(Ok(self.lock().confirm(key, *token)))
    }

    fn release(&self, key: &DedupeKey, token: &u64) -> Self::ReleaseFuture {
        let key = self.fingerprint(key);
        self.lock().release(key, *token);
        ready(Ok(()))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("len", &self.len()).finish_non_exhaustive()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Fingerprint([u64; 2]);

struct Entry {
    token: u64,
    /// In milliseconds since the store's start: the end of the lease or, once done, of the retention.
    until: u64,
}

type Map = LinkedHashMap<Fingerprint, Entry, RandomState>;

/// The remembered events. A key is in at most one of the maps. Each map is in insertion order.
struct Entries {
    in_progress: Map,
    done: Map,
    capacity: usize,
    last_token: u64,
}

impl Entries {
    fn new(capacity: usize) -> Self {
        let map = || Map::with_hasher(RandomState::new());
        Self { in_progress: map(), done: map(), capacity, last_token: 0 }
    }

    fn len(&self) -> usize {
        self.in_progress.len().saturating_add(self.done.len())
    }

    fn claim(&mut self, key: Fingerprint, now: u64, until: u64) -> Result<Claim<u64>, StoreError> {
        if self.done.get(&key).is_some_and(|entry| entry.until > now) {
            return Ok(Claim::Done);
        }
        let left = self.in_progress.get(&key).map_or(0, |entry| entry.until.saturating_sub(now));
        if left > 0 {
            return Ok(Claim::InFlight { retry_after: Duration::from_millis(left) });
        }
        if self.done.remove(&key).is_none() && self.in_progress.remove(&key).is_none() {
            forget_expired(&mut self.done, now);
            forget_expired(&mut self.in_progress, now);
            if self.len() >= self.capacity {
                self.make_room(now)?;
            }
        }
        self.last_token = self.last_token.wrapping_add(1);
        let token = self.last_token;
        self.in_progress.insert(key, Entry { token, until });
        Ok(Claim::Acquired(token))
    }

    fn complete(&mut self, key: Fingerprint, token: u64, now: u64, until: u64) -> Completion {
        let is_ours = |entry: Option<&Entry>| {
            entry.is_some_and(|entry| entry.token == token && entry.until > now)
        };
        if is_ours(self.in_progress.get(&key)) {
            self.in_progress.remove(&key);
        } else if !is_ours(self.done.get(&key)) {
            return Completion::Stale;
        }
        self.done.insert(key, Entry { token, until });
        Completion::Completed
    }

    fn confirm(&self, key: Fingerprint, token: u64) -> Completion {
        match self.done.get(&key) {
            Some(entry) if entry.token == token => Completion::Completed,
            _ => Completion::Stale,
        }
    }

    fn release(&mut self, key: Fingerprint, token: u64) {
        if self.in_progress.get(&key).is_some_and(|entry| entry.token == token) {
            self.in_progress.remove(&key);
        }
    }

    /// Forgets the key that has been done for longest. If none is done, forgets one whose lease has expired.
    fn make_room(&mut self, now: u64) -> Result<(), StoreError> {
        if self.done.pop_front().is_some() {
            return Ok(());
        }
        let expired = self.in_progress.iter().find(|(_, entry)| entry.until <= now);
        let key = *expired.ok_or_else(StoreError::full)?.0;
        self.in_progress.remove(&key);
        Ok(())
    }
}

/// Forgets a few of the oldest entries if they have expired.
fn forget_expired(map: &mut Map, now: u64) {
    for _ in 0..EXPIRED_PER_KEY {
        if map.front().is_none_or(|(_, entry)| entry.until > now) {
            return;
        }
        map.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(index: u64) -> Fingerprint {
        Fingerprint([index, index])
    }

    fn acquire(entries: &mut Entries, index: u64, now: u64) -> u64 {
        match entries.claim(key(index), now, now + 10) {
            Ok(Claim::Acquired(token)) => token,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn leases_and_retention_at_their_bounds() {
        let mut entries = Entries::new(9);
        let token = acquire(&mut entries, 1, 0);
        let in_flight = |millis| Claim::InFlight { retry_after: Duration::from_millis(millis) };
        assert_eq!(entries.claim(key(1), 9, 99).unwrap(), in_flight(1));
        let late = entries.complete(key(1), token, 10, 99);
        assert_eq!(late, Completion::Stale, "the lease ended at 10");
        let next = acquire(&mut entries, 1, 10);
        assert_eq!(entries.complete(key(1), token, 11, 99), Completion::Stale);
        entries.release(key(1), token);
        assert_eq!(entries.claim(key(1), 11, 99).unwrap(), in_flight(9));
        assert_eq!(entries.confirm(key(1), next), Completion::Stale);
        assert_eq!(entries.complete(key(1), next, 19, 30), Completion::Completed);
        assert_eq!(entries.confirm(key(1), next), Completion::Completed);
        assert_eq!(entries.confirm(key(1), token), Completion::Stale);
        entries.release(key(1), next);
        assert_eq!(entries.claim(key(1), 29, 99).unwrap(), Claim::Done);
        acquire(&mut entries, 1, 30);
    }

    #[test]
    fn events_in_progress_are_never_forgotten() {
        let mut entries = Entries::new(2);
        let first = acquire(&mut entries, 1, 0);
        acquire(&mut entries, 2, 0);
        assert!(entries.claim(key(3), 0, 10).unwrap_err().is_full());
        // Events that are done make room, the oldest first.
        assert_eq!(entries.complete(key(1), first, 1, 99), Completion::Completed);
        let third = acquire(&mut entries, 3, 1);
        assert_eq!(entries.complete(key(3), third, 1, 99), Completion::Completed);
        acquire(&mut entries, 4, 2);
        assert!(matches!(entries.claim(key(2), 3, 10).unwrap(), Claim::InFlight { .. }));
        // So do crashed holders, once their leases have expired.
        acquire(&mut entries, 5, 10);
        assert_eq!(entries.len(), 2);
    }

    #[test]
    fn a_crashed_holder_behind_a_long_lease_makes_room() {
        let mut entries = Entries::new(2);
        assert_eq!(entries.claim(key(1), 0, 99).unwrap(), Claim::Acquired(1));
        acquire(&mut entries, 2, 0);
        assert!(entries.claim(key(3), 9, 99).unwrap_err().is_full());
        acquire(&mut entries, 3, 10);
        assert!(matches!(entries.claim(key(1), 10, 99).unwrap(), Claim::InFlight { .. }));
    }

    #[test]
    fn a_failed_claim_changes_nothing() {
        let mut entries = Entries::new(1);
        let token = acquire(&mut entries, 1, 0);
        assert!(entries.claim(key(2), 0, 10).unwrap_err().is_full());
        assert_eq!(entries.complete(key(1), token, 1, 99), Completion::Completed);
        assert_eq!(entries.claim(key(1), 2, 10).unwrap(), Claim::Done);
    }

    #[test]
    fn expired_events_are_forgotten_in_small_steps() {
        let mut entries = Entries::new(1000);
        for index in 0..100 {
            let token = acquire(&mut entries, index, 0);
            assert_eq!(entries.complete(key(index), token, 1, 50), Completion::Completed);
        }
        for step in 1..=30 {
            forget_expired(&mut entries.done, 50);
            assert_eq!(entries.len(), 100_usize.saturating_sub(step * EXPIRED_PER_KEY));
        }
    }

    #[test]
    fn expired_leases_are_forgotten_as_new_events_arrive() {
        let mut entries = Entries::new(1_000_000);
        for index in 0..10_000 {
            acquire(&mut entries, index, index * 10);
        }
        assert_eq!(entries.len(), 1);
    }

    #[test]
    fn exactly_the_capacity_can_be_in_progress() {
        for capacity in [1, 8, 64, 100] {
            let store = MemoryStore::new(capacity);
            for index in 0..=capacity {
                let key = DedupeKey::new("", format!("event_{index}").into());
                let claim = store.claim(&key, Duration::from_secs(60)).into_inner();
                assert_eq!(claim.is_err(), index == capacity, "{index} of {capacity}");
            }
            assert_eq!(store.len(), capacity);
        }
    }

    #[test]
    fn namespaces_are_separate_but_clones_share_events() {
        let store = MemoryStore::new(64);
        assert!(store.is_empty());
        let [here, there] = ["here", "there"].map(|name| DedupeKey::new(name, "event_1".into()));
        let claim = |store: &MemoryStore, key| {
            store.claim(key, Duration::from_secs(60)).into_inner().unwrap()
        };
        assert!(matches!(claim(&store, &here), Claim::Acquired(_)));
        assert!(matches!(claim(&store.clone(), &here), Claim::InFlight { .. }));
        assert!(matches!(claim(&store, &there), Claim::Acquired(_)));
        assert_eq!(format!("{store:?}"), "MemoryStore { len: 2, .. }");
    }
}
