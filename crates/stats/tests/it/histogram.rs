//! Histograms against the sorted values themselves.

use std::time::Duration;

use evenkeel_stats::{Histogram, HistogramSnapshot, Precision, SnapshotError};
use proptest::prelude::*;

fn precisions() -> impl Strategy<Value = Precision> {
    prop_oneof![Just(Precision::Fine), Just(Precision::Compact)]
}

/// Every magnitude alike, and what lies at the edges of buckets.
fn values() -> impl Strategy<Value = Vec<u64>> {
    let value = prop_oneof![
        4 => (0..40_u32, any::<u64>()).prop_map(|(power, random)| random >> (63 - power)),
        1 => (0..40_u32, 0..3_u64).prop_map(|(power, offset)| ((1 << power) + offset).saturating_sub(1)),
        1 => 0..300_u64,
        1 => any::<u64>(),
    ];
    prop::collection::vec(value, 1..300)
}

fn recorded(precision: Precision, values: &[u64]) -> HistogramSnapshot {
    let histogram = Histogram::new(precision);
    values.iter().for_each(|value| histogram.record(*value));
    histogram.snapshot()
}

fn nanos(duration: Option<Duration>) -> u64 {
    duration.unwrap().as_nanos() as u64
}

/// By nearest rank, in whole numbers: `per_100_000` of `sorted` are not above it.
fn exact(sorted: &[u64], per_100_000: u64) -> u64 {
    let rank = (sorted.len() as u64 * per_100_000).div_ceil(100_000).max(1);
    sorted[rank as usize - 1]
}

proptest! {
    #[test]
    fn percentiles_keep_the_stated_error(precision in precisions(), values in values()) {
        let snapshot = recorded(precision, &values);
        let mut sorted: Vec<u64> = values.iter().map(|value| (*value).min(Histogram::MAX_NANOS)).collect();
        sorted.sort_unstable();
        let summary = snapshot.summary();
        let error = precision.relative_error();
        let close = |exact: u64, given: u64| {
            exact <= given && given as f64 <= exact as f64 * (1.0 + error)
        };
        for (per_100_000, in_summary) in [
            (0, None),
            (1_000, None),
            (50_000, Some(summary.p50)),
            (90_000, Some(summary.p90)),
            (95_000, Some(summary.p95)),
            (99_000, Some(summary.p99)),
            (99_900, Some(summary.p999)),
            (99_990, None),
        ] {
            let percent = per_100_000 as f64 / 1_000.0;
            let exact = exact(&sorted, per_100_000);
            let given = nanos(snapshot.percentile(percent));
            prop_assert!(close(exact, given), "p{percent}: {given} for {exact}");
            if let Some(in_summary) = in_summary {
                prop_assert_eq!(in_summary.as_nanos() as u64, given, "p{}", percent);
            }
        }
        prop_assert_eq!(nanos(snapshot.min()), sorted[0]);
        prop_assert_eq!(nanos(snapshot.max()), sorted[sorted.len() - 1]);
        prop_assert_eq!(nanos(snapshot.percentile(100.0)), sorted[sorted.len() - 1]);
        prop_assert_eq!(summary.max, snapshot.max().unwrap());
        prop_assert_eq!(snapshot.count(), sorted.len() as u64);
        let mean = sorted.iter().map(|value| *value as f64).sum::<f64>() / sorted.len() as f64;
        let given = nanos(snapshot.mean()) as f64;
        prop_assert!((given - mean).abs() <= mean * error / 2.0 + 1.0, "mean {given} for {mean}");
    }

    #[test]
    fn what_is_subtracted_and_merged_again_is_what_was(
        precision in precisions(),
        before in values(),
        after in values(),
    ) {
        let histogram = Histogram::new(precision);
        before.iter().for_each(|value| histogram.record(*value));
        let earlier = histogram.snapshot();
        after.iter().for_each(|value| histogram.record(*value));
        let later = histogram.snapshot();

        let window = later.since(&earlier).unwrap();
        let alone = recorded(precision, &after);
        prop_assert!(window.buckets().eq(alone.buckets()));
        prop_assert_eq!(window.count(), alone.count());
        // The window's extremes lie in the true ones' buckets.
        let error = 1.0 + precision.relative_error();
        prop_assert!(nanos(window.max()) >= nanos(alone.max()));
        prop_assert!(nanos(window.max()) as f64 <= nanos(alone.max()) as f64 * error);
        prop_assert!(nanos(window.min()) <= nanos(alone.min()));
        prop_assert!(nanos(window.min()) as f64 * error >= nanos(alone.min()) as f64);

        let mut merged = earlier.clone();
        merged.merge(&alone).unwrap();
        prop_assert_eq!(&merged, &later);
        prop_assert!(later.since(&later).unwrap().is_empty());
        prop_assert_eq!(&later.since(&HistogramSnapshot::new(precision)).unwrap(), &later);
    }

    #[test]
    fn merging_has_no_order(precision in precisions(), a in values(), b in values(), c in values()) {
        let [a, b, c] = [a, b, c].map(|values| recorded(precision, &values));
        let merged = |parts: [&HistogramSnapshot; 3]| {
            let mut all = HistogramSnapshot::new(precision);
            parts.iter().for_each(|part| all.merge(part).unwrap());
            all
        };
        prop_assert_eq!(merged([&a, &b, &c]), merged([&c, &a, &b]));
        let mut right = b.clone();
        right.merge(&c).unwrap();
        let mut left = a.clone();
        left.merge(&right).unwrap();
        prop_assert_eq!(merged([&a, &b, &c]), left);
    }

    #[test]
    fn percentiles_rise_with_the_percentage(values in values(), percents in prop::collection::vec(-10.0..110.0, 2..30)) {
        let snapshot = recorded(Precision::Compact, &values);
        let mut percents = percents;
        percents.sort_unstable_by(f64::total_cmp);
        let given: Vec<_> = percents.iter().map(|percent| snapshot.percentile(*percent)).collect();
        prop_assert!(given.is_sorted());
        prop_assert!(given.iter().all(|value| *value <= snapshot.max() && *value >= snapshot.min()));
    }
}

#[test]
fn no_traffic_is_not_zero_latency() {
    let empty = Histogram::default().snapshot();
    assert!(empty.is_empty());
    assert_eq!(
        (empty.percentile(50.0), empty.mean(), empty.max(), empty.min()),
        (None, None, None, None)
    );
    assert_eq!(empty.summary().count, 0);
    assert_eq!(empty.buckets().count(), 0);
}

#[test]
fn percentages_that_are_none_ask_for_an_end() {
    let snapshot = recorded(Precision::Fine, &[1, 2, 3]);
    assert_eq!(nanos(snapshot.percentile(f64::NAN)), 3);
    assert_eq!(nanos(snapshot.percentile(f64::INFINITY)), 3);
    assert_eq!(nanos(snapshot.percentile(-5.0)), 1);
}

#[test]
fn a_percentage_without_exact_binary_form_asks_for_no_rank_too_many() {
    // 0.1 % of each: 99.9 % of 1000 values is the 999th, however 99.9 rounds.
    for thousands in 1..50_u64 {
        let histogram = Histogram::new(Precision::Fine);
        (0..thousands * 999).for_each(|_| histogram.record(1));
        (0..thousands).for_each(|_| histogram.record(200));
        assert_eq!(nanos(histogram.snapshot().percentile(99.9)), 1, "{thousands}");
    }
}

#[test]
fn snapshots_that_do_not_belong_together_are_refused_and_unharmed() {
    let fine = recorded(Precision::Fine, &[5]);
    let mut compact = recorded(Precision::Compact, &[5, 6]);
    let untouched = compact.clone();
    assert!(matches!(
        compact.merge(&fine),
        Err(SnapshotError::PrecisionMismatch { .. })
    ));
    assert!(matches!(
        compact.subtract(&fine),
        Err(SnapshotError::PrecisionMismatch { .. })
    ));
    assert_eq!(
        compact.subtract(&recorded(Precision::Compact, &[5, 7])),
        Err(SnapshotError::NotEarlier)
    );
    assert_eq!(compact, untouched);
}

#[test]
fn the_sum_never_becomes_less_and_is_that_of_what_was_recorded() {
    let histogram = Histogram::new(Precision::Compact);
    let (mut before, mut exact) = (Duration::ZERO, 0.0);
    for n in 0..2000_u64 {
        let latency = Duration::from_nanos(n * n * 7919 % 50_000_000);
        histogram.record_duration(latency);
        exact += latency.as_secs_f64();
        let summary = histogram.snapshot().summary();
        assert!(summary.sum >= before, "{:?} after {before:?}", summary.sum);
        before = summary.sum;
    }
    assert!(
        (before.as_secs_f64() / exact - 1.0).abs() < 0.02,
        "{before:?} for {exact}"
    );
}
