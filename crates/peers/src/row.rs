//! One thing that is measured.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// A row of the table: something that can be done any number of times and says how long that took.
pub struct Row {
    /// Its name in the JSON.
    pub key: &'static str,
    /// Its name in the table.
    pub label: &'static str,
    /// The row that is subtracted from it, by its key: what the bench itself does.
    pub less: Option<&'static str>,
    run: Box<dyn FnMut(u32) -> Duration>,
}

impl Row {
    /// A row that does this; what it returns is dropped within the time.
    pub fn new<T>(
        key: &'static str,
        label: &'static str,
        mut work: impl FnMut() -> T + 'static,
    ) -> Self {
        let run = move |times: u32| {
            let start = Instant::now();
            for _ in 0..times {
                black_box(work());
            }
            start.elapsed()
        };
        Self { key, label, less: None, run: Box::new(run) }
    }

    /// A row that takes the time of its own work.
    pub fn timed(
        key: &'static str,
        label: &'static str,
        mut work: impl FnMut() -> Duration + 'static,
    ) -> Self {
        let run = move |times: u32| (0..times).map(|_| work()).sum();
        Self { key, label, less: None, run: Box::new(run) }
    }

    /// Subtracts another row: making a request, mostly.
    #[must_use]
    pub fn less(self, key: &'static str) -> Self {
        Self { less: Some(key), ..self }
    }

    /// Does it so many times.
    pub fn run(&mut self, times: u32) -> Duration {
        (self.run)(times)
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row").field("key", &self.key).finish_non_exhaustive()
    }
}
