//! Latencies, recorded by many threads into buckets of bounded error and bounded memory.

use std::fmt;
use std::time::Duration;

use histogram::AtomicHistogram;

use crate::extremes::Extremes;
use crate::precision::MAX_NANOS;
use crate::timestamp::saturating_nanos;
use crate::{HistogramSnapshot, Precision};

/// A histogram of latencies in nanoseconds that any number of threads record into.
///
/// A record is **one locked instruction**, an increment of a bucket. Count and mean are not kept
/// beside the buckets but derived from them in a [snapshot](Histogram::snapshot), so an operation that
/// is recorded here needs no counter of its own. Minimum and maximum are exact; they cost a comparison
/// each, and a second locked instruction only when a value is a new extreme.
///
/// Values from zero to [`MAX_NANOS`](Histogram::MAX_NANOS) (18.3 minutes) are told apart with the
/// relative error of the [`Precision`]; greater ones count as `MAX_NANOS`. Memory is allocated at once
/// and never grows: 34 KiB or 9 KiB.
///
/// A histogram only accumulates. For the last minute, keep a snapshot and subtract it
/// ([`HistogramSnapshot::since`]), or let a [`History`](crate::History) do so.
///
/// # Concurrency
/// All accesses are relaxed. A snapshot reads one bucket after the other, so records made meanwhile
/// are in it or not, each on its own; none is ever counted twice or lost.
///
/// ```
/// use std::time::Duration;
/// use evenkeel_stats::{Histogram, Precision};
///
/// let latency = Histogram::new(Precision::Fine);
/// for millis in 1..=100 {
///     latency.record_duration(Duration::from_millis(millis));
/// }
/// let summary = latency.snapshot().summary();
/// assert_eq!(summary.count, 100);
/// assert_eq!(summary.max, Duration::from_millis(100));
/// let p99 = summary.p99.as_secs_f64();
/// assert!((0.099..0.099 * 1.0079).contains(&p99));
/// ```
pub struct Histogram {
    buckets: AtomicHistogram,
    precision: Precision,
    extremes: Extremes,
}

impl Histogram {
    /// The greatest value that is told apart, 2^40 - 1 ns or 18.3 minutes: beyond every deadline of a
    /// request, and each further power of two would cost another 128 buckets.
    pub const MAX_NANOS: u64 = MAX_NANOS;

    /// An empty histogram.
    #[must_use]
    pub fn new(precision: Precision) -> Self {
        Self {
            buckets: AtomicHistogram::with_config(&precision.config()),
            precision,
            extremes: Extremes::new(),
        }
    }

    /// Records a value in nanoseconds; above [`MAX_NANOS`](Self::MAX_NANOS) it counts as that.
    #[inline]
    pub fn record(&self, nanos: u64) {
        let nanos = nanos.min(MAX_NANOS);
        // Never fails: every value up to MAX_NANOS has a bucket.
        let _ = self.buckets.increment(nanos);
        self.extremes.record(nanos);
    }

    /// Records a duration; above [`MAX_NANOS`](Self::MAX_NANOS) it counts as that.
    #[inline]
    pub fn record_duration(&self, duration: Duration) {
        self.record(saturating_nanos(duration));
    }

    /// How finely values are told apart.
    #[must_use]
    pub const fn precision(&self) -> Precision {
        self.precision
    }

    /// What this histogram takes, in bytes, its own struct included.
    #[must_use]
    pub const fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.precision.memory_bytes()
    }

    /// Everything recorded so far. Allocates what the buckets take; see
    /// [`snapshot_into`](Self::snapshot_into).
    #[must_use]
    pub fn snapshot(&self) -> HistogramSnapshot {
        let mut snapshot = HistogramSnapshot::new(self.precision);
        self.snapshot_into(&mut snapshot);
        snapshot
    }

    /// Everything recorded so far, written over `snapshot`. Allocates only if its precision is another.
    pub fn snapshot_into(&self, snapshot: &mut HistogramSnapshot) {
        if snapshot.precision() != self.precision {
            *snapshot = HistogramSnapshot::new(self.precision);
        }
        snapshot.fill(
            |buckets| {
                // Never fails: the precisions are equal, and so are the configurations.
                let _ = self.buckets.load_into(buckets);
            },
            || (self.extremes.min(), self.extremes.max()),
        );
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new(Precision::default())
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("precision", &self.precision)
            .field("summary", &self.snapshot().summary())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_values_count_in_the_last_bucket_and_are_not_lost() {
        let histogram = Histogram::new(Precision::Compact);
        histogram.record(u64::MAX);
        histogram.record_duration(Duration::MAX);
        histogram.record(Histogram::MAX_NANOS);
        let snapshot = histogram.snapshot();
        let most = Duration::from_nanos(Histogram::MAX_NANOS);
        assert_eq!(snapshot.count(), 3);
        assert_eq!(snapshot.max(), Some(most));
        assert_eq!(snapshot.percentile(50.0), Some(most));
    }

    #[test]
    fn minimum_and_maximum_are_exact() {
        let histogram = Histogram::new(Precision::Compact);
        for nanos in [1_000_003, 1_000_001, 5_000_007, 1_000_002] {
            histogram.record(nanos);
        }
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.min(), Some(Duration::from_nanos(1_000_001)));
        assert_eq!(snapshot.max(), Some(Duration::from_nanos(5_000_007)));
    }

    #[test]
    fn no_record_is_lost_between_threads_and_readers() {
        let histogram = Histogram::new(Precision::Compact);
        std::thread::scope(|scope| {
            for offset in 0..4 {
                let histogram = &histogram;
                scope.spawn(move || {
                    for i in 0..5_000 {
                        histogram.record(i * 4 + offset);
                    }
                });
            }
            let mut before = histogram.snapshot();
            for _ in 0..50 {
                let now = histogram.snapshot();
                assert!(now.since(&before).is_ok(), "a bucket went back");
                before = now;
            }
        });
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.count(), 20_000);
        assert_eq!(snapshot.max(), Some(Duration::from_nanos(19_999)));
        assert_eq!(snapshot.min(), Some(Duration::ZERO));
    }

    #[test]
    fn a_snapshot_into_leaves_nothing_of_what_was_there() {
        let busy = Histogram::new(Precision::Fine);
        busy.record(10);
        let mut snapshot = busy.snapshot();
        let other = Histogram::new(Precision::Fine);
        other.record(7);
        other.snapshot_into(&mut snapshot);
        assert_eq!(snapshot, other.snapshot());
        Histogram::new(Precision::Compact).snapshot_into(&mut snapshot);
        assert_eq!(snapshot, HistogramSnapshot::new(Precision::Compact));
    }
}
