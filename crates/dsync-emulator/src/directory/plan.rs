//! The parameters of a life.

use tower_workos::Timestamp;

/// 2026-01-05T09:00:00Z, a Monday morning. It is fixed, so that the seed alone decides what happens.
const START: i64 = 1_767_603_600_000;

/// The size of a simulated world and the number of its events. The same plan gives the same life, byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Plan {
    pub(super) seed: u64,
    pub(super) directories: u32,
    pub(super) users: u32,
    pub(super) groups: u32,
    pub(super) events: u64,
    pub(super) start: i64,
}

impl Plan {
    /// Creates a plan of 1000 events with 2 directories, 100 users and 10 groups.
    pub fn new(seed: u64) -> Self {
        Self { seed, directories: 2, users: 100, groups: 10, events: 1000, start: START }
    }

    /// The number of directories; at least one.
    pub fn directories(mut self, count: u32) -> Self {
        self.directories = count.max(1);
        self
    }

    /// The number of users in all directories after the first syncs. It stays close to this number later.
    pub fn users(mut self, count: u32) -> Self {
        self.users = count;
        self
    }

    /// The number of groups in all directories after the first syncs. It stays close to this number later.
    pub fn groups(mut self, count: u32) -> Self {
        self.groups = count;
        self
    }

    /// The number of events.
    pub fn events(mut self, count: u64) -> Self {
        self.events = count;
        self
    }

    /// The time of the start. The default is 2026-01-05T09:00:00Z.
    pub fn start(mut self, start: Timestamp) -> Self {
        self.start = start.as_unix_millis().max(0);
        self
    }
}
