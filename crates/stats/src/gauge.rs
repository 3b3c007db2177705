//! A number that goes up and down.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

use crossbeam_utils::CachePadded;

/// A number of things that are there now: open connections, requests in flight, bytes held.
///
/// Signed, so that a decrement seen before its increment shows as -1 for a moment and not as 2^64.
/// It has a cache line to itself, like [`Counter`](crate::Counter). Every access is relaxed.
///
/// ```
/// use evenkeel_stats::Gauge;
///
/// let open = Gauge::new();
/// open.increment();
/// open.increment();
/// open.decrement();
/// assert_eq!(open.value(), 1);
/// ```
#[derive(Default)]
pub struct Gauge(CachePadded<AtomicI64>);

impl Gauge {
    /// A gauge at zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(CachePadded::new(AtomicI64::new(0)))
    }

    /// Adds one.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// Takes one away.
    #[inline]
    pub fn decrement(&self) {
        self.add(-1);
    }

    /// Adds `n`, which may be negative. Wraps at 2^63.
    #[inline]
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Replaces the value. Loses increments that happen at the same moment, so a gauge is either set
    /// by one owner or raised and lowered by many, not both.
    #[inline]
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value now.
    #[must_use]
    #[inline]
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gauge").field(&self.value()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decrement_seen_first_is_minus_one_not_a_huge_number() {
        let gauge = Gauge::new();
        gauge.decrement();
        assert_eq!(gauge.value(), -1);
        gauge.increment();
        assert_eq!(gauge.value(), 0);
    }

    #[test]
    fn ups_and_downs_of_many_threads_cancel() {
        let gauge = Gauge::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        gauge.increment();
                        gauge.decrement();
                    }
                });
            }
        });
        assert_eq!(gauge.value(), 0);
    }
}
