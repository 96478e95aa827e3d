use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use crate::clock::Clock;

/// A clock whose time changes only when a test sets it. Clones share the time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: Arc<Mutex<SystemTime>>,
}

impl ManualClock {
    /// Creates a clock that is set to this time.
    #[must_use]
    pub fn new(now: impl Into<SystemTime>) -> Self {
        Self { now: Arc::new(Mutex::new(now.into())) }
    }

    /// Sets the time, which can be earlier or later.
    pub fn set(&self, now: impl Into<SystemTime>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = now.into();
    }

    /// Moves the clock forward. The time does not change if the sum is out of range.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.checked_add(by).unwrap_or(*now);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
