//! Taking samples: every row a batch, in turn, round after round.
//!
//! Whatever disturbs the machine for longer than a round disturbs all rows alike, so ratios are taken within each round
//! and only then is the median taken.

use std::{collections::BTreeMap, time::Duration};

use crate::Row;

/// The samples of the rows of one body.
#[derive(Debug)]
pub struct Samples {
    rows: Vec<Sampled>,
}

/// The samples of a row, one a round, in nanoseconds for doing it once; what is to be subtracted is.
#[derive(Debug)]
#[non_exhaustive]
pub struct Sampled {
    /// The row's name in the JSON.
    pub key: &'static str,
    /// The row's name in the table.
    pub label: &'static str,
    nanos: Vec<f64>,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "both programs of this package name both fields")]
pub struct Effort {
    /// How many rounds.
    pub rounds: usize,
    /// How long a row's batch takes, about.
    pub batch: Duration,
}

impl Samples {
    /// Takes them.
    ///
    /// # Panics
    ///
    /// Where a row subtracts one that is not there.
    #[must_use]
    pub fn take(rows: &mut [Row], effort: Effort) -> Self {
        let times: Vec<u32> = rows.iter_mut().map(|row| calibrate(row, effort.batch)).collect();
        let mut raw = vec![Vec::with_capacity(effort.rounds); rows.len()];
        for round in 0..effort.rounds {
            // Each round begins with another row, so that none always follows the same pause.
            for place in 0..rows.len() {
                let place = (place + round) % rows.len();
                let times = times[place];
                raw[place].push(rows[place].run(times).as_secs_f64() * 1e9 / f64::from(times));
            }
        }
        let own: BTreeMap<_, _> =
            rows.iter().zip(&raw).map(|(row, nanos)| (row.key, nanos.clone())).collect();
        let rows = rows
            .iter()
            .zip(raw)
            .map(|(row, mut nanos)| {
                if let Some(less) = row.less {
                    nanos.iter_mut().zip(&own[less]).for_each(|(nanos, less)| *nanos -= less);
                }
                Sampled { key: row.key, label: row.label, nanos }
            })
            .collect();
        Self { rows }
    }

    /// The rows, in the order of the table.
    #[must_use]
    pub fn rows(&self) -> &[Sampled] {
        &self.rows
    }

    /// A row.
    ///
    /// # Panics
    ///
    /// Where there is none of this key.
    #[must_use]
    pub fn row(&self, key: &str) -> &Sampled {
        self.rows.iter().find(|row| row.key == key).unwrap_or_else(|| panic!("no row {key}"))
    }

    /// How many times as long one row takes as another: the median of the rounds.
    #[must_use]
    pub fn ratio(&self, key: &str, to: &str) -> f64 {
        self.row(key).ratio(self.row(to))
    }
}

impl Sampled {
    /// The time that `share` of the rounds stayed below, in nanoseconds: 0.5 for the median.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        quantile(self.nanos.clone(), share)
    }

    /// How many times as long this takes as another: the median of the rounds.
    #[must_use]
    pub fn ratio(&self, to: &Self) -> f64 {
        quantile(self.nanos.iter().zip(&to.nanos).map(|(this, to)| this / to).collect(), 0.5)
    }
}

fn calibrate(row: &mut Row, batch: Duration) -> u32 {
    let mut times = 1;
    loop {
        let taken = row.run(times);
        if taken >= batch / 2 || times >= 1 << 24 {
            return times;
        }
        times *= 2;
    }
}

/// The nearest sample to this share of them.
///
/// # Panics
///
/// Where there are no samples.
#[must_use]
pub fn quantile(mut samples: Vec<f64>, share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let mut place = 0;
    while place + 1 < samples.len() && ratio(place + 1, samples.len() - 1) <= share {
        place += 1;
    }
    samples[place]
}

fn ratio(part: usize, whole: usize) -> f64 {
    let (part, whole) = (u32::try_from(part), u32::try_from(whole));
    f64::from(part.unwrap_or(u32::MAX)) / f64::from(whole.unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row that takes these times, one a batch of one.
    fn row(key: &'static str, micros: &'static [u64]) -> Row {
        let mut micros = micros.iter().cycle();
        Row::timed(key, key, move || Duration::from_micros(*micros.next().unwrap()))
    }

    fn once(rounds: usize) -> Effort {
        Effort { rounds, batch: Duration::from_micros(1) }
    }

    #[test]
    fn quantiles_are_samples() {
        let samples = vec![5.0, 1.0, 4.0, 2.0, 3.0];
        let all = [0.0, 0.1, 0.5, 0.9, 1.0].map(|share| quantile(samples.clone(), share));
        assert_eq!(all, [1.0, 1.0, 3.0, 4.0, 5.0]);
        assert_eq!(quantile(vec![7.0], 0.5), 7.0);
    }

    #[test]
    fn what_a_row_subtracts_is_subtracted_round_by_round() {
        // Calibration takes the first of each.
        let mut rows = [row("make", &[9, 1, 2, 3]), row("call", &[9, 11, 22, 33]).less("make")];
        let samples = Samples::take(&mut rows, once(3));
        let call = samples.row("call");
        assert_eq!(
            [0.0, 0.5, 1.0].map(|share| call.quantile(share).round()),
            [10_000.0, 20_000.0, 30_000.0]
        );
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        // 4, 2 and 1 times as long; the ratio of the medians would be 4 to 3.
        let mut rows = [row("one", &[9, 4, 20, 3]), row("other", &[9, 1, 10, 3])];
        let samples = Samples::take(&mut rows, once(3));
        assert_eq!((samples.ratio("one", "other") * 1000.0).round(), 2000.0);
    }
}
