//! What a life is asked to be.

use tower_workos::Timestamp;

/// 2026-01-05T09:00:00Z, a Monday morning: fixed, so that a seed alone says what happens.
const START: i64 = 1_767_603_600_000;

/// How large a world is, and for how long it is watched. The same plan is the same life, to the byte.
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
    /// 2 directories with 100 users and 10 groups, watched for 1000 events.
    pub fn new(seed: u64) -> Self {
        Self { seed, directories: 2, users: 100, groups: 10, events: 1000, start: START }
    }

    /// Customers' directories; at least one.
    pub fn directories(mut self, count: u32) -> Self {
        self.directories = count.max(1);
        self
    }

    /// Users in all directories together once they are synced. Their number stays around that.
    pub fn users(mut self, count: u32) -> Self {
        self.users = count;
        self
    }

    /// Groups in all directories together, likewise.
    pub fn groups(mut self, count: u32) -> Self {
        self.groups = count;
        self
    }

    /// Events until the life ends.
    pub fn events(mut self, count: u64) -> Self {
        self.events = count;
        self
    }

    /// When the life begins. Default: 2026-01-05T09:00:00Z.
    pub fn start(mut self, start: Timestamp) -> Self {
        self.start = start.as_unix_millis().max(0);
        self
    }
}
