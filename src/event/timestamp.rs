//! Times. No type of jiff is public.

use std::{
    fmt,
    ops::Range,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jiff::{
    civil,
    tz::{Offset, TimeZone},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time with nanosecond resolution. It is displayed and serialized as RFC 3339 in UTC.
///
/// RFC 3339 has no years after 9999. If a signature's `t` is later, it is read as [`Timestamp::MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The latest point in time.
    pub const MAX: Self = Self(jiff::Timestamp::MAX);
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(jiff::Timestamp::UNIX_EPOCH);

    /// The current system time.
    #[must_use]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// The time this many milliseconds after the Unix epoch, or before it if negative.
    ///
    /// # Errors
    ///
    /// [`TimestampError`] if its year is before -9999 or after 9999.
    pub fn from_unix_millis(millis: i64) -> Result<Self, TimestampError> {
        let timestamp = jiff::Timestamp::from_millisecond(millis);
        timestamp.map(Self).map_err(|_| TimestampError(Fault::OutOfRange))
    }

    /// Like [`from_unix_millis`](Self::from_unix_millis), but returns the nearest possible time instead of an error.
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
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads RFC 3339. A time without an offset, as in one of WorkOS's documented samples (`2023-04-28 20:05:31.093`), is
    /// in UTC.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        if let Some(timestamp) = parse_usual(text.as_bytes()) {
            return Ok(timestamp);
        }
        if let Ok(timestamp) = text.parse() {
            return Ok(Self(timestamp));
        }
        text.parse::<civil::DateTime>()
            .and_then(|local| TimeZone::UTC.to_timestamp(local))
            .map(Self)
            .map_err(|_| TimestampError(Fault::Malformed))
    }
}

/// Parses the form that WorkOS writes, `2021-06-25T19:07:33.155Z`. jiff's parser accepts more and takes longer: an event has
/// three or more times, and without this, the layer takes 2 to 4 % longer.
fn parse_usual(text: &[u8]) -> Option<Timestamp> {
    const FORM: &[u8; 24] = b"0000-00-00T00:00:00.000Z";

    let text: &[u8; 24] = text.try_into().ok()?;
    let fits =
        |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    if !text.iter().zip(FORM).all(fits) {
        return None;
    }
    let digits = |range: Range<usize>| {
        let digits = text.get(range).unwrap_or_default();
        digits.iter().fold(0_i16, |number, byte| number * 10 + i16::from(byte - b'0'))
    };
    let two = |at: usize| i8::try_from(digits(at..at + 2)).ok();
    let date = civil::Date::new(digits(0..4), two(5)?, two(8)?).ok()?;
    let nanoseconds = i32::from(digits(20..23)) * 1_000_000;
    let time = civil::Time::new(two(11)?, two(14)?, two(17)?, nanoseconds).ok()?;
    Offset::UTC.to_timestamp(date.to_datetime(time)).ok().map(Timestamp)
}

impl From<Timestamp> for SystemTime {
    /// Returns the Unix epoch if `SystemTime` can't represent the time, for example before 1601 on Windows.
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
    /// Returns the nearest time that RFC 3339 can represent.
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

/// The error for a text that is not an RFC 3339 time, or for milliseconds outside the range of RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampError(Fault);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Malformed,
    OutOfRange,
}

impl fmt::Display for TimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Fault::Malformed => "not an RFC 3339 time such as 2021-06-25T19:07:33.155Z",
            Fault::OutOfRange => "a time before the year -9999 or after the year 9999",
        })
    }
}

impl std::error::Error for TimestampError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Guards the shortcut; without it, the result would be the same but take longer.
    #[test]
    fn the_usual_form_takes_the_shortcut() {
        for text in
            ["2021-06-25T19:07:33.155Z", "2024-02-29T23:59:59.999Z", "0000-01-01T00:00:00.000Z"]
        {
            assert_eq!(parse_usual(text.as_bytes()).map(|it| it.0), text.parse().ok(), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Also with dates that don't exist, leap seconds, and one character that is out of place.
        #[test]
        #[cfg_attr(miri, ignore = "texts from regular expressions take Miri minutes")]
        fn the_shortcut_agrees_with_jiff(
            mut text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\.[0-9]{3}Z",
            place in 0..100_usize,
            character in "[0-9TtZz:.+ -]",
        ) {
            if place < text.len() {
                text.replace_range(place..=place, &character);
            }
            let jiff: Result<jiff::Timestamp, _> = text.parse();
            if let Some(usual) = parse_usual(text.as_bytes()) {
                prop_assert_eq!(Ok(usual.0), jiff.map_err(drop), "{}", text);
            }
        }
    }

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

    #[test]
    fn other_texts_are_errors() {
        for text in
            ["", "yesterday", "1624648053155", "2021-13-01T00:00:00Z", "2021-06-25T19:07:33.155Zz"]
        {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError(Fault::Malformed)), "{text}");
        }
        assert_eq!(
            TimestampError(Fault::Malformed).to_string(),
            "not an RFC 3339 time such as 2021-06-25T19:07:33.155Z"
        );
        assert_eq!(
            serde_json::from_str::<Timestamp>("[]").unwrap_err().to_string(),
            "invalid type: sequence, expected an RFC 3339 time at line 1 column 0"
        );
    }

    #[test]
    fn nanoseconds_are_compared_and_displayed() {
        let early: Timestamp = "2021-06-25T19:07:33.155000001Z".parse().unwrap();
        let late: Timestamp = "2021-06-25T19:07:33.155000002Z".parse().unwrap();
        assert!(early < late);
        assert_eq!(late.to_string(), "2021-06-25T19:07:33.155000002Z");
        let text = serde_json::to_string(&late).unwrap();
        assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), late);
    }

    #[test]
    fn milliseconds_out_of_range_are_an_error() {
        assert_eq!(Timestamp::from_unix_millis(0), Ok(Timestamp::UNIX_EPOCH));
        assert_eq!(Timestamp::from_unix_millis(-1).unwrap().as_unix_millis(), -1);
        for millis in [i64::MIN, i64::MAX] {
            let error = Timestamp::from_unix_millis(millis).unwrap_err();
            assert_eq!(error.to_string(), "a time before the year -9999 or after the year 9999");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri does not let a test read the clock")]
    fn now_is_the_system_time() {
        let before = SystemTime::now();
        let now = SystemTime::from(Timestamp::now());
        assert!(before <= now && now <= SystemTime::now());
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
        // A million years away, which a `SystemTime` can represent.
        let far = Duration::from_secs(1_000_000 * 366 * 24 * 60 * 60);
        assert_eq!(Timestamp::from(UNIX_EPOCH + far), Timestamp::MAX);
        assert_eq!(Timestamp::from(UNIX_EPOCH - far).0, jiff::Timestamp::MIN);
    }
}
