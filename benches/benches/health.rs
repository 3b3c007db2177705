//! The circuit breaker beside `failsafe`.
//!
//! `cargo bench -p evenkeel-benches --features peers --bench health`; groups are `health/<operation>`, contenders are
//! named by crate. One operation is one good request at a closed breaker: ask, then record.
//!
//! - `evenkeel`: both rules, the time handed in, as a client does that has stamped the request anyhow;
//! - `evenkeel_and_clock`: the same, and it reads the coarse clock once for it, as `TimedBreaker` does;
//! - `failsafe`: its default, which has both rules as well and reads its own clock;
//! - `_run_only`: of either, the rule of consecutive failures alone, which needs no clock.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use evenkeel_health::{CircuitBreaker, CircuitBreakerConfig};
use evenkeel_stats::{Clock, Outcome, RealClock, Timestamp};
use failsafe::{Config, backoff, failure_policy};

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30)
        .configure_from_args();
    for threads in [1, 2] {
        let suffix = if threads == 1 { "" } else { "_2_threads" };
        let mut group = criterion.benchmark_group(format!("health/breaker_closed{suffix}"));
        contenders(&mut group, threads);
        group.finish();
    }
    criterion.final_summary();
}

fn contenders(group: &mut BenchmarkGroup<'_, WallTime>, threads: usize) {
    let clock = &RealClock::new();

    let breaker = &ours(CircuitBreakerConfig::default());
    // The time goes on as it would, at a million requests a second.
    let time = |i: u64| Timestamp::from_nanos(i * 1_000);
    drive(group, "evenkeel", threads, |i| {
        request(breaker, time(i));
    });

    let peer = &Config::new().build();
    drive(group, "failsafe", threads, |_| {
        if black_box(peer).is_call_permitted() {
            peer.on_success();
        }
    });

    let breaker = &ours(CircuitBreakerConfig::default());
    drive(group, "evenkeel_and_clock", threads, |_| {
        request(breaker, clock.coarse());
    });

    let breaker = &ours(CircuitBreakerConfig {
        min_success_rate: 0.0,
        ..CircuitBreakerConfig::default()
    });
    drive(group, "evenkeel_run_only", threads, |i| {
        request(breaker, time(i));
    });

    let waits = backoff::exponential(Duration::from_secs(1), Duration::from_secs(60));
    let policy = failure_policy::consecutive_failures(7, waits);
    let peer = &Config::new().failure_policy(policy).build();
    drive(group, "failsafe_run_only", threads, |_| {
        if black_box(peer).is_call_permitted() {
            peer.on_success();
        }
    });
}

#[expect(clippy::expect_used, reason = "the configurations are constants")]
fn ours(config: CircuitBreakerConfig) -> CircuitBreaker {
    CircuitBreaker::new(config).expect("a valid config")
}

#[inline]
fn request(breaker: &CircuitBreaker, now: Timestamp) {
    if let Ok(permit) = black_box(breaker).permit(now) {
        permit.finish(black_box(Outcome::Success), now);
    }
}

/// Threads released together, each doing all iterations; the slowest counts.
fn drive(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    threads: usize,
    operation: impl Fn(u64) + Sync,
) {
    let clock = RealClock::new();
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let run = || {
                let start = clock.now();
                for i in 0..iterations {
                    operation(i);
                }
                clock.now().nanos_since(start)
            };
            if threads == 1 {
                return Duration::from_nanos(run());
            }
            let (barrier, slowest) = (Barrier::new(threads), AtomicU64::new(0));
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        barrier.wait();
                        slowest.fetch_max(run(), Ordering::Relaxed);
                    });
                }
            });
            Duration::from_nanos(slowest.into_inner())
        });
    });
}
