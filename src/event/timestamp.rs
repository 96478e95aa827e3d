//! Times, with the time crate kept out of sight.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jiff::{
    civil,
    tz::{Offset, TimeZone},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment, in nanoseconds of Unix time, as RFC 3339 writes it.
///
/// Years beyond 9999 don't exist in RFC 3339; a signature's `t` out there is read as [`Timestamp::MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The latest moment.
    pub const MAX: Self = Self(jiff::Timestamp::MAX);
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(jiff::Timestamp::UNIX_EPOCH);

    /// The moment this many milliseconds after (or before) the Unix epoch; the nearest one there is, if there
    /// is none.
    #[must_use]
    pub fn from_unix_millis_saturating(millis: i64) -> Self {
        let nearest = if millis < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        Self(jiff::Timestamp::from_millisecond(millis).unwrap_or(nearest))
    }

    /// Milliseconds since the Unix epoch, rounded toward it.
    #[must_use]
    pub fn as_unix_millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// `2021-06-25T19:07:33.155Z`, the form that WorkOS writes; every other is left to jiff, which takes several
    /// times as long to find out which it is.
    fn parse_usual(text: &[u8]) -> Option<Self> {
        let [
            y1,
            y2,
            y3,
            y4,
            b'-',
            o1,
            o2,
            b'-',
            d1,
            d2,
            b'T',
            h1,
            h2,
            b':',
            m1,
            m2,
            b':',
            s1,
            s2,
            b'.',
            f1,
            f2,
            f3,
            b'Z',
        ] = *text
        else {
            return None;
        };
        let mut digits = [y1, y2, y3, y4, o1, o2, d1, d2, h1, h2, m1, m2, s1, s2, f1, f2, f3];
        let mut odd = false;
        for digit in &mut digits {
            *digit = digit.wrapping_sub(b'0');
            odd |= *digit > 9;
        }
        if odd {
            return None;
        }
        let [y1, y2, y3, y4, o1, o2, d1, d2, h1, h2, m1, m2, s1, s2, f1, f2, f3] = digits;
        let two = |tens: u8, ones: u8| i8::try_from(tens * 10 + ones).ok();
        let year = i16::from(y1) * 1000 + i16::from(y2) * 100 + i16::from(y3) * 10 + i16::from(y4);
        let millis = i32::from(f1) * 100 + i32::from(f2) * 10 + i32::from(f3);
        let date = civil::Date::new(year, two(o1, o2)?, two(d1, d2)?).ok()?;
        let time = civil::Time::new(two(h1, h2)?, two(m1, m2)?, two(s1, s2)?, millis * 1_000_000);
        Offset::UTC.to_timestamp(date.to_datetime(time.ok()?)).ok().map(Self)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads RFC 3339. A text without an offset, as one of WorkOS's documented samples has it
    /// (`2023-04-28 20:05:31.093`), is UTC.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        if let Some(usual) = Self::parse_usual(text.as_bytes()) {
            return Ok(usual);
        }
        if let Ok(timestamp) = text.parse() {
            return Ok(Self(timestamp));
        }
        text.parse::<civil::DateTime>()
            .and_then(|local| TimeZone::UTC.to_timestamp(local))
            .map(Self)
            .map_err(|_| TimestampError(()))
    }
}

impl From<Timestamp> for SystemTime {
    /// Where `SystemTime` ends earlier, as on Windows before 1601, its epoch.
    fn from(timestamp: Timestamp) -> Self {
        let since = timestamp.0.as_duration();
        let magnitude: Duration = since.unsigned_abs();
        let time = if since.is_negative() {
            UNIX_EPOCH.checked_sub(magnitude)
        } else {
            UNIX_EPOCH.checked_add(magnitude)
        };
        time.unwrap_or(UNIX_EPOCH)
    }
}

impl From<SystemTime> for Timestamp {
    /// The nearest moment that RFC 3339 can write.
    fn from(time: SystemTime) -> Self {
        let nearest = if time < UNIX_EPOCH { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        Self(jiff::Timestamp::try_from(time).unwrap_or(nearest))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

/// A text that is no RFC 3339 time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampError(());

impl fmt::Display for TimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an RFC 3339 time such as 2021-06-25T19:07:33.155Z")
    }
}

impl std::error::Error for TimestampError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_unix_millis()
    }

    #[test]
    fn reads_what_workos_writes() {
        assert_eq!(millis("2021-06-25T19:07:33.155Z"), 1_624_648_053_155);
        assert_eq!(millis("2023-04-28 20:05:31.093"), 1_682_712_331_093);
        assert_eq!(millis("2023-04-28T20:05:31"), 1_682_712_331_000);
        assert_eq!(millis("2023-04-28T22:05:31.093+02:00"), 1_682_712_331_093);
        assert_eq!(millis("1969-12-31T23:59:59.999Z"), -1);
    }

    /// Else it would be right, but not fast.
    #[test]
    fn the_straight_way_is_taken_for_what_is_usual() {
        for text in
            ["2021-06-25T19:07:33.155Z", "2024-02-29T23:59:59.999Z", "0000-01-01T00:00:00.000Z"]
        {
            let usual = Timestamp::parse_usual(text.as_bytes());
            assert_eq!(usual.map(|it| it.0), Some(text.parse().unwrap()), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Dates that don't exist, leap seconds and one character that is out of place among them.
        #[test]
        #[cfg_attr(miri, ignore = "texts made from regular expressions take Miri minutes")]
        fn the_straight_way_says_what_jiff_says(
            mut text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\.[0-9]{3}Z",
            place in 0..100_usize,
            odd in "[0-9TtZz:.+ -]",
        ) {
            if place < text.len() {
                text.replace_range(place..=place, &odd);
            }
            let jiff: Result<jiff::Timestamp, _> = text.parse();
            if let Some(usual) = Timestamp::parse_usual(text.as_bytes()) {
                assert_eq!(Ok(usual.0), jiff.map_err(drop), "{text}");
            }
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in
            ["", "yesterday", "1624648053155", "2021-13-01T00:00:00Z", "2021-06-25T19:07:33.155Zz"]
        {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError(())), "{text}");
        }
        assert_eq!(
            TimestampError(()).to_string(),
            "not an RFC 3339 time such as 2021-06-25T19:07:33.155Z"
        );
        assert_eq!(
            serde_json::from_str::<Timestamp>("[]").unwrap_err().to_string(),
            "invalid type: sequence, expected an RFC 3339 time at line 1 column 0"
        );
    }

    #[test]
    fn orders_below_the_millisecond_and_prints_what_it_reads() {
        let early: Timestamp = "2021-06-25T19:07:33.155000001Z".parse().unwrap();
        let late: Timestamp = "2021-06-25T19:07:33.155000002Z".parse().unwrap();
        assert!(early < late);
        assert_eq!(late.to_string(), "2021-06-25T19:07:33.155000002Z");
        let text = serde_json::to_string(&late).unwrap();
        assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), late);
    }

    #[test]
    fn converts_to_and_from_system_time() {
        for millis in [-1, 0, 1, 1_624_648_053_155] {
            let timestamp = Timestamp::from_unix_millis_saturating(millis);
            assert_eq!(Timestamp::from(SystemTime::from(timestamp)), timestamp);
            assert_eq!(timestamp.as_unix_millis(), millis);
        }
        assert_eq!(Timestamp::from_unix_millis_saturating(i64::MAX), Timestamp::MAX);
        assert!(Timestamp::from_unix_millis_saturating(i64::MIN) < Timestamp::UNIX_EPOCH);
        let _ = SystemTime::from(Timestamp::from_unix_millis_saturating(i64::MIN));
        // A million years off, which a `SystemTime` can be.
        let far = Duration::from_secs(1_000_000 * 366 * 24 * 60 * 60);
        assert_eq!(Timestamp::from(UNIX_EPOCH + far), Timestamp::MAX);
        assert_eq!(Timestamp::from(UNIX_EPOCH - far).0, jiff::Timestamp::MIN);
    }
}
