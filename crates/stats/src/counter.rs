//! Counts that only grow: one for many writers, one for a single writer.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

/// A count that any number of threads raise.
///
/// It has a cache line (on x86-64 the pair that is fetched together) to itself, 128 bytes there, so
/// that two busy counters of one struct do not slow each other down. Where only one thread writes,
/// [`LocalCounter`] costs a tenth.
///
/// Counts wrap at 2^64, which a counter raised every nanosecond reaches after 584 years. Every access
/// is relaxed: a count says nothing about other memory.
///
/// ```
/// use evenkeel_stats::Counter;
///
/// static REQUESTS: Counter = Counter::new();
/// REQUESTS.increment();
/// REQUESTS.add(2);
/// assert_eq!(REQUESTS.value(), 3);
/// ```
#[derive(Default)]
pub struct Counter(CachePadded<AtomicU64>);

impl Counter {
    /// A counter at zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(CachePadded::new(AtomicU64::new(0)))
    }

    /// Adds one.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `n`.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count now.
    #[must_use]
    #[inline]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.value()).finish()
    }
}

/// A count that one thread at a time raises and any number read.
///
/// Raising it is a plain load and store: no locked instruction, less than a nanosecond. In return **two threads
/// that raise it at the same moment lose counts** (never more than they add; no undefined behaviour).
/// It fits where exclusive access is a fact already: methods that take `&mut self`, or one task that
/// owns a connection.
///
/// Not padded: the counters of one connection are written by one thread, so they share a line on
/// purpose.
///
/// ```
/// use evenkeel_stats::LocalCounter;
///
/// let bytes = LocalCounter::new();
/// bytes.add(1500);
/// assert_eq!(bytes.value(), 1500);
/// ```
#[derive(Default)]
pub struct LocalCounter(AtomicU64);

impl LocalCounter {
    /// A counter at zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds one. One writer at a time.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `n`. One writer at a time.
    #[inline]
    pub fn add(&self, n: u64) {
        let count = self.0.load(Ordering::Relaxed);
        self.0.store(count.wrapping_add(n), Ordering::Relaxed);
    }

    /// The count now. Any thread.
    #[must_use]
    #[inline]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for LocalCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalCounter").field(&self.value()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_counters_of_one_struct_do_not_share_a_cache_line() {
        let pair = [Counter::new(), Counter::new()];
        let distance = (&raw const pair[1] as usize) - (&raw const pair[0] as usize);
        assert!(distance >= 64, "{distance}");
    }

    #[test]
    fn no_count_is_lost_between_threads() {
        let counter = Counter::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        counter.increment();
                    }
                });
            }
        });
        assert_eq!(counter.value(), 40_000);
    }

    #[test]
    fn a_local_counter_handed_from_writer_to_writer_keeps_every_count() {
        let counter = LocalCounter::new();
        for _ in 0..3 {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        counter.increment();
                    }
                });
            });
        }
        assert_eq!(counter.value(), 3_000);
    }
}
