//! Counts requests.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// Counts of the requests to an emulator since its start, or since [`reset_requests`](crate::Emulator::reset_requests).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requests {
    /// The number of requests.
    pub total: u64,
    /// The number of requests by path. Ids are written as `{id}`: `/directory_users/{id}`. Paths that the API does not have
    /// are counted as `other`.
    pub by_path: BTreeMap<String, u64>,
    /// The number of responses by status.
    pub by_status: BTreeMap<u16, u64>,
    /// The number of requests whose connection was closed without a response.
    pub unanswered: u64,
    /// The largest number of requests that began in any one second, by the emulator's clock. A second does not include its
    /// end.
    pub peak: u64,
    /// The [`peak`](Self::peak) of each directory, by its id. A request belongs to the directory that it names, or to that of
    /// the group or user that it names.
    pub peak_by_directory: BTreeMap<String, u64>,
}

/// Requests of a period that slides with the time.
#[derive(Debug)]
pub(crate) struct Window {
    /// In nanoseconds.
    period: i64,
    times: VecDeque<i64>,
}

impl Window {
    pub(crate) fn new(period: i64) -> Self {
        Self { period, times: VecDeque::new() }
    }

    /// The number of requests in the period that ends now.
    pub(crate) fn count(&mut self, now: i64) -> u64 {
        let start = now.saturating_sub(self.period);
        while self.times.front().is_some_and(|&time| time <= start) {
            self.times.pop_front();
        }
        u64::try_from(self.times.len()).unwrap_or(u64::MAX)
    }

    pub(crate) fn add(&mut self, now: i64) {
        self.times.push_back(now);
    }

    /// When the first request leaves the period.
    pub(crate) fn free_at(&self) -> Option<i64> {
        self.times.front().map(|time| time.saturating_add(self.period))
    }
}

/// In nanoseconds.
pub(crate) const SECOND: i64 = 1_000_000_000;

/// Counts requests.
#[derive(Debug)]
pub(crate) struct Counter {
    counts: Requests,
    all: Window,
    directories: HashMap<String, Window>,
}

impl Counter {
    pub(crate) fn new() -> Self {
        Self { counts: Requests::default(), all: Window::new(SECOND), directories: HashMap::new() }
    }

    pub(crate) fn counts(&self) -> Requests {
        self.counts.clone()
    }

    pub(crate) fn begin(&mut self, path: &str, directory: Option<&str>, now: i64) {
        self.counts.total += 1;
        *self.counts.by_path.entry(path.to_owned()).or_default() += 1;
        self.all.add(now);
        self.counts.peak = self.counts.peak.max(self.all.count(now));
        if let Some(directory) = directory {
            let window = self.directories.entry(directory.to_owned());
            let window = window.or_insert_with(|| Window::new(SECOND));
            window.add(now);
            let peak = self.counts.peak_by_directory.entry(directory.to_owned()).or_default();
            *peak = (*peak).max(window.count(now));
        }
    }

    /// `None` if there is no response.
    pub(crate) fn end(&mut self, status: Option<u16>) {
        match status {
            Some(status) => *self.counts.by_status.entry(status).or_default() += 1,
            None => self.counts.unanswered += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_does_not_include_its_end() {
        let mut counter = Counter::new();
        for now in [0, SECOND / 2, SECOND, SECOND + SECOND / 2] {
            counter.begin("/events", Some("d"), now);
        }
        assert_eq!(counter.counts().peak, 2);
        counter.begin("/events", None, 2 * SECOND - 1);
        assert_eq!(counter.counts().peak, 3);
        assert_eq!(counter.counts().peak_by_directory["d"], 2);
        counter.end(None);
        counter.end(Some(200));
        let counts = counter.counts();
        assert_eq!((counts.unanswered, counts.by_status[&200], counts.total), (1, 1, 5));
    }
}
