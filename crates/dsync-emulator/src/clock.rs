//! The time of an emulator.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tower_workos::Timestamp;

/// The clock of an emulator. It decides everything that depends on the time: the `Date` of responses, which events have
/// happened, which are still withheld or already forgotten, the lag of the replica, and the rate limits.
///
/// Clones are the same clock: a test keeps one and moves it.
///
/// ```
/// # use std::time::Duration;
/// use dsync_emulator::Clock;
///
/// let clock = Clock::manual("2026-01-05T09:00:00Z".parse()?);
/// clock.advance(Duration::from_secs(90));
/// assert_eq!(clock.now(), "2026-01-05T09:01:30Z".parse()?);
/// # Ok::<(), tower_workos::TimestampError>(())
/// ```
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    /// In nanoseconds since the Unix epoch; `None` is the system's time.
    start: Option<i64>,
    /// In nanoseconds.
    offset: AtomicI64,
}

impl Clock {
    /// Creates a clock that only moves with [`advance`](Self::advance) and [`set`](Self::set).
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self::new(Some(nanos(start)))
    }

    /// Creates a clock that follows the system's. It can be moved as well; from then on it differs from the system's time by
    /// this much.
    #[must_use]
    pub fn system() -> Self {
        Self::new(None)
    }

    fn new(start: Option<i64>) -> Self {
        Self(Arc::new(Inner { start, offset: AtomicI64::new(0) }))
    }

    /// The time now, in whole milliseconds.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis_saturating(self.millis())
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        let add = |offset: i64| Some(offset.saturating_add(by));
        // The closure never returns `None`.
        let _ = self.0.offset.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
    }

    /// Sets the time. An earlier time does not undo what already happened: an event that was forgotten stays forgotten.
    pub fn set(&self, now: Timestamp) {
        self.0.offset.store(nanos(now).saturating_sub(self.base()), Ordering::SeqCst);
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn millis(&self) -> i64 {
        self.nanos().div_euclid(1_000_000)
    }

    /// Nanoseconds since the Unix epoch.
    pub(crate) fn nanos(&self) -> i64 {
        self.base().saturating_add(self.0.offset.load(Ordering::SeqCst))
    }

    fn base(&self) -> i64 {
        self.0.start.unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        })
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

fn nanos(time: Timestamp) -> i64 {
    time.as_unix_millis().saturating_mul(1_000_000)
}

/// In whole milliseconds.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_move_together() {
        let clock = Clock::manual("2026-01-05T09:00:00Z".parse().unwrap());
        let other = clock.clone();
        clock.advance(Duration::from_micros(1500));
        assert_eq!(other.now().to_string(), "2026-01-05T09:00:00.001Z");
        other.set("2026-02-01T00:00:00Z".parse().unwrap());
        assert_eq!(clock.now().to_string(), "2026-02-01T00:00:00Z");
    }

    #[test]
    fn the_system_clock_can_be_moved() {
        let clock = Clock::system();
        assert!(clock.millis().abs_diff(Timestamp::now().as_unix_millis()) < 60_000);
        clock.advance(Duration::from_secs(86_400));
        assert!(clock.millis() - Timestamp::now().as_unix_millis() > 80_000_000);
        clock.set("2026-02-01T00:00:00Z".parse().unwrap());
        assert!(clock.now().to_string().starts_with("2026-02-01T00:0"));
    }
}
