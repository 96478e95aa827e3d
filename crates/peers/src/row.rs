//! One operation that is timed.

use std::{
    fmt,
    hint::black_box,
    time::{Duration, Instant},
};

/// A row of the table: an operation that can be repeated, and reports how long the repetitions took.
pub struct Row {
    /// Its name in the JSON.
    pub key: &'static str,
    /// Its name in the table.
    pub label: &'static str,
    /// The key of the row whose time is subtracted from this one: the benchmark's own work.
    pub subtracted: Option<&'static str>,
    run: Box<dyn FnMut(u32) -> Duration>,
}

impl Row {
    /// A row that times `work`, including the drop of what it returns.
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
        Self { key, label, subtracted: None, run: Box::new(run) }
    }

    /// A row whose `work` measures its own time and returns it.
    pub fn timed(
        key: &'static str,
        label: &'static str,
        mut work: impl FnMut() -> Duration + 'static,
    ) -> Self {
        let run = move |times: u32| (0..times).map(|_| work()).sum();
        Self { key, label, subtracted: None, run: Box::new(run) }
    }

    /// Subtracts the time of another row, for example that of making a request.
    #[must_use]
    pub fn subtract(self, key: &'static str) -> Self {
        Self { subtracted: Some(key), ..self }
    }

    /// Does the work this many times and returns the total time.
    pub fn run(&mut self, times: u32) -> Duration {
        (self.run)(times)
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").field("key", &self.key).finish_non_exhaustive()
    }
}
