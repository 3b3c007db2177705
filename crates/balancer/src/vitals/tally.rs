//! [`Tally`]: what is counted of a backend's requests beside its load cell.

use std::sync::atomic::{AtomicU64, Ordering};

use evenkeel_stats::{Failure, FailureCounts, FailureCountsSnapshot, Histogram, Outcome, Precision};

/// Of a success, only the latency is counted here: one addition, which counts the success as well.
#[derive(Debug)]
pub(crate) struct Tally {
    latency: Histogram,
    failures: FailureCounts,
    unclassified: AtomicU64,
    overloads: AtomicU64,
    cancelled: AtomicU64,
    overtaken: AtomicU64,
    retries: AtomicU64,
    hedges: AtomicU64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            latency: Histogram::new(Precision::Compact),
            failures: FailureCounts::new(),
            unclassified: AtomicU64::new(0),
            overloads: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            overtaken: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            hedges: AtomicU64::new(0),
        }
    }
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) failures: FailureCountsSnapshot,
    pub(crate) unclassified: u64,
    pub(crate) overloads: u64,
    pub(crate) cancelled: u64,
    pub(crate) overtaken: u64,
    pub(crate) retries: u64,
    pub(crate) hedges: u64,
}

impl Tally {
    #[inline]
    pub(super) fn success(&self, nanos: u64) {
        self.latency.record(nanos);
    }

    #[cold]
    pub(super) fn not_success(&self, outcome: Outcome, failure: Option<Failure>) {
        let count = match outcome {
            Outcome::Cancelled => &self.cancelled,
            Outcome::Overload { .. } => &self.overloads,
            _ => match failure {
                Some(failure) => return self.failures.record(failure),
                None => &self.unclassified,
            },
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn overtaken(&self) {
        self.cancelled.fetch_add(1, Ordering::Relaxed);
        self.overtaken.fetch_add(1, Ordering::Relaxed);
    }

    /// A request came here because another attempt at it had failed.
    pub(crate) fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// A request came here because another attempt at it took long.
    pub(crate) fn hedge(&self) {
        self.hedges.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) const fn latency(&self) -> &Histogram {
        &self.latency
    }

    pub(crate) fn counts(&self) -> Counts {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            failures: self.failures.snapshot(),
            unclassified: load(&self.unclassified),
            overloads: load(&self.overloads),
            cancelled: load(&self.cancelled),
            overtaken: load(&self.overtaken),
            retries: load(&self.retries),
            hedges: load(&self.hedges),
        }
    }
}
