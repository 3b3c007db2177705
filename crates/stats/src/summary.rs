//! The statistics people ask for, as plain data.

use std::time::Duration;

use crate::HistogramSnapshot;

/// What latencies look like: the figures a table or a dashboard shows.
///
/// All zero when nothing was recorded; ask `count` first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LatencySummary {
    /// How many were recorded.
    pub count: u64,
    /// The arithmetic mean, with at most half a bucket's error.
    pub mean: Duration,
    /// All of them together, with the same error. It never becomes less as more are recorded.
    pub sum: Duration,
    /// The median.
    pub p50: Duration,
    /// What 90 % do not exceed.
    pub p90: Duration,
    /// What 95 % do not exceed.
    pub p95: Duration,
    /// What 99 % do not exceed.
    pub p99: Duration,
    /// What 99.9 % do not exceed.
    pub p999: Duration,
    /// The greatest: the peak response time.
    pub max: Duration,
}

impl LatencySummary {
    const PER_MILLE: [u64; 5] = [500, 900, 950, 990, 999];

    pub(crate) fn of(snapshot: &HistogramSnapshot) -> Self {
        if snapshot.is_empty() {
            return Self::default();
        }
        let count = snapshot.count();
        let (min, max) = snapshot.extremes();
        let ranks = Self::PER_MILLE.map(|per_mille| {
            // In 128 bits, since 999 times a large count passes 64.
            (u128::from(count) * u128::from(per_mille)).div_ceil(1000) as u64
        });
        let mut percentiles = [max; 5];
        let mut found = 0;
        let mut before = 0_u64;
        let mut sum = 0.0;
        for (first, counts) in snapshot.blocks() {
            // Sums only, and a comparison that is nearly always false: nothing else fits into the
            // nanosecond that a bucket may take.
            let due = |found: usize| {
                ranks
                    .get(found)
                    .map_or(u64::MAX, |rank| rank.wrapping_sub(before))
            };
            let mut next = due(found);
            let mut here = 0_u64;
            let mut area = 0_u64;
            for (offset, count) in counts.iter().enumerate() {
                here = here.wrapping_add(*count);
                area = area.wrapping_add(here);
                while here >= next
                    && let Some(percentile) = percentiles.get_mut(found)
                {
                    *percentile = snapshot.upper(first + offset);
                    found += 1;
                    next = due(found);
                }
            }
            // Buckets of a block are equally wide, so the sum of count times offset is all that the
            // mean needs, and that is what the running total leaves of the whole rectangle.
            let offsets = (counts.len() as u64).wrapping_mul(here).wrapping_sub(area);
            let range = snapshot.precision().range(first);
            let width = (range.end() - range.start() + 1) as f64;
            let middle = (range.start() + range.end()) as f64 * 0.5;
            sum += middle * here as f64 + width * offsets as f64;
            before = before.wrapping_add(here);
        }
        let mean = (sum / count as f64).round() as u64;
        let [p50, p90, p95, p99, p999] = percentiles.map(Duration::from_nanos);
        Self {
            count,
            sum: Duration::from_nanos(sum as u64),
            mean: Duration::from_nanos(mean.clamp(min, max)),
            p50,
            p90,
            p95,
            p99,
            p999,
            max: Duration::from_nanos(max),
        }
    }
}
