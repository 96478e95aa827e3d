use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// When the next purge is due: after a number of completions, or at the first completion after a certain time. Both are
/// random, so that the replicas don't purge at the same time.
#[derive(Debug)]
pub(crate) struct Schedule(Mutex<Next>);

#[derive(Debug)]
struct Next {
    completions: u32,
    at: Instant,
    running: bool,
}

impl Schedule {
    pub(crate) fn new() -> Self {
        // Soon, for short-lived processes.
        let completions = 1 + u32::from(random() % 32);
        Self(Mutex::new(Next { completions, at: next_time(), running: false }))
    }

    /// Counts a completion. `true` if the caller must purge.
    pub(crate) fn count(&self) -> bool {
        let mut next = self.lock();
        next.completions = next.completions.saturating_sub(1);
        let due = !next.running && (next.completions == 0 || next.at <= Instant::now());
        next.running |= due;
        due
    }

    pub(crate) fn finish(&self) {
        *self.lock() =
            Next { completions: 128 + u32::from(random()), at: next_time(), running: false };
    }

    fn lock(&self) -> MutexGuard<'_, Next> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn next_time() -> Instant {
    Instant::now() + Duration::from_secs(60) + Duration::from_millis(u64::from(random()) * 250)
}

fn random() -> u8 {
    let mut byte = [0];
    // Without random numbers, the replicas may purge at the same time, which is safe.
    let _ = getrandom::fill(&mut byte).is_ok();
    let [byte] = byte;
    byte
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purge_is_due_after_some_completions_but_only_one_runs() {
        let schedule = Schedule::new();
        let first = (1..=100).find(|_| schedule.count()).unwrap();
        assert!(first <= 32);
        assert!((0..1000).all(|_| !schedule.count()), "while one runs");
        schedule.finish();
        let second = (1..=1000).find(|_| schedule.count()).unwrap();
        assert!((128..384).contains(&second), "{second}");
    }

    #[test]
    fn a_purge_is_due_after_a_time() {
        let schedule = Schedule::new();
        schedule.finish();
        schedule.lock().at = Instant::now();
        assert!(schedule.count());
    }
}
