//! [`Diverts`]: how long it took to stop sending to a backend that fails.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// No duration that was measured: 584 years.
const NONE: u64 = u64::MAX;

/// The last and the longest such time, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Diverts {
    last: AtomicU64,
    longest: AtomicU64,
}

impl Default for Diverts {
    fn default() -> Self {
        Self {
            last: AtomicU64::new(NONE),
            longest: AtomicU64::new(0),
        }
    }
}

impl Diverts {
    pub(super) fn record(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(NONE - 1);
        self.longest.fetch_max(nanos, Ordering::Relaxed);
        self.last.store(nanos, Ordering::Relaxed);
    }

    pub(crate) fn last(&self) -> Option<Duration> {
        let nanos = self.last.load(Ordering::Relaxed);
        (nanos != NONE).then(|| Duration::from_nanos(nanos))
    }

    pub(crate) fn longest(&self) -> Option<Duration> {
        self.last()?;
        Some(Duration::from_nanos(self.longest.load(Ordering::Relaxed)))
    }
}
