mod shard;

use std::{
    fmt,
    future::{Ready, ready},
    hash::{BuildHasher, Hash, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use siphasher::sip128::{Hash128, Hasher128, SipHasher13};

use self::shard::{Fingerprint, Shard};
use crate::dedupe::{Claim, Completion, DedupeKey, DedupeStore, StoreError};

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
    /// Every call takes one of the locks, once, and waits for nothing under it.
    shards: Vec<Mutex<Shard>>,
    /// Keyed, and copied for each key.
    hasher: SipHasher13,
    start: Instant,
}

impl MemoryStore {
    /// A store for this many events, rounded up to a multiple of 64.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let shard_capacity = capacity.div_ceil(SHARDS).max(1);
        let random = || RandomState::new().hash_one(());
        Self {
            shared: Arc::new(Shared {
                shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(shard_capacity))).collect(),
                hasher: SipHasher13::new_with_keys(random(), random()),
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
        let mut hasher = self.shared.hasher;
        key.hash(&mut hasher);
        let Hash128 { h1: place, h2: shard } = hasher.finish128();
        let fingerprint = Fingerprint { place, shard };
        let shard = usize::try_from(shard & SHARD_MASK).ok()?;
        let shard = self.shared.shards.get(shard)?;
        let now = millis(self.shared.start.elapsed());
        Some(f(fingerprint, &mut lock(shard), now))
    }
}

impl Default for MemoryStore {
    /// A store for 100 000 events, some 6 MB when full.
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
        let claim = self.with(key, |fingerprint, shard, now| {
            shard.claim(fingerprint, now, now.saturating_add(millis(lease)))
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

/// A poisoned shard is used on: nothing in a call can panic between two changes that belong together.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_it_remembers_over_all_shards() {
        let store = MemoryStore::default();
        assert!(store.is_empty());
        for index in 0..300 {
            let key = DedupeKey::new("", format!("event_{index}").into());
            let claim = store.claim(&key, Duration::from_secs(60)).into_inner().unwrap();
            assert!(matches!(claim, Claim::Acquired(_)));
        }
        assert_eq!(store.len(), 300);
        assert!(!store.is_empty());
        assert_eq!(format!("{store:?}"), "MemoryStore { len: 300, .. }");
    }

    #[test]
    fn namespaces_and_clones() {
        let store = MemoryStore::new(64);
        let [here, there] = ["here", "there"].map(|name| DedupeKey::new(name, "event_1".into()));
        let claim = |store: &MemoryStore, key| {
            store.claim(key, Duration::from_secs(60)).into_inner().unwrap()
        };
        assert!(matches!(claim(&store, &here), Claim::Acquired(_)));
        assert!(matches!(claim(&store.clone(), &here), Claim::InFlight { .. }));
        assert!(matches!(claim(&store, &there), Claim::Acquired(_)));
    }
}
