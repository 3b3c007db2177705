//! What a histogram held at one moment: to read, subtract and merge.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::{LatencySummary, Precision, SnapshotError};

/// What a [`Histogram`](crate::Histogram) held at one moment.
///
/// Percentiles are upper bounds of buckets, as `HdrHistogram` reports them: at most
/// [`Precision::relative_error`] above the true value, never below it, and never above the maximum.
/// The mean counts each value as the middle of its bucket, so its error is at most half of that.
///
/// Every statistic is `None` as long as nothing was recorded: no traffic is not zero latency.
#[derive(Clone, PartialEq, Eq)]
pub struct HistogramSnapshot {
    buckets: histogram::Histogram,
    precision: Precision,
    count: u64,
    /// `u64::MAX` when empty.
    min: u64,
    max: u64,
}

impl HistogramSnapshot {
    /// An empty snapshot: what to merge into, or to hand to
    /// [`Histogram::snapshot_into`](crate::Histogram::snapshot_into).
    #[must_use]
    pub fn new(precision: Precision) -> Self {
        Self {
            buckets: histogram::Histogram::with_config(&precision.config()),
            precision,
            count: 0,
            min: u64::MAX,
            max: 0,
        }
    }

    /// How finely values are told apart.
    #[must_use]
    pub const fn precision(&self) -> Precision {
        self.precision
    }

    /// How many values were recorded.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The least value. Exact for everything a histogram recorded; after [`since`](Self::since) the
    /// lower bound of a bucket, unless the least value of all fell into that time.
    #[must_use]
    pub fn min(&self) -> Option<Duration> {
        (!self.is_empty()).then(|| Duration::from_nanos(self.min))
    }

    /// The greatest value. Exact for everything a histogram recorded; after [`since`](Self::since) the
    /// upper bound of a bucket, unless the greatest value of all fell into that time.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        (!self.is_empty()).then(|| Duration::from_nanos(self.max))
    }

    /// The arithmetic mean, with at most half a bucket's error.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        (!self.is_empty()).then(|| self.summary().mean)
    }

    /// The value that `percent` of all values do not exceed (nearest rank). `percent` is taken from
    /// 0 (the minimum's bucket) to 100 (the maximum); what lies beyond, or is NaN, is moved there,
    /// NaN to 100.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Option<Duration> {
        if self.is_empty() {
            return None;
        }
        let percent = if percent.is_nan() {
            100.0
        } else {
            percent.clamp(0.0, 100.0)
        };
        // 99.9 has no exact binary form: without the small step back, the product could round up and
        // ask for one rank too many.
        let exact = percent * self.count as f64 / 100.0;
        let rank = ((exact * (1.0 - 2.0 * f64::EPSILON)).ceil() as u64).clamp(1, self.count);
        let mut seen = 0_u64;
        for (first, counts) in self.blocks() {
            let here = sum(counts);
            // Whole blocks first: they are added up many buckets at a time.
            if seen.saturating_add(here) < rank {
                seen += here;
                continue;
            }
            for (offset, count) in counts.iter().enumerate() {
                seen = seen.saturating_add(*count);
                if seen >= rank {
                    return Some(Duration::from_nanos(self.upper(first + offset)));
                }
            }
        }
        self.max()
    }

    /// Count, mean, the usual percentiles and the maximum, in one pass and without allocating. All
    /// zero when empty.
    #[must_use]
    pub fn summary(&self) -> LatencySummary {
        LatencySummary::of(self)
    }

    /// The buckets that hold anything: the nanoseconds they cover and how many values fell there, in
    /// ascending order. For exporters.
    pub fn buckets(&self) -> impl Iterator<Item = (RangeInclusive<u64>, u64)> + '_ {
        self.occupied()
            .map(|(index, count)| (self.precision.range(index), count))
    }

    /// What was recorded after `earlier` was taken from the same histogram.
    ///
    /// # Errors
    /// [`SnapshotError::PrecisionMismatch`] if the two come from histograms of different precision,
    /// [`SnapshotError::NotEarlier`] if a bucket of `earlier` holds more than this one's, so that it
    /// can not be an earlier state of the same histogram.
    pub fn since(&self, earlier: &Self) -> Result<Self, SnapshotError> {
        let mut window = self.clone();
        window.subtract(earlier)?;
        Ok(window)
    }

    /// [`since`](Self::since) in place, without allocating. On an error nothing is changed.
    ///
    /// # Errors
    /// As `since`.
    pub fn subtract(&mut self, earlier: &Self) -> Result<(), SnapshotError> {
        self.check_precision(earlier)?;
        if !earlier.is_earlier_than(self) {
            return Err(SnapshotError::NotEarlier);
        }
        let theirs = earlier.buckets.as_slice();
        for (count, earlier) in self.buckets.as_mut_slice().iter_mut().zip(theirs) {
            *count -= earlier;
        }
        // An extreme from before lies beyond the outermost bucket that is left, and is pulled to its edge.
        self.settle();
        Ok(())
    }

    /// Adds what `other` holds, as for the sum over several backends. Counts stop at 2^64 - 1.
    ///
    /// # Errors
    /// [`SnapshotError::PrecisionMismatch`] if the precisions differ; nothing is changed then.
    pub fn merge(&mut self, other: &Self) -> Result<(), SnapshotError> {
        self.check_precision(other)?;
        let theirs = other.buckets.as_slice();
        for (count, other) in self.buckets.as_mut_slice().iter_mut().zip(theirs) {
            *count = count.saturating_add(*other);
        }
        self.count = self.count.saturating_add(other.count);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        Ok(())
    }

    /// Empties the snapshot and keeps its memory.
    pub fn clear(&mut self) {
        self.buckets.reset();
        self.count = 0;
        self.min = u64::MAX;
        self.max = 0;
    }

    /// Overwrites the buckets and then the extremes, which are asked for afterwards.
    pub(crate) fn fill(
        &mut self,
        buckets: impl FnOnce(&mut histogram::Histogram),
        extremes: impl FnOnce() -> (u64, u64),
    ) {
        buckets(&mut self.buckets);
        (self.min, self.max) = extremes();
        self.settle();
    }

    /// Counts anew and pulls the extremes into the outermost buckets that hold anything: a record
    /// that was under way may show in a bucket and not yet in an extreme, or the other way round.
    fn settle(&mut self) {
        let counts = self.buckets.as_slice();
        self.count = sum(counts);
        let occupied = |count: &u64| *count > 0;
        let lowest = self
            .blocks()
            .next()
            .and_then(|(first, block)| Some(first + block.iter().position(occupied)?));
        let highest = self
            .blocks()
            .last()
            .and_then(|(first, block)| Some(first + block.iter().rposition(occupied)?));
        if let (Some(lowest), Some(highest)) = (lowest, highest) {
            let (lowest, highest) = (self.precision.range(lowest), self.precision.range(highest));
            self.min = self.min.clamp(*lowest.start(), *lowest.end());
            self.max = self.max.clamp(*highest.start(), *highest.end());
        } else {
            self.min = u64::MAX;
            self.max = 0;
        }
    }

    /// Overwrites everything, without allocating. The precisions are equal.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.buckets
            .as_mut_slice()
            .copy_from_slice(other.buckets.as_slice());
        (self.count, self.min, self.max) = (other.count, other.min, other.max);
    }

    /// Whether this can be an earlier state of the histogram that `later` is of. The precisions are equal.
    pub(crate) fn is_earlier_than(&self, later: &Self) -> bool {
        let (ours, theirs) = (self.buckets.as_slice(), later.buckets.as_slice());
        ours.iter().zip(theirs).all(|(ours, theirs)| ours <= theirs)
    }

    pub(crate) fn check_precision(&self, other: &Self) -> Result<(), SnapshotError> {
        if self.precision == other.precision {
            Ok(())
        } else {
            Err(SnapshotError::PrecisionMismatch {
                left: self.precision,
                right: other.precision,
            })
        }
    }

    /// The blocks of equally wide buckets that hold anything, each with the index of its first bucket.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (usize, &[u64])> {
        let length = self.precision.block();
        let blocks = self.buckets.as_slice().chunks(length).enumerate();
        blocks
            .filter(|(_, block)| any(block))
            .map(move |(at, block)| (at * length, block))
    }

    /// Index and count of every bucket that holds anything.
    pub(crate) fn occupied(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.blocks().flat_map(|(first, block)| {
            let counts = block.iter().copied().enumerate();
            counts
                .filter(|(_, count)| *count > 0)
                .map(move |(offset, count)| (first + offset, count))
        })
    }

    /// What a percentile that falls into bucket `index` reports, in nanoseconds.
    #[inline]
    pub(crate) fn upper(&self, index: usize) -> u64 {
        (*self.precision.range(index).end()).min(self.max)
    }

    /// The least and the greatest value in nanoseconds.
    pub(crate) const fn extremes(&self) -> (u64, u64) {
        (self.min, self.max)
    }
}

/// Wrapping, so that it is done many at a time; 2^64 records take 580 years at one a nanosecond.
fn sum(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum, count| sum.wrapping_add(*count))
}

/// Whether any bucket holds something. Not the first that does: this way many are looked at at once.
fn any(block: &[u64]) -> bool {
    block.iter().fold(0, |bits, count| bits | count) != 0
}

impl fmt::Debug for HistogramSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistogramSnapshot")
            .field("precision", &self.precision)
            .field("summary", &self.summary())
            .finish()
    }
}
