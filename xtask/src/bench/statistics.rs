//! The few figures that stand for many samples.
//!
//! Medians, because a machine that people use gives outliers; minimum and maximum as the spread,
//! because with five samples any percentile would pretend to more. Ratios are taken in pairs, sample
//! by sample of the same repeat: contenders are interleaved, so what slows the machine for a while
//! slows both halves of a pair.

use std::collections::BTreeMap;

use serde::Serialize;

/// What is shown for a series of samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Summary {
    /// The middle one, or the mean of the middle two.
    pub(super) median: f64,
    /// The least.
    pub(super) min: f64,
    /// The most.
    pub(super) max: f64,
    /// How many there were.
    pub(super) samples: usize,
}

/// Sums up a series. What is not a number, or not finite, is left out; nothing is left of an empty series.
pub(super) fn summary(values: impl IntoIterator<Item = f64>) -> Option<Summary> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    values.sort_unstable_by(f64::total_cmp);
    let (&min, &max) = (values.first()?, values.last()?);
    let samples = values.len();
    let upper = values[samples / 2];
    let median = if samples % 2 == 1 {
        upper
    } else {
        f64::midpoint(values[samples / 2 - 1], upper)
    };
    Some(Summary {
        median,
        min,
        max,
        samples,
    })
}

/// Samples by the number of their repeat.
pub(super) type Series = BTreeMap<u32, f64>;

/// How `ours` compares to `baseline`, repeat by repeat. A repeat that either of them lacks is left out,
/// and so is one where the baseline is zero.
pub(super) fn paired_ratio(ours: &Series, baseline: &Series) -> Option<Summary> {
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
                samples: 1
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
