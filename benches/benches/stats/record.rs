//! What a request costs: it is counted and its latency recorded.

use std::hint::black_box;

use criterion::Criterion;
use evenkeel_stats::{Counter, Histogram, LocalCounter, Precision};

use crate::drive;
use crate::peers::{Metrics, Prometheus, hdr};

/// `evenkeel` is one call, since the count comes out of the histogram; the others of ours count apart.
pub(crate) fn one_thread(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stats/count_and_record");
    let histogram = &Histogram::new(Precision::Fine);
    drive::one_thread(
        &mut group,
        "evenkeel",
        |nanos| black_box(histogram).record(nanos),
        || (),
    );
    let prometheus = &Prometheus::new();
    let operation = |nanos| black_box(prometheus).count_and_record(nanos);
    drive::one_thread(&mut group, "prometheus_client", operation, || ());
    let local = &LocalCounter::new();
    let operation = |nanos| {
        black_box(local).increment();
        black_box(histogram).record(nanos);
    };
    drive::one_thread(&mut group, "evenkeel_and_local_counter", operation, || ());
    let metrics = &Metrics::new();
    let operation = |nanos| black_box(metrics).count_and_record(nanos);
    drive::one_thread(&mut group, "metrics", operation, || metrics.exporter.run_upkeep());
    let counter = &Counter::new();
    let operation = |nanos| {
        black_box(counter).increment();
        black_box(histogram).record(nanos);
    };
    drive::one_thread(&mut group, "evenkeel_and_counter", operation, || ());
    let mut recorder = hdr().into_sync().recorder();
    let operation = |nanos| black_box(&mut recorder).saturating_record(nanos);
    drive::one_thread(&mut group, "hdrhistogram_sync", operation, || ());
    group.finish();
}

/// The same by two threads that share everything, as tasks on two workers do.
pub(crate) fn two_threads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stats/count_and_record_2_threads");
    let histogram = &Histogram::new(Precision::Fine);
    let operation = || |nanos| black_box(histogram).record(nanos);
    drive::two_threads(&mut group, "evenkeel", operation, || ());
    let prometheus = &Prometheus::new();
    let operation = || |nanos| black_box(prometheus).count_and_record(nanos);
    drive::two_threads(&mut group, "prometheus_client", operation, || ());
    // The worst case: every value in one bucket.
    let operation = || |_| black_box(histogram).record(black_box(1_500_000));
    drive::two_threads(&mut group, "evenkeel_one_bucket", operation, || ());
    let metrics = &Metrics::new();
    let operation = || |nanos| black_box(metrics).count_and_record(nanos);
    drive::two_threads(&mut group, "metrics", operation, || metrics.exporter.run_upkeep());
    let counter = &Counter::new();
    let operation = || {
        |nanos| {
            black_box(counter).increment();
            black_box(histogram).record(nanos);
        }
    };
    drive::two_threads(&mut group, "evenkeel_and_counter", operation, || ());
    // A recorder to each thread: nothing is shared until somebody reads.
    let sync = hdr().into_sync();
    let operation = || {
        let mut recorder = sync.recorder();
        move |nanos| black_box(&mut recorder).saturating_record(nanos)
    };
    drive::two_threads(&mut group, "hdrhistogram_sync", operation, || ());
    group.finish();
}
