//! When a failed delivery is retried.

use std::{collections::BTreeMap, time::Duration};

use dsync_cli::directory::Random;
use tokio::time::Instant;

/// The number of attempts: "up to 6 times", as the WorkOS documentation says.
pub(super) const ATTEMPTS: u8 = 6;
/// The time from the first attempt to the last.
const SPAN: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// The ratio of each pause to the one before.
const GROWTH: u32 = 4;

/// Exponential pauses that add up to three days times `scale`, each with up to 10 % of jitter.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    random: Random,
    scale: f64,
}

impl Backoff {
    pub(super) fn new(seed: u64, scale: f64) -> Self {
        Self { random: Random::new(seed, "retry"), scale }
    }

    /// Returns the pause after this many attempts, or `None` after the last attempt.
    pub(super) fn pause(&mut self, attempts: u8) -> Option<Duration> {
        if attempts == 0 || attempts >= ATTEMPTS {
            return None;
        }
        // 1 + 4 + 16 + …, over all pauses.
        let parts: u32 = (0..u32::from(ATTEMPTS) - 1).map(|power| GROWTH.pow(power)).sum();
        let pause = SPAN / parts * GROWTH.pow(u32::from(attempts) - 1);
        let jitter = u32::try_from(self.random.below(200_001)).unwrap_or(0);
        // `mul_f64` can't panic: the scale is from 0 to 1.
        Some(pause.mul_f64(self.scale * (0.9 + f64::from(jitter) / 1e6)))
    }
}

/// Parses `--time-scale`.
pub(super) fn time_scale(text: &str) -> Result<f64, String> {
    let scale: Option<f64> = text.parse().ok();
    scale
        .filter(|scale| (0.0..=1.0).contains(scale))
        .ok_or_else(|| "give a number from 0 to 1, such as 0.00001 or 1e-5".to_owned())
}

/// Items ordered by the time when they are due.
///
/// tokio-util's `DelayQueue` does not fit: it wakes only the last task that polled it, but up to 1000 workers wait here
/// at the same time; and it rounds to milliseconds, but `--time-scale` makes pauses of microseconds.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    /// The number keeps the order of items that are due at the same time.
    items: BTreeMap<(Instant, u64), T>,
    number: u64,
}

impl<T> Waiting<T> {
    pub(super) fn new() -> Self {
        Self { items: BTreeMap::new(), number: 0 }
    }

    pub(super) fn push(&mut self, due: Instant, item: T) {
        self.items.insert((due, self.number), item);
        self.number += 1;
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<T> {
        let entry = self.items.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.items.first_key_value().map(|((due, _), _)| *due)
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn into_items(self) -> impl Iterator<Item = T> {
        self.items.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_add_up_to_three_days() {
        let mut backoff = Backoff::new(1, 1.0);
        let pauses: Vec<_> = (1..=5).map(|attempts| backoff.pause(attempts).unwrap()).collect();
        assert!(pauses.windows(2).all(|pair| pair[1] > pair[0] * 3), "{pauses:?}");
        let hours = pauses.iter().sum::<Duration>().as_secs() / 3600;
        assert!((65..79).contains(&hours), "{hours}");
        assert_eq!(backoff.pause(ATTEMPTS), None);
        assert!(Backoff::new(1, 1e-5).pause(5).unwrap() < Duration::from_millis(2200));
        let mut other = Backoff::new(1, 1.0);
        assert_eq!(other.pause(1), Some(pauses[0]), "the same seed gave another pause");
    }

    #[test]
    fn scales_are_from_0_to_1() {
        assert_eq!(time_scale("1e-5"), Ok(1e-5));
        for text in ["", "-1", "2", "NaN", "inf", "x"] {
            assert!(time_scale(text).is_err(), "{text}");
        }
    }

    #[test]
    fn items_come_in_the_order_in_which_they_are_due() {
        let now = Instant::now();
        let mut waiting = Waiting::new();
        let after = |seconds| now + Duration::from_secs(seconds);
        for (seconds, item) in [(3, "c"), (1, "a"), (1, "b")] {
            waiting.push(after(seconds), item);
        }
        assert_eq!(waiting.next_due(), Some(after(1)));
        assert_eq!(waiting.pop_due(now), None);
        assert_eq!(waiting.pop_due(after(1)), Some("a"));
        assert_eq!(waiting.pop_due(after(1)), Some("b"));
        assert_eq!(waiting.pop_due(after(1)), None);
        assert_eq!(waiting.len(), 1);
    }
}
