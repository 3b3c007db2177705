//! The least and the greatest value seen, exactly.

use crate::sync::{AtomicU64, Ordering};

/// A minimum and a maximum that many threads lower and raise.
///
/// A value is compared by a plain load first, so that only a new extreme, which soon becomes rare,
/// costs a locked instruction. Both sit on one line, which is then only read.
#[derive(Debug)]
pub(crate) struct Extremes {
    min: AtomicU64,
    max: AtomicU64,
}

impl Extremes {
    pub(crate) fn new() -> Self {
        Self {
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn record(&self, value: u64) {
        // The load may be stale; it is then too far from the true extreme, never beyond it, so a
        // new extreme is never missed.
        if value > self.max.load(Ordering::Relaxed) {
            self.max.fetch_max(value, Ordering::Relaxed);
        }
        if value < self.min.load(Ordering::Relaxed) {
            self.min.fetch_min(value, Ordering::Relaxed);
        }
    }

    /// `u64::MAX` before the first value.
    pub(crate) fn min(&self) -> u64 {
        self.min.load(Ordering::Relaxed)
    }

    /// Zero before the first value.
    pub(crate) fn max(&self) -> u64 {
        self.max.load(Ordering::Relaxed)
    }
}
