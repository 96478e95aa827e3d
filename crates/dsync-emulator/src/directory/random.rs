//! Numbers and ids from a seed. They are the same on every machine and in every version of this crate.

use std::{fmt, str::FromStr};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use ulid::Ulid;

/// A stream of random numbers: ChaCha8, keyed with a seed and the stream's name. Streams with different names are
/// independent of each other.
///
/// The distributions are written out here instead of taken from a library, because a library may change them in a new
/// version. The key stream of ChaCha8 can't change.
#[derive(Clone)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// Creates the stream with this name. Only the first 24 bytes of the name count.
    #[must_use]
    pub fn new(seed: u64, name: &str) -> Self {
        let mut key = [0; 32];
        let bytes = seed.to_le_bytes().into_iter().chain(name.bytes());
        for (place, byte) in key.iter_mut().zip(bytes) {
            *place = byte;
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Returns a uniform number below `bound`, or 0 if `bound` is 0. The bias is at most `bound` / 2⁶⁴.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.0.next_u64()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// Returns true with this probability.
    pub fn chance(&mut self, share: Share) -> bool {
        self.below(Share::ALL.0.into()) < share.0.into()
    }

    /// Returns an index into a list of this length, or `None` if the list is empty.
    pub(super) fn index(&mut self, length: usize) -> Option<usize> {
        let length = u64::try_from(length).ok().filter(|&length| length > 0)?;
        usize::try_from(self.below(length)).ok()
    }

    /// Creates an id with this Unix time, in milliseconds.
    pub(super) fn ulid(&mut self, millis: i64) -> Ulid {
        let high = u128::from(self.0.next_u64());
        let low = u128::from(self.0.next_u64() >> 48);
        Ulid::from_parts(u64::try_from(millis).unwrap_or(0), high << 16 | low)
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random(..)")
    }
}

/// A share of all events, in steps of a millionth.
///
/// `FromStr` accepts a fraction (`0.05`) or a percentage (`5%`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// All events.
    pub const ALL: Self = Self(1_000_000);
    /// No events.
    pub const NONE: Self = Self(0);

    /// Creates a share of `count` in a million. More than a million count as all.
    #[must_use]
    pub fn per_million(count: u32) -> Self {
        Self(count.min(Self::ALL.0))
    }
}

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        // Integers only: the meaning of a seed must not depend on rounding.
        let (number, decimals) = match text.strip_suffix('%') {
            Some(number) => (number, 4),
            None => (text, 6),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole)
            || !digits(fraction)
            || whole.len() + fraction.len() == 0
            || whole.len() > 3
            || fraction.len() > decimals
        {
            return Err(ShareError(()));
        }
        let zeros = "0".repeat(decimals - fraction.len());
        let count = format!("0{whole}{fraction}{zeros}").parse().map_err(|_| ShareError(()))?;
        if count > Self::ALL.0 { Err(ShareError(())) } else { Ok(Self(count)) }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:04}", self.0 / 10_000, self.0 % 10_000);
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// The error of parsing a [`Share`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareError(());

impl fmt::Display for ShareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("give a share from 0 to 1, such as 0.05, or from 0% to 100%, such as 5%")
    }
}

impl std::error::Error for ShareError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_parsed_exactly() {
        for (text, count) in [
            ("0", 0),
            ("0.05", 50_000),
            (".5", 500_000),
            ("1", 1_000_000),
            ("1.000000", 1_000_000),
            ("0.000001", 1),
            ("5%", 50_000),
            ("100%", 1_000_000),
            ("0.0001%", 1),
            ("12.5%", 125_000),
        ] {
            assert_eq!(text.parse(), Ok(Share(count)), "{text}");
        }
        for text in
            ["", "%", ".", "1.1", "101%", "-1", "+1", "1e-3", "0.0000001", "NaN", "½", "5 %"]
        {
            assert_eq!(text.parse::<Share>(), Err(ShareError(())), "{text}");
        }
        assert_eq!(Share(125_000).to_string(), "12.5%");
        assert_eq!(Share::NONE.to_string(), "0%");
        assert_eq!(Share::ALL.to_string(), "100%");
    }

    #[test]
    fn numbers_come_from_the_key_stream() {
        // The key stream of ChaCha8 for the key 1, 0, …: the meaning of a seed must never change.
        let mut random = Random::new(1, "");
        assert_eq!(random.below(1_000_000), 381_489);
        assert_eq!(random.below(0), 0);
        let mut random = Random::new(1, "life");
        let lot: Vec<_> = (0..5).map(|_| random.below(100)).collect();
        assert_eq!(lot, [58, 30, 81, 99, 4]);
    }

    #[test]
    fn chances_have_the_stated_frequency() {
        let mut random = Random::new(3, "chance");
        let share = "5%".parse().unwrap();
        let count = (0..100_000).filter(|_| random.chance(share)).count();
        assert!((4_700..5_300).contains(&count), "{count}");
        assert!((0..1000).all(|_| random.chance(Share::ALL) && !random.chance(Share::NONE)));
    }
}
