//! The few figures that stand for many samples.
//!
//! Medians, because a machine that people use gives outliers; minimum and maximum as the spread, and
//! where there are samples enough an [interval]. Ratios are taken in pairs, sample
//! by sample of the same repeat: contenders are interleaved, so what slows the machine for a while
//! slows both halves of a pair.

use std::collections::BTreeMap;

use serde::Serialize;

use super::interval::{self, middle};

/// How sure an interval is that stands beside a figure.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// What is shown for a series of samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// The middle one, or the mean of the middle two.
    pub(crate) median: f64,
    /// The least.
    pub(crate) min: f64,
    /// The most.
    pub(crate) max: f64,
    /// How many there were.
    pub(crate) samples: usize,
    /// Where the median lies with 95 % confidence; none for too few samples.
    pub(crate) interval: Option<[f64; 2]>,
}

impl Summary {
    /// What to show as its spread: the interval, or else the least and the most.
    pub(crate) fn spread(&self) -> [f64; 2] {
        self.interval.unwrap_or([self.min, self.max])
    }
}

/// Sums up a series. What is not a number, or not finite, is left out; nothing is left of an empty series.
pub(crate) fn summary(values: impl IntoIterator<Item = f64>) -> Option<Summary> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    values.sort_unstable_by(f64::total_cmp);
    let (&min, &max) = (values.first()?, values.last()?);
    let samples = values.len();
    Some(Summary {
        median: middle(&mut values),
        min,
        max,
        samples,
        interval: interval::of_median(&values, CONFIDENCE),
    })
}

/// Samples by the number of their repeat.
pub(crate) type Series = BTreeMap<u32, f64>;

/// How `ours` compares to `baseline`, repeat by repeat. A repeat that either of them lacks is left out,
/// and so is one where the baseline is zero.
pub(crate) fn paired_ratio(ours: &Series, baseline: &Series) -> Option<Summary> {
    summary(
        ours.iter()
            .filter_map(|(repeat, value)| Some(value / baseline.get(repeat)?)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[(u32, f64)]) -> Series {
        values.iter().copied().collect()
    }

    #[test]
    fn an_empty_series_has_no_summary() {
        assert_eq!(summary([]), None);
        assert_eq!(summary([f64::NAN, f64::INFINITY]), None);
    }

    #[test]
    fn one_sample_is_its_own_median_and_spread() {
        assert_eq!(
            summary([7.0]),
            Some(Summary {
                median: 7.0,
                min: 7.0,
                max: 7.0,
                samples: 1,
                interval: None,
            })
        );
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(
            summary([9.0, 1.0, 2.0]).map(|s| (s.median, s.min, s.max)),
            Some((2.0, 1.0, 9.0))
        );
        assert_eq!(summary([4.0, 1.0, 100.0, 2.0]).map(|s| s.median), Some(3.0));
        assert_eq!(summary([f64::MAX, f64::MAX]).map(|s| s.median), Some(f64::MAX));
    }

    #[test]
    fn one_bad_sample_does_not_spoil_the_rest() {
        let summary = summary([1.0, f64::NAN, 3.0, f64::NEG_INFINITY]).expect("two are good");
        assert_eq!((summary.median, summary.samples), (2.0, 2));
    }

    #[test]
    fn ratios_are_of_the_same_repeat_not_of_medians() {
        // The machine was ten times slower in the second repeat, for both.
        let ours = series(&[(0, 2.0), (1, 20.0), (2, 2.0)]);
        let baseline = series(&[(0, 1.0), (1, 10.0), (2, 1.0)]);
        assert_eq!(
            paired_ratio(&ours, &baseline).map(|r| (r.median, r.min, r.max)),
            Some((2.0, 2.0, 2.0))
        );
    }

    #[test]
    fn a_repeat_without_a_partner_is_left_out() {
        let ours = series(&[(0, 2.0), (1, 99.0), (3, 3.0)]);
        let baseline = series(&[(0, 1.0), (2, 1.0), (3, 1.0)]);
        assert_eq!(
            paired_ratio(&ours, &baseline).map(|r| (r.median, r.samples)),
            Some((2.5, 2))
        );
        assert_eq!(paired_ratio(&ours, &series(&[])), None);
    }

    #[test]
    fn a_zero_in_the_baseline_is_no_ratio() {
        assert_eq!(
            paired_ratio(&series(&[(0, 0.0), (1, 1.0)]), &series(&[(0, 0.0), (1, 0.0)])),
            None
        );
    }
}
