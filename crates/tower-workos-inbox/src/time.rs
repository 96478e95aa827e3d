//! Times as microseconds since the Unix epoch.

use std::time::{Duration, SystemTime};

pub(crate) fn now() -> i64 {
    micros(SystemTime::now())
}

pub(crate) fn micros(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The time this long after another one.
#[cfg(feature = "sqlite")]
pub(crate) fn after(micros: i64, duration: Duration) -> i64 {
    micros.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) fn before(micros: i64, duration: Duration) -> i64 {
    micros.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

pub(crate) fn system(micros: i64) -> SystemTime {
    let since = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// How long ago this time was.
pub(crate) fn age(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(now().saturating_sub(micros)).unwrap_or(0))
}
