//! What a scrape costs: count, mean, five percentiles and the maximum of what was recorded.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use evenkeel_stats::{Histogram, HistogramSnapshot, Precision};

use crate::peers::{Metrics, hdr};

const PERCENTILES: [f64; 5] = [50.0, 90.0, 95.0, 99.0, 99.9];

/// A scrape every few seconds, of what fills a thousand buckets or so.
pub(crate) fn snapshots(criterion: &mut Criterion) {
    let values: Vec<u64> = (0..100_000_u64)
        .map(|i| 100_000 + i * i % 1_000_003 * 1_000)
        .collect();
    let mut group = criterion.benchmark_group("stats/snapshot_five_percentiles");
    for (name, precision) in [
        ("evenkeel", Precision::Fine),
        ("evenkeel_compact", Precision::Compact),
    ] {
        let histogram = Histogram::new(precision);
        values.iter().for_each(|value| histogram.record(*value));
        let mut snapshot = HistogramSnapshot::new(precision);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                black_box(&histogram).snapshot_into(&mut snapshot);
                snapshot.summary()
            });
        });
    }
    let histogram = Histogram::new(Precision::Fine);
    values.iter().for_each(|value| histogram.record(*value));
    group.bench_function("evenkeel_allocating_one_by_one", |bencher| {
        bencher.iter(|| {
            let snapshot = black_box(&histogram).snapshot();
            PERCENTILES.map(|percent| snapshot.percentile(percent))
        });
    });
    let mut recorded = hdr();
    values.iter().for_each(|value| recorded.saturating_record(*value));
    group.bench_function("hdrhistogram", |bencher| {
        bencher.iter(|| {
            let snapshot = black_box(&recorded).clone();
            (
                PERCENTILES.map(|percent| snapshot.value_at_percentile(percent)),
                snapshot.mean(),
                snapshot.max(),
            )
        });
    });
    // Takes in what was recorded since the last upkeep, so what is left is the text with its quantiles.
    let metrics = Metrics::new();
    values.iter().for_each(|value| metrics.count_and_record(*value));
    metrics.exporter.run_upkeep();
    group.bench_function("metrics_render", |bencher| {
        bencher.iter(|| black_box(&metrics).exporter.render());
    });
    group.finish();

    let mut group = criterion.benchmark_group("stats/window_of_a_histogram");
    let earlier = histogram.snapshot();
    histogram.record_duration(Duration::from_millis(7));
    let later = histogram.snapshot();
    group.bench_function("evenkeel_subtract", |bencher| {
        bencher.iter_batched_ref(
            || later.clone(),
            |later| later.subtract(black_box(&earlier)),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}
