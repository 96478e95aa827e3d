//! Words for times.

use std::time::Duration;

use tower_workos::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEAR: u64 = 365 * DAY;

/// Returns a time in UTC, for example `2026-11-26 14:03:05`.
pub(super) fn absolute(time: Timestamp) -> String {
    let text = time.to_string();
    let (date, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{date} {}", time.get(..8).unwrap_or(time))
}

/// Returns how long ago a time was, for example `3 min ago`. `script.js` contains the same rules.
pub(super) fn ago(time: Timestamp, now: Timestamp) -> String {
    let millis = now.as_unix_millis().saturating_sub(time.as_unix_millis());
    let seconds = millis.unsigned_abs() / 1000;
    match millis {
        // The clocks of the application, the database and WorkOS can differ.
        -60_000..=999 => "just now".to_owned(),
        1000.. => format!("{} ago", rough(seconds)),
        _ => format!("in {}", rough(seconds)),
    }
}

/// Returns a number of seconds in its largest unit.
fn rough(seconds: u64) -> String {
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..172_800 => format!("{} h", seconds / HOUR),
        172_800..63_072_000 => format!("{} days", seconds / DAY),
        _ => format!("{} years", seconds / YEAR),
    }
}

/// Returns a duration in its two largest units, for example `3 h 2 min`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let two = |large: u64, name: &str, small: u64, other: &str| match seconds % large / small {
        0 => format!("{} {name}", seconds / large),
        rest => format!("{} {name} {rest} {other}", seconds / large),
    };
    match seconds {
        0 => "less than 1 s".to_owned(),
        1..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => two(MINUTE, "min", 1, "s"),
        HOUR..DAY => two(HOUR, "h", MINUTE, "min"),
        DAY..172_800 => two(DAY, "day", HOUR, "h"),
        _ => two(DAY, "days", HOUR, "h"),
    }
}

/// Returns the time between two times; zero if the second is earlier, because clocks can differ.
pub(super) fn between(from: Timestamp, to: Timestamp) -> Duration {
    let millis = to.as_unix_millis().saturating_sub(from.as_unix_millis());
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: i64) -> Timestamp {
        Timestamp::from_unix_millis_saturating(millis)
    }

    #[test]
    fn times_are_in_utc() {
        assert_eq!(absolute(millis(1_795_701_785_999)), "2026-11-26 14:03:05");
        assert_eq!(absolute(millis(i64::MIN)).len(), "-009999-01-02 01:59:59".len());
        assert_eq!(absolute(Timestamp::MAX), "9999-12-30 22:00:00");
    }

    #[test]
    fn times_are_relative() {
        let now = millis(1_795_701_785_000);
        for (seconds, text) in [
            (-3600, "in 1 h"),
            (-61, "in 1 min"),
            (-60, "just now"),
            (0, "just now"),
            (1, "1 s ago"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (3599, "59 min ago"),
            (3600, "1 h ago"),
            (172_799, "47 h ago"),
            (172_800, "2 days ago"),
            (63_071_999, "729 days ago"),
            (63_072_000, "2 years ago"),
        ] {
            let time = millis(now.as_unix_millis() - seconds * 1000);
            assert_eq!(ago(time, now), text);
        }
        assert_eq!(ago(millis(i64::MAX), millis(i64::MIN)), "in 20012 years");
    }

    #[test]
    fn durations_have_two_units() {
        for (seconds, text) in [
            (0, "less than 1 s"),
            (2, "2 s"),
            (60, "1 min"),
            (754, "12 min 34 s"),
            (10_920, "3 h 2 min"),
            (86_400, "1 day"),
            (187_200, "2 days 4 h"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(between(millis(2000), millis(1000)), Duration::ZERO);
        assert_eq!(between(millis(1000), millis(3500)), Duration::from_millis(2500));
    }
}
