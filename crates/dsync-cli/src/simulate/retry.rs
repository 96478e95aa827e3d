//! When to try again.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use dsync_cli::directory::Random;
use tokio::time::Instant;

/// Attempts in all: "up to 6 times", as WorkOS's documentation says.
pub(super) const ATTEMPTS: u8 = 6;
/// The time from the first attempt to the last.
const SPAN: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// By what each pause is longer than the one before.
const GROWTH: u32 = 4;

/// Pauses that grow exponentially and add up to three days, times a scale, give or take a tenth.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    random: Random,
    scale: f64,
}

impl Backoff {
    pub(super) fn new(seed: u64, scale: f64) -> Self {
        Self { random: Random::new(seed, "retry"), scale }
    }

    /// The pause after this many attempts; `None` after the last.
    pub(super) fn pause(&mut self, attempts: u8) -> Option<Duration> {
        if attempts == 0 || attempts >= ATTEMPTS {
            return None;
        }
        // 1 + 4 + 16 + … for all pauses there are.
        let parts: u32 = (0..u32::from(ATTEMPTS) - 1).map(|power| GROWTH.pow(power)).sum();
        let pause = SPAN / parts * GROWTH.pow(u32::from(attempts) - 1);
        let jitter = u32::try_from(self.random.below(200_001)).unwrap_or(0);
        // Both factors are in known bounds, so the product is too.
        Some(pause.mul_f64(self.scale * (0.9 + f64::from(jitter) / 1e6)))
    }
}

/// Reads `--time-scale`.
pub(super) fn time_scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| "give a number, as 0.00001 or 1e-5".to_owned())?;
    if (0.0..=1.0).contains(&scale) {
        Ok(scale)
    } else {
        Err("give a number from 0 to 1".to_owned())
    }
}

/// What waits until its time comes.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    heap: BinaryHeap<Reverse<Waiter<T>>>,
    number: u64,
}

impl<T> Waiting<T> {
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), number: 0 }
    }

    pub(super) fn push(&mut self, due: Instant, what: T) {
        self.heap.push(Reverse(Waiter { due, number: self.number, what }));
        self.number += 1;
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<T> {
        if self.next_due()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(waiter)| waiter.what)
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(waiter)| waiter.due)
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(super) fn into_rest(self) -> impl Iterator<Item = T> {
        self.heap.into_iter().map(|Reverse(waiter)| waiter.what)
    }
}

#[derive(Debug)]
struct Waiter<T> {
    due: Instant,
    number: u64,
    what: T,
}

impl<T> Ord for Waiter<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

impl<T> PartialOrd for Waiter<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Waiter<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Waiter<T> {}

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
        assert_eq!(other.pause(1), Some(pauses[0]), "the same seed, another pause");
    }

    #[test]
    fn scales_are_from_0_to_1() {
        assert_eq!(time_scale("1e-5"), Ok(1e-5));
        for text in ["", "-1", "2", "NaN", "inf", "x"] {
            assert!(time_scale(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_due_comes_first() {
        let now = Instant::now();
        let mut waiting = Waiting::new();
        let after = |seconds| now + Duration::from_secs(seconds);
        for (seconds, what) in [(3, "c"), (1, "a"), (1, "b")] {
            waiting.push(after(seconds), what);
        }
        assert_eq!(waiting.next_due(), Some(after(1)));
        assert_eq!(waiting.pop_due(now), None);
        assert_eq!(waiting.pop_due(after(1)), Some("a"));
        assert_eq!(waiting.pop_due(after(1)), Some("b"));
        assert_eq!(waiting.pop_due(after(1)), None);
        assert_eq!(waiting.len(), 1);
    }
}
