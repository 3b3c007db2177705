//! What it costs to know the time.

use std::hint::black_box;
use std::sync::Arc;

use criterion::Criterion;
use evenkeel_stats::{Clock, CoarseClock, RealClock};

#[expect(clippy::disallowed_methods, reason = "the clock that ours is held against")]
pub(crate) fn clocks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stats/clock_now");
    group.bench_function("std_instant", |bencher| bencher.iter(std::time::Instant::now));
    let real = RealClock::new();
    group.bench_function("evenkeel_real", |bencher| bencher.iter(|| black_box(&real).now()));
    let shared: Arc<dyn Clock> = Arc::new(RealClock::new());
    group.bench_function("evenkeel_real_dyn", |bencher| {
        bencher.iter(|| black_box(&shared).now());
    });
    let quanta = quanta::Clock::new();
    group.bench_function("quanta", |bencher| bencher.iter(|| black_box(&quanta).now()));
    let coarse = CoarseClock::new();
    group.bench_function("evenkeel_coarse", |bencher| {
        bencher.iter(|| black_box(&coarse).now());
    });
    group.finish();
}
