//! Moving averages and sliding windows: what a balancer and a breaker pay for each outcome.

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use evenkeel_stats::{Clock, Ewma, PeakEwma, RealClock, SuccessWindow, Timestamp};
use parking_lot::Mutex;

const SECOND: Duration = Duration::from_secs(1);

/// tower's and linkerd's way: a lock, a clock of its own, an exponential each time.
struct Locked(Mutex<(f64, Timestamp)>);

impl Locked {
    fn record(&self, sample: f64, clock: &RealClock, tau: Duration) {
        let mut state = self.0.lock();
        let now = clock.now();
        let gap = now.since(state.1).as_secs_f64() / tau.as_secs_f64();
        let weight = (-gap).exp();
        state.0 = if sample > state.0 {
            sample
        } else {
            state.0 * weight + sample * (1.0 - weight)
        };
        state.1 = now;
    }
}

#[expect(clippy::unwrap_used, reason = "the time constants are not zero")]
pub(crate) fn averages(criterion: &mut Criterion) {
    let tau = 10 * SECOND;
    let mut group = criterion.benchmark_group("stats/ewma_record");
    for (name, gap) in [("10us_apart", 10_000), ("10ms_apart", 10_000_000)] {
        let (peak, plain) = (PeakEwma::new(tau).unwrap(), Ewma::new(tau).unwrap());
        let mut now = 0;
        let mut tick = move || {
            now += gap;
            (
                Timestamp::from_nanos(now),
                if now & 1 << 20 == 0 { 5e6 } else { 7e6 },
            )
        };
        group.bench_function(format!("evenkeel_peak_{name}"), |bencher| {
            bencher.iter(|| {
                let (now, sample) = tick();
                black_box(&peak).record(sample, now);
            });
        });
        group.bench_function(format!("evenkeel_plain_{name}"), |bencher| {
            bencher.iter(|| {
                let (now, sample) = tick();
                black_box(&plain).record(sample, now);
            });
        });
    }
    let clock = RealClock::new();
    let locked = Locked(Mutex::new((0.0, clock.now())));
    group.bench_function("mutex_exp_and_now", |bencher| {
        bencher.iter(|| black_box(&locked).record(black_box(5e6), &clock, tau));
    });
    group.finish();

    let mut group = criterion.benchmark_group("stats/ewma_value");
    let average = PeakEwma::new(tau).unwrap();
    average.record(5e6, Timestamp::ZERO);
    for (name, gap) in [("after_1ms", SECOND / 1000), ("after_10s", 10 * SECOND)] {
        let now = Timestamp::ZERO.saturating_add(gap);
        group.bench_function(format!("evenkeel_{name}"), |bencher| {
            bencher.iter(|| black_box(&average).value(black_box(now)));
        });
    }
    group.finish();
}

#[expect(clippy::unwrap_used, reason = "the windows are not zero")]
pub(crate) fn windows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stats/success_window");
    let window = SuccessWindow::new(10 * SECOND, 10).unwrap();
    let mut now = 0;
    group.bench_function("evenkeel_record", |bencher| {
        bencher.iter(|| {
            now += 10_000;
            black_box(&window).record(black_box(true), Timestamp::from_nanos(now));
        });
    });
    let now = Timestamp::from_nanos(now);
    group.bench_function("evenkeel_success_rate", |bencher| {
        bencher.iter(|| black_box(&window).success_rate(black_box(now)));
    });
    group.finish();
}
