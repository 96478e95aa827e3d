//! When a failed item is attempted again.

use std::{error::Error, fmt, io, time::Duration};

const HOUR: Duration = Duration::from_secs(60 * 60);
/// Longer than a lease, usually.
const MARGIN: Duration = Duration::from_secs(10 * 60);

type BoxError = Box<dyn Error + Send + Sync>;

/// An error of a handler that trying again can't fix: the item becomes a [dead letter](crate::DeadLetter) at once.
///
/// Any other error is transient. An error whose [`source`](Error::source), or a source of that, is `Permanent` is permanent, too,
/// also in an `anyhow::Error`.
///
/// ```
/// use tower_workos_inbox::Permanent;
///
/// let error = Permanent::new("the account is closed");
/// assert_eq!(error.to_string(), "the account is closed");
/// ```
pub struct Permanent(PermanentCause);

impl Permanent {
    /// Wraps an error or a text.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self(PermanentCause { error: error.into() })
    }
}

/// An error of a handler that knows when to try again, for example from a response with `Retry-After`. The wait is at most an hour, or
/// the [longest wait](Retry::wait) if that is longer.
///
/// It is found in the [sources](Error::source) of an error, as [`Permanent`] is.
pub struct RetryAfter(RetryAfterCause);

impl RetryAfter {
    /// Wraps an error or a text.
    pub fn new(after: Duration, error: impl Into<BoxError>) -> Self {
        Self(RetryAfterCause { after, error: error.into() })
    }
}

/// The source of a [`Permanent`]. Some conversions, such as that of `anyhow::Error` into a boxed error, hide the type of an error, but
/// never that of its source.
struct PermanentCause {
    error: BoxError,
}

/// The source of a [`RetryAfter`].
struct RetryAfterCause {
    after: Duration,
    error: BoxError,
}

macro_rules! wrapper {
    ($name:ident, $cause:ident) => {
        /// Shows the text of the error.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0.error).finish()
            }
        }

        impl Error for $name {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }

        impl fmt::Display for $cause {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.error, f)
            }
        }

        impl fmt::Debug for $cause {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.error, f)
            }
        }

        impl Error for $cause {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                self.error.source()
            }
        }
    };
}

wrapper!(Permanent, PermanentCause);
wrapper!(RetryAfter, RetryAfterCause);

/// How long to wait before the next attempt, and when to give up.
///
/// The wait doubles with each attempt, from `min` up to `max`. A random part of up to half of it is subtracted, so that items
/// that failed together are not attempted together again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Retry {
    min: Duration,
    max: Duration,
    max_age: Duration,
    min_attempts: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            min: Duration::from_secs(1),
            max: Duration::from_secs(5 * 60),
            max_age: Duration::from_secs(3 * 24 * 60 * 60),
            min_attempts: 20,
        }
    }
}

impl Retry {
    /// The shortest and the longest wait. Default: 1 s and 5 min.
    pub fn wait(mut self, min: Duration, max: Duration) -> Self {
        (self.min, self.max) = (min, max.max(min));
        self
    }

    /// The age of an item, since it was stored, after which a failed attempt is the last one. Default: 3 days. See also
    /// [`min_attempts`](Self::min_attempts).
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// How often an item is attempted at least, even if it is older than [`max_age`](Self::max_age), for example because no
    /// worker was running. Default: 20.
    pub fn min_attempts(mut self, attempts: u32) -> Self {
        self.min_attempts = attempts;
        self
    }

    /// Whether this attempt is the last one.
    pub(super) fn is_last(&self, attempts: u32, age: Duration) -> bool {
        attempts >= self.min_attempts && age >= self.max_age
    }

    /// Whether the attempts before this one were the last ones. They must have been cut short, or the item would be a dead letter.
    /// If that is not known, the item must be older by more than the longest wait.
    pub(super) fn is_over(&self, attempts: u32, age: Duration, is_cut_short: bool) -> bool {
        let margin =
            if is_cut_short { Duration::ZERO } else { self.longest().saturating_add(MARGIN) };
        attempts > 1 && self.is_last(attempts - 1, age.saturating_sub(margin))
    }

    /// The longest wait that a handler can ask for.
    pub(super) fn longest(&self) -> Duration {
        self.max.max(HOUR)
    }

    /// The wait after this attempt. `random` is any number.
    pub(super) fn after(&self, attempts: u32, random: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        let wait = self.min.saturating_mul(1 << doublings).min(self.max);
        let part = wait.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0);
        wait.saturating_sub(part)
    }
}

/// How an error is treated.
#[derive(Debug, PartialEq)]
pub(super) enum Class {
    Permanent,
    /// With the wait that the handler asked for.
    Transient(Option<Duration>),
}

/// Looks for a wrapper in the error and its sources, and returns the texts of all of them.
pub(super) fn classify(error: &(dyn Error + 'static)) -> (Class, String) {
    /// A dead letter shows this much, so that an error that quotes a page does not fill the table.
    const LONGEST: usize = 1000;
    let mut class = Class::Transient(None);
    let mut text = String::new();
    let mut next = Some(error);
    // A chain can be circular.
    for _ in 0..32 {
        let Some(error) = next else { break };
        if error.is::<PermanentCause>() {
            class = Class::Permanent;
        } else if let (Some(error), Class::Transient(None)) =
            (error.downcast_ref::<RetryAfterCause>(), &class)
        {
            class = Class::Transient(Some(error.after));
        }
        // The source of an `io::Error` is the source of the error that it contains, which would be skipped.
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            next = Some(inner);
            continue;
        }
        let shown = error.to_string();
        // Some errors include the texts of their sources.
        if !text.ends_with(&shown) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&shown);
        }
        next = error.source();
    }
    if text.len() > LONGEST {
        text = text.chars().take(LONGEST).collect();
    }
    // PostgreSQL can't store it.
    (class, text.replace('\0', "\\0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let retry = Retry::default().wait(Duration::from_secs(1), Duration::from_secs(60));
        let waits: Vec<_> = (1..=8).map(|it| retry.after(it, 0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(retry.after(3, u32::MAX), Duration::from_secs(2));
        assert_eq!(retry.after(u32::MAX, 0), Duration::from_secs(60));
        let longest = Retry::default().wait(Duration::MAX, Duration::MAX);
        assert_eq!(longest.after(9, 0), Duration::MAX);
    }

    #[test]
    fn an_hour_of_failures_is_not_the_end() {
        let retry = Retry::default();
        let hour = Duration::from_secs(60 * 60);
        assert!(!retry.is_last(1000, hour));
        assert!(!retry.is_last(19, 1000 * hour));
        assert!(retry.is_last(20, 72 * hour));
    }

    #[test]
    fn an_item_is_over_only_after_its_last_attempt() {
        let retry = Retry::default();
        let hour = Duration::from_secs(60 * 60);
        assert!(!retry.is_over(1, 1000 * hour, true));
        assert!(!retry.is_over(20, 1000 * hour, true));
        assert!(retry.is_over(21, 72 * hour, true));
        assert!(!retry.is_over(21, 73 * hour, false));
        assert!(retry.is_over(21, 74 * hour, false));
    }

    #[test]
    fn wrappers_are_found_inside_of_anyhow() {
        let boxed = |error: anyhow::Error| -> BoxError { error.into() };
        for error in [
            anyhow::Error::new(Permanent::new("closed")),
            anyhow::Error::new(Permanent::new("closed")).context("can't end the session"),
        ] {
            assert_eq!(classify(&*boxed(error)).0, Class::Permanent);
        }
        let after = RetryAfter::new(Duration::from_secs(7), "429");
        let (class, text) = classify(&*boxed(anyhow::Error::new(after)));
        assert_eq!((class, text.as_str()), (Class::Transient(Some(Duration::from_secs(7))), "429"));
    }

    #[test]
    fn wrappers_are_found_in_the_sources() {
        let nested = io::Error::other(Permanent::new("the account is closed"));
        assert_eq!(classify(&nested), (Class::Permanent, "the account is closed".to_owned()));
        let after = RetryAfter::new(Duration::from_secs(7), io::Error::other("429"));
        assert_eq!(
            classify(&io::Error::other(after)),
            (Class::Transient(Some(Duration::from_secs(7))), "429".to_owned())
        );
        let plain = io::Error::other("down\0");
        assert_eq!(classify(&plain), (Class::Transient(None), "down\\0".to_owned()));
        let long = io::Error::other("x".repeat(5000));
        assert_eq!(classify(&long).1.len(), 1000);
    }
}
