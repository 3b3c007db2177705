//! What a pool counts, and [`ConnectionPoolStats`], the snapshot of it.

use evenkeel_stats::{FailureCounts, FailureCountsSnapshot, Histogram, HistogramSnapshot, Precision};

use crate::reason::ClosedCounts;
use crate::state::Census;

/// A snapshot of a pool's statistics.
///
/// The counts are totals since the pool was built; subtract an earlier snapshot for a window. All
/// numbers but the histograms and `dial_failures` are of one moment.
///
/// Where the OpenTelemetry conventions for connection pools (`db.client.connection.*`) have a metric,
/// the field is called like its suffix:
///
/// | metric suffix | field |
/// |---|---|
/// | `count`, state `idle` | `idle` |
/// | `count`, state `used` | `used` |
/// | `idle.min`, `idle.max` | `idle_min`, `idle_max` |
/// | `max` | `max` |
/// | `pending_requests` | `pending_requests` |
/// | `timeouts` | `timeouts` |
/// | `create_time`, `wait_time`, `use_time` | the same |
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionPoolStats {
    /// Open connections: idle, used, or being checked.
    pub size: usize,
    /// Open connections that wait for somebody.
    pub idle: usize,
    /// Connections that somebody has checked out.
    pub used: usize,
    /// Idle connections out for a health check.
    pub checking: usize,
    /// Connections being opened.
    pub dialling: usize,
    /// Callers that wait.
    pub pending_requests: usize,
    /// `max_connections` as it is now.
    pub max: usize,
    /// The most that may be idle.
    pub idle_max: usize,
    /// `min_connections` as it is now.
    pub idle_min: usize,
    /// Checkouts served by a connection that was open before.
    pub hits: u64,
    /// Checkouts served by a connection that was opened for them.
    pub misses: u64,
    /// Checkouts that were not served at once.
    pub waits: u64,
    /// Checkouts that ended in a time-out.
    pub timeouts: u64,
    /// Checkouts refused because `max_waiters` waited.
    pub refused: u64,
    /// Connections opened.
    pub created: u64,
    /// Connections closed, by reason.
    pub closed: ClosedCounts,
    /// Connects that failed.
    pub failed_dials: u64,
    /// Connects given up because a connection came back first.
    pub surplus_dials: u64,
    /// Failed connects by phase and kind.
    pub dial_failures: FailureCountsSnapshot,
    /// From the start of a connect to its success.
    pub create_time: HistogramSnapshot,
    /// How long those waited who were not served at once: all of them while they are few, and the
    /// first 16 in each tick of the coarse clock (1 to 10 ms) in a crowd; `waits` counts them all. Who
    /// is served at once is not in here: it takes less than reading the clock.
    pub wait_time: HistogramSnapshot,
    /// From checkout to return: of the first use of each connection and of one in sixteen later ones,
    /// chosen without regard to what they do. `hits` and `misses` count them all.
    pub use_time: HistogramSnapshot,
}

impl ConnectionPoolStats {
    /// The share of checkouts served by a connection that was open before, from 0 to 1; `None` before
    /// the first.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        let served = self.hits + self.misses;
        (served > 0).then(|| self.hits as f64 / served as f64)
    }
}

/// Where a pool counts what is not under its lock.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) failures: FailureCounts,
    pub(crate) create_time: Histogram,
    pub(crate) wait_time: Histogram,
    pub(crate) use_time: Histogram,
}

impl Recorder {
    /// Compact histograms: a process has a pool for each backend.
    pub(crate) fn new() -> Self {
        Self {
            failures: FailureCounts::new(),
            create_time: Histogram::new(Precision::Compact),
            wait_time: Histogram::new(Precision::Compact),
            use_time: Histogram::new(Precision::Compact),
        }
    }

    pub(crate) fn snapshot(&self, census: &Census) -> ConnectionPoolStats {
        let counts = census.counts;
        ConnectionPoolStats {
            size: census.open,
            idle: census.idle,
            used: census.open.saturating_sub(census.idle + census.checking),
            checking: census.checking,
            dialling: census.dialling,
            pending_requests: census.waiting,
            max: census.max,
            idle_max: census.max_idle,
            idle_min: census.min,
            hits: counts.hits,
            misses: counts.misses,
            waits: counts.waits,
            timeouts: counts.timeouts,
            refused: counts.refused,
            created: counts.created,
            closed: counts.closed,
            failed_dials: counts.failed_dials,
            surplus_dials: counts.surplus_dials,
            dial_failures: self.failures.snapshot(),
            create_time: self.create_time.snapshot(),
            wait_time: self.wait_time.snapshot(),
            use_time: self.use_time.snapshot(),
        }
    }
}
