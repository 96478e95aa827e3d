//! Takes samples: one batch of every row, in turn, round after round.
//!
//! A disturbance that lasts longer than a round affects all rows of that round. Ratios are therefore taken within each
//! round, and the median is taken over those ratios.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use crate::{
    row::Row,
    statistics::{Spread, median},
};

/// The samples of all rows for one body.
#[derive(Debug)]
pub struct Samples {
    rows: Vec<Sampled>,
}

/// The samples of one row, in microseconds for one operation, after any subtraction.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sampled {
    /// The row's name in the JSON.
    pub key: &'static str,
    /// The row's name in the table.
    pub label: Cow<'static, str>,
    micros: Vec<f64>,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the binary names both fields")]
pub struct Effort {
    /// The number of rounds.
    pub rounds: usize,
    /// How long a batch of one row takes, approximately.
    pub batch: Duration,
}

impl Samples {
    /// Takes the samples of these rows.
    ///
    /// # Panics
    ///
    /// If a row subtracts a row that isn't among them.
    #[must_use]
    pub fn take(rows: &mut [Row], effort: Effort) -> Self {
        let times: Vec<u32> = rows.iter_mut().map(|row| calibrate(row, effort.batch)).collect();
        let mut raw = vec![Vec::with_capacity(effort.rounds); rows.len()];
        for round in 0..effort.rounds {
            // Each round starts at a different row, so that no row always runs first.
            for index in 0..rows.len() {
                let index = (index + round) % rows.len();
                let times = times[index];
                raw[index].push(rows[index].run(times).as_secs_f64() * 1e6 / f64::from(times));
            }
        }
        let by_key: BTreeMap<_, _> = rows.iter().map(|row| row.key).zip(&raw).collect();
        let rows = rows.iter().zip(&raw).map(|(row, micros)| {
            let micros = match row.subtracted {
                Some(key) => micros.iter().zip(by_key[key]).map(|(all, part)| all - part).collect(),
                None => micros.clone(),
            };
            Sampled::new(row.key, row.label, micros)
        });
        Self { rows: rows.collect() }
    }

    /// The rows, in the order of the table.
    #[must_use]
    pub fn rows(&self) -> &[Sampled] {
        &self.rows
    }

    /// The row with this key.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn row(&self, key: &str) -> &Sampled {
        self.rows.iter().find(|row| row.key == key).unwrap_or_else(|| panic!("no row {key}"))
    }

    /// The time of one row divided by that of another: the median over the rounds.
    #[must_use]
    pub fn ratio(&self, key: &str, to: &str) -> f64 {
        median(self.row(key).micros.iter().zip(&self.row(to).micros).map(|(this, to)| this / to))
    }
}

impl Sampled {
    pub(crate) fn new(
        key: &'static str,
        label: impl Into<Cow<'static, str>>,
        micros: Vec<f64>,
    ) -> Self {
        Self { key, label: label.into(), micros }
    }

    /// The median and the spread, in microseconds.
    #[must_use]
    pub fn spread(&self) -> Spread {
        Spread::of(&self.micros)
    }
}

/// The number of repetitions that fill about one batch.
fn calibrate(row: &mut Row, batch: Duration) -> u32 {
    let mut times = 1;
    while row.run(times) < batch / 2 && times < 1 << 24 {
        times *= 2;
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row that takes these times in turn, one repetition a batch.
    fn row(key: &'static str, micros: &'static [u64]) -> Row {
        let mut micros = micros.iter().cycle();
        Row::timed(key, key, move || Duration::from_micros(*micros.next().unwrap()))
    }

    fn three_rounds() -> Effort {
        Effort { rounds: 3, batch: Duration::from_micros(1) }
    }

    #[test]
    fn rows_are_subtracted_within_rounds() {
        // Calibration takes the first time of each row.
        let mut rows = [row("make", &[9, 1, 2, 4]), row("call", &[9, 31, 12, 4]).subtract("make")];
        let samples = Samples::take(&mut rows, three_rounds());
        let micros: Vec<_> = samples.row("call").micros.iter().map(|time| time.round()).collect();
        assert_eq!(micros, [30.0, 10.0, 0.0]);
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        // The ratios are 4, 2 and 1; the ratio of the medians would be 4 to 3.
        let mut rows = [row("one", &[9, 4, 20, 3]), row("other", &[9, 1, 10, 3])];
        let samples = Samples::take(&mut rows, three_rounds());
        assert_eq!((samples.ratio("one", "other") * 1000.0).round(), 2000.0);
    }
}
