//! Numbers and ids from a seed: the same on every machine and in every version of this crate.

use std::{fmt, str::FromStr};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// A stream of numbers: ChaCha8 keyed with the seed and the stream's name, so that streams of one seed are
/// independent of each other.
///
/// Only the key stream itself, which is ChaCha's definition, goes into what is made from it. The distributions are
/// written out here, since those of a library may change with its versions.
#[derive(Clone)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream of this name. Of the name, the first 24 bytes count.
    #[must_use]
    pub fn new(seed: u64, name: &str) -> Self {
        let mut key = [0; 32];
        let bytes = seed.to_le_bytes().into_iter().chain(name.bytes());
        for (place, byte) in key.iter_mut().zip(bytes) {
            *place = byte;
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// A number below `bound`, each as likely as the others (to one part in 2⁶⁴ / `bound`); 0 where `bound` is.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.0.next_u64()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// Whether what happens with this probability happens now.
    pub fn chance(&mut self, share: Share) -> bool {
        self.below(Share::ALL.0.into()) < share.0.into()
    }

    /// One of the list; `None` where it is empty.
    pub(super) fn index(&mut self, length: usize) -> Option<usize> {
        let length = u64::try_from(length).ok().filter(|&length| length > 0)?;
        usize::try_from(self.below(length)).ok()
    }

    /// An id made at this time.
    pub(super) fn ulid(&mut self, millis: i64) -> Ulid {
        let time = u128::try_from(millis).unwrap_or(0) & 0xffff_ffff_ffff;
        let high = u128::from(self.0.next_u64());
        let low = u128::from(self.0.next_u64() >> 48);
        Ulid(time << 80 | high << 16 | low)
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random(..)")
    }
}

/// The part of an id that WorkOS writes after `event_`, `directory_user_` and so on: 48 bits of time in
/// milliseconds and 80 of chance, in Crockford's base 32.
///
/// Source: the ULID specification.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ulid(u128);

impl Ulid {
    /// An id of this time, in milliseconds of Unix time, and these 80 bits.
    #[must_use]
    pub fn from_parts(millis: u64, chance: u128) -> Self {
        Self((u128::from(millis) & 0xffff_ffff_ffff) << 80 | (chance & ((1 << 80) - 1)))
    }

    /// The 26 characters.
    #[must_use]
    pub fn text(self) -> [u8; 26] {
        const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let mut text = [b'0'; 26];
        let mut rest = self.0;
        for place in text.iter_mut().rev() {
            let digit = usize::try_from(rest & 31).unwrap_or(0);
            *place = DIGITS.get(digit).copied().unwrap_or(b'0');
            rest >>= 5;
        }
        text
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl fmt::Debug for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A share of all events, from none to all, in steps of a millionth.
///
/// Read from a fraction (`0.05`) or a percentage (`5%`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// All of them.
    pub const ALL: Self = Self(1_000_000);
    /// None of them.
    pub const NONE: Self = Self(0);

    /// This many in a million; more than a million are all.
    #[must_use]
    pub fn per_million(count: u32) -> Self {
        Self(count.min(Self::ALL.0))
    }
}

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        // Decimal text and integers throughout: no float decides what a seed means.
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

/// A text that is no [`Share`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareError(());

impl fmt::Display for ShareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a share from 0 to 1 such as 0.05, or from 0% to 100% such as 5%")
    }
}

impl std::error::Error for ShareError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_exactly() {
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
    fn numbers_are_what_chacha_says() {
        // The key stream of ChaCha8 under the key 1, 0, …: the seed's meaning must never change.
        let mut random = Random::new(1, "");
        assert_eq!(random.below(1_000_000), 381_489);
        assert_eq!(random.below(0), 0);
        let mut random = Random::new(1, "life");
        let lot: Vec<_> = (0..5).map(|_| random.below(100)).collect();
        assert_eq!(lot, [58, 30, 81, 99, 4]);
    }

    #[test]
    fn chances_come_as_often_as_they_say() {
        let mut random = Random::new(3, "chance");
        let share = "5%".parse().unwrap();
        let count = (0..100_000).filter(|_| random.chance(share)).count();
        assert!((4_700..5_300).contains(&count), "{count}");
        assert!((0..1000).all(|_| random.chance(Share::ALL) && !random.chance(Share::NONE)));
    }

    #[test]
    fn ulids_are_as_specified() {
        // The time of the ULID specification's own example.
        assert!(Ulid::from_parts(1_469_918_176_385, 0).to_string().starts_with("01ARYZ6S41"));
        let most = Ulid::from_parts(u64::MAX, u128::MAX);
        assert_eq!(most.to_string(), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        assert!(Ulid::from_parts(1, u128::MAX) < Ulid::from_parts(2, 0));
    }
}
