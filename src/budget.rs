//! The limit on log lines about requests that anybody can send.

use std::sync::atomic::{AtomicU64, Ordering};

/// Anybody can send a request that is rejected, so this is the maximum number of lines for each kind of rejection.
pub(crate) const LINES_PER_SECOND: u64 = 10;

/// The number of lines in the current second. The upper half is the second, the lower half is the number.
#[derive(Default)]
pub(crate) struct Budget(AtomicU64);

impl Budget {
    /// Takes one of the `limit` lines of this second, if any is left.
    pub(crate) fn take(&self, second: u64, limit: u64) -> bool {
        let second = second.min(u64::from(u32::MAX));
        let take = |state: u64| {
            let (of, lines) = (state >> 32, state & u64::from(u32::MAX));
            if second > of {
                Some((second << 32) | 1)
            } else {
                (lines < limit).then_some(state.saturating_add(1))
            }
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_renewed_each_second() {
        let budget = Budget::default();
        let taken = |second| (0..20).filter(|_| budget.take(second, 3)).count();
        assert_eq!([taken(1), taken(1), taken(2), taken(9)], [3, 0, 3, 3]);
        // A thread that read the clock earlier than others.
        assert_eq!(taken(8), 0);
        assert_eq!([taken(u64::MAX), taken(u64::MAX)], [3, 0]);
    }

    #[test]
    fn a_budget_is_shared_by_threads() {
        let budget = Budget::default();
        let threads = if cfg!(miri) { 2 } else { 8 };
        let taken: usize = std::thread::scope(|scope| {
            let take = || (0..50).filter(|_| budget.take(1, 60)).count();
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(take)).collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).sum()
        });
        assert_eq!(taken, 60);
    }
}
