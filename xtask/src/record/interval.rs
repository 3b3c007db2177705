//! Intervals: where a median may lie, and by how much two runs may differ. Neither asks how samples are distributed,
//! which is right for latencies.
//!
//! Of one median by order statistics (Thompson 1936): it lies below the least of `n` samples with a probability of
//! one in `2^n`, and so on inwards, so that the interval between two samples holds it with a probability that is
//! known. The bootstrap, which is the usual way, is too narrow for so few samples: of seven repeats its 95 % hold
//! the median 88 times of 100.
//!
//! Of the quotient of two runs' medians by the percentile bootstrap (Efron 1979): draw as many samples as there are,
//! with replacement, from both, take the quotient of the medians, and do so many times; the middle 99 % of these are
//! the interval. The draws are of a fixed seed: the same samples give the same interval.

/// The least number of samples that an interval is given for. From the least to the most of five it holds the median
/// 15 times of 16, of six and more 95 times of 100.
pub(crate) const LEAST: usize = 5;

/// How often is drawn.
const DRAWS: usize = 1000;

/// Steele, Lea and Flood's `SplitMix64`: enough for draws, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^= word >> 31;
        // The upper half of the product of word and bound is even over the bound.
        let scaled = (u128::from(word) * bound as u128) >> 64;
        usize::try_from(scaled).unwrap_or(0)
    }

    /// The median of as many draws as there are samples.
    fn median(&mut self, samples: &[f64], drawn: &mut Vec<f64>) -> f64 {
        drawn.clear();
        drawn.extend((0..samples.len()).map(|_| samples[self.below(samples.len())]));
        middle(drawn)
    }
}

/// The middle one, or the mean of the middle two; puts the values in order. Not a number without values.
pub(crate) fn middle(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

/// The part `confidence` (0 to 1) in the middle of what is drawn.
fn between(mut drawn: Vec<f64>, confidence: f64) -> Option<[f64; 2]> {
    drawn.sort_unstable_by(f64::total_cmp);
    let last = drawn.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a small count"
    )]
    let cut = ((1.0 - confidence) / 2.0 * last as f64).round() as usize;
    let (low, high) = (drawn[cut], drawn[last - cut]);
    (low.is_finite() && high.is_finite()).then_some([low, high])
}

/// The interval of the median of `samples`: from the least to the most, without as many at both ends as
/// `confidence` (0 to 1) allows. None for fewer than [`LEAST`].
pub(crate) fn of_median(samples: &[f64], confidence: f64) -> Option<[f64; 2]> {
    if samples.len() < LEAST {
        return None;
    }
    let mut samples = samples.to_vec();
    samples.sort_unstable_by(f64::total_cmp);
    let left_out = left_out(samples.len(), confidence);
    let (low, high) = (samples[left_out], samples[samples.len() - 1 - left_out]);
    (low.is_finite() && high.is_finite()).then_some([low, high])
}

/// How many samples of `count` may be left out at each end, so that the median lies between the rest with this
/// confidence. The median is below the sample after the k-th if at most k of them are below it: the lower tail of
/// heads of `count` coins.
fn left_out(count: usize, confidence: f64) -> usize {
    let coins = count as f64;
    // The logarithm of the probability of exactly `k` heads, for that of none may be too small for a double.
    let mut exactly = -coins * std::f64::consts::LN_2;
    let mut at_most = exactly.exp();
    let mut k = 0;
    while 2 * k + 3 < count {
        exactly += ((coins - k as f64) / (k as f64 + 1.0)).ln();
        at_most += exactly.exp();
        if 2.0 * at_most > 1.0 - confidence {
            break;
        }
        k += 1;
    }
    k
}

/// The interval of the median of `new` over the median of `old`, two runs of their own; none for fewer than
/// [`LEAST`] in either.
pub(crate) fn of_quotient(new: &[f64], old: &[f64], confidence: f64) -> Option<[f64; 2]> {
    if new.len().min(old.len()) < LEAST {
        return None;
    }
    let (mut random, mut scratch) = (Random(1), Vec::new());
    let drawn = (0..DRAWS).map(|_| random.median(new, &mut scratch) / random.median(old, &mut scratch));
    between(drawn.collect(), confidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples around `center`, evenly spread by a tenth to both sides.
    fn around(center: f64, count: u32) -> Vec<f64> {
        let step = |at: u32| f64::from(at) / f64::from(count - 1) * 0.2 - 0.1;
        (0..count).map(|at| center * (1.0 + step(at))).collect()
    }

    #[test]
    fn an_interval_holds_the_median_and_stays_within_the_samples() {
        for count in [5, 6, 15, 50] {
            let samples = around(10.0, count);
            let [low, high] = of_median(&samples, 0.95).expect("enough samples");
            assert!(low <= 10.0 && 10.0 <= high, "{low} {high}");
            assert!(samples[0] <= low && high <= samples[samples.len() - 1]);
        }
    }

    #[test]
    fn more_samples_make_it_narrower_and_more_confidence_wider() {
        let width = |count, confidence| {
            let [low, high] = of_median(&around(10.0, count), confidence).expect("enough samples");
            high - low
        };
        assert!(width(100, 0.95) < width(10, 0.95) * 0.6);
        assert!(width(30, 0.99) > width(30, 0.8));
    }

    #[test]
    fn few_samples_pretend_to_no_interval() {
        assert_eq!(of_median(&[1.0, 2.0, 3.0, 4.0], 0.95), None);
        assert_eq!(of_quotient(&[1.0; 4], &[1.0; 9], 0.95), None);
        assert_eq!(of_median(&[], 0.95), None);
    }

    #[test]
    fn equal_samples_have_an_interval_of_no_width() {
        assert_eq!(of_median(&[3.0; 5], 0.95), Some([3.0, 3.0]));
        assert_eq!(of_quotient(&[3.0; 5], &[2.0; 5], 0.95), Some([1.5, 1.5]));
        // Nothing in the baseline: no figure, not an infinite one.
        assert_eq!(of_quotient(&[3.0; 5], &[0.0; 5], 0.95), None);
    }

    #[test]
    fn the_same_samples_give_the_same_interval() {
        let samples = around(7.0, 15);
        assert_eq!(of_median(&samples, 0.95), of_median(&samples, 0.95));
    }

    /// The promise of an interval: over many draws from a known population it holds the true median at least as
    /// often as it says, however few samples there are.
    #[test]
    fn the_interval_covers_the_truth_as_often_as_it_says() {
        let mut random = Random(42);
        for count in LEAST..=20 {
            let covered = (0..2000).filter(|_| {
                // Uniform over 0 to 1: its median is a half.
                let samples: Vec<f64> = (0..count).map(|_| random.below(1_000_001) as f64 / 1e6).collect();
                of_median(&samples, 0.95).is_some_and(|[low, high]| low <= 0.5 && 0.5 <= high)
            });
            let covered = covered.count();
            // Five can do no better than 93.75 %.
            let least = if count == LEAST { 1840 } else { 1870 };
            assert!(covered >= least, "{covered} of 2000 with {count} samples");
        }
    }

    #[test]
    fn no_more_is_left_out_than_the_confidence_allows() {
        // By the tables of the sign test (Dixon and Mood 1946).
        let tabled = [
            (5, 0),
            (6, 0),
            (8, 0),
            (9, 1),
            (12, 2),
            (15, 3),
            (20, 5),
            (100, 39),
        ];
        for (count, out) in tabled {
            assert_eq!(left_out(count, 0.95), out, "of {count}");
        }
        assert_eq!(left_out(15, 0.99), 2);
        // By the normal distribution: 2500 less 0.98 times the square root of 5000.
        assert!((2428..=2432).contains(&left_out(5000, 0.95)));
    }

    #[test]
    fn draws_are_even() {
        let mut random = Random(7);
        let mut counts = [0_u32; 10];
        for _ in 0..10_000 {
            counts[random.below(10)] += 1;
        }
        assert!(
            counts.iter().all(|count| (850..=1150).contains(count)),
            "{counts:?}"
        );
    }
}
