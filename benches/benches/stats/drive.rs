//! How an operation is repeated and timed.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use evenkeel_stats::{Clock, RealClock};

pub(crate) type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// Operations between two drains. `metrics` keeps every value until its upkeep, which runs outside of
/// the timing; 100 000 values are what 20 000 requests a second leave in five seconds, its usual period.
const CHUNK: u64 = 100_000;

const VALUES: usize = 4096;

/// Latencies in nanoseconds with a long tail: from 1 ms, each doubling half as likely as the one before.
fn latencies() -> Box<[u64; VALUES]> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    Box::new(std::array::from_fn(|_| {
        let scale = 1_000_000 << (random() | 1 << 10).trailing_zeros();
        scale + random() % scale
    }))
}

/// One thread, in chunks, with `drain` after each.
pub(crate) fn one_thread(
    group: &mut Group<'_>,
    name: &str,
    mut operation: impl FnMut(u64),
    drain: impl Fn(),
) {
    let (clock, values) = (RealClock::new(), latencies());
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let mut took = Duration::ZERO;
            let mut left = iterations;
            while left > 0 {
                let now = left.min(CHUNK);
                let start = clock.now();
                for i in 0..now as usize {
                    operation(values[i % VALUES]);
                }
                took += clock.now().since(start);
                left -= now;
                drain();
            }
            took
        });
    });
}

/// Two threads released together, each doing all iterations; the slower of each chunk counts.
pub(crate) fn two_threads<O: FnMut(u64) + Send>(
    group: &mut Group<'_>,
    name: &str,
    operation: impl Fn() -> O,
    drain: impl Fn() + Sync,
) {
    let (clock, values) = (RealClock::new(), latencies());
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let barrier = Barrier::new(2);
            let (slower, total) = (AtomicU64::new(0), AtomicU64::new(0));
            std::thread::scope(|scope| {
                for offset in [0, VALUES / 2] {
                    let (barrier, slower, total) = (&barrier, &slower, &total);
                    let (clock, drain, values) = (&clock, &drain, &values);
                    let mut operation = operation();
                    scope.spawn(move || {
                        let mut left = iterations;
                        while left > 0 {
                            let now = left.min(CHUNK);
                            barrier.wait();
                            let start = clock.now();
                            for i in 0..now as usize {
                                operation(values[(i + offset) % VALUES]);
                            }
                            slower.fetch_max(clock.now().nanos_since(start), Ordering::Relaxed);
                            left -= now;
                            if barrier.wait().is_leader() {
                                total.fetch_add(slower.swap(0, Ordering::Relaxed), Ordering::Relaxed);
                                drain();
                            }
                        }
                    });
                }
            });
            Duration::from_nanos(total.into_inner())
        });
    });
}
