//! Medians and percentiles.
//!
//! Not `hdrhistogram`: it counts non-negative integers in buckets. The ratios taken within each round are fractions, and
//! the differences between two rows can be negative.

/// The median and the spread of some samples.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Spread {
    /// The 10th percentile.
    pub p10: f64,
    /// The 50th percentile.
    pub median: f64,
    /// The 90th percentile.
    pub p90: f64,
}

impl Spread {
    /// Computes the percentiles of these samples.
    #[must_use]
    pub fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |percent: usize| sorted[(sorted.len() - 1) * percent / 100];
        Self { p10: at(10), median: at(50), p90: at(90) }
    }
}

/// The median of these samples; the lower of the two middle ones if their number is even.
#[must_use]
pub fn median(samples: impl IntoIterator<Item = f64>) -> f64 {
    Spread::of(&samples.into_iter().collect::<Vec<_>>()).median
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let samples: Vec<f64> = (0..=10).rev().map(f64::from).collect();
        assert_eq!(Spread::of(&samples), Spread { p10: 1.0, median: 5.0, p90: 9.0 });
        assert_eq!(Spread::of(&[7.0]), Spread { p10: 7.0, median: 7.0, p90: 7.0 });
        assert_eq!(median([4.0, -1.0, 2.0, 3.0]), 2.0);
    }
}
