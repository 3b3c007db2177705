//! How often something was there already.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

/// Hits and misses since the beginning, as for a pool: was an open connection reused?
///
/// Both counts share one padded cache line, since each use touches one of them. For the last while
/// only, take a [`SuccessWindow`](crate::SuccessWindow), or subtract two readings.
///
/// ```
/// use evenkeel_stats::HitRate;
///
/// let checkouts = HitRate::new();
/// checkouts.record(true);
/// checkouts.record(true);
/// checkouts.record(false);
/// assert_eq!((checkouts.hits(), checkouts.misses()), (2, 1));
/// assert!((checkouts.rate().unwrap() - 0.667).abs() < 0.001);
/// ```
#[derive(Default)]
pub struct HitRate(CachePadded<Counts>);

#[derive(Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl HitRate {
    /// No hits and no misses.
    #[must_use]
    pub const fn new() -> Self {
        Self(CachePadded::new(Counts {
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }))
    }

    /// Counts one hit or miss.
    #[inline]
    pub fn record(&self, hit: bool) {
        let count = if hit { &self.0.hits } else { &self.0.misses };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// The hits.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.0.hits.load(Ordering::Relaxed)
    }

    /// The misses.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.0.misses.load(Ordering::Relaxed)
    }

    /// The share of hits, 0 to 1; `None` before the first use.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        let (hits, misses) = (self.hits(), self.misses());
        let uses = hits.saturating_add(misses);
        (uses > 0).then(|| hits as f64 / uses as f64)
    }
}

impl fmt::Debug for HitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HitRate")
            .field("hits", &self.hits())
            .field("misses", &self.misses())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_first_use_there_is_no_rate() {
        let rate = HitRate::new();
        assert_eq!(rate.rate(), None);
        rate.record(false);
        assert_eq!(rate.rate(), Some(0.0));
    }
}
