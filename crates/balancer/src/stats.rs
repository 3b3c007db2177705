//! [`LoadBalancerStats`]: what there is to show, as plain data.

mod collect;
mod retired;
mod series;
mod window;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel_health::{CircuitBreakerStats, ReadinessReason};
use evenkeel_stats::{Counter, FailureCountsSnapshot, LatencySummary, Readiness, Timestamp, Trend};
use evenkeel_strategy::BackendId;

pub(crate) use retired::Retired;
pub(crate) use series::Series;
pub use window::StatsWindow;

/// A balancer's statistics: the whole, and each backend. Of plain data; a reading allocates and takes
/// some microseconds for each backend, so it is for dashboards, not for requests.
///
/// Counts are since the start and include backends that were removed, also what was in flight there. They are
/// read one after the other while requests go on, so two of them may differ by what ended in between.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadBalancerStats {
    /// When they were read, on the balancer's clock.
    pub at: Timestamp,
    /// All requests together.
    pub requests: RequestStats,
    /// Calls through [`call`](crate::LoadBalancer::call): each is one or more requests.
    pub calls: u64,
    /// Requests that were sent because an attempt had failed.
    pub retries: u64,
    /// Requests that were sent because an attempt took long.
    pub hedges: u64,
    /// Hedges that answered first.
    pub hedges_won: u64,
    /// Retries and hedges that the budget did not allow.
    pub refused_by_budget: u64,
    /// Calls that failed at one backend and succeeded at another.
    pub failovers: u64,
    /// Whether health is ignored because too few backends have it.
    pub in_panic: bool,
    /// How often it came to that.
    pub panics: u64,
    /// How many sessions are kept.
    pub sessions: usize,
    /// How many sessions the limit put out.
    pub sessions_evicted: u64,
    /// The last windows, oldest first, all backends together.
    pub windows: Vec<StatsWindow>,
    /// Each member, in the order they came.
    pub backends: Vec<BackendStats>,
}

/// How requests went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RequestStats {
    /// All that were sent: those below, and those in flight.
    pub requests: u64,
    /// Those that ended well.
    pub successes: u64,
    /// Those that failed, by class or without; overloads are not among them.
    pub failures: u64,
    /// Those that were refused because the backend has too much to do.
    pub overloads: u64,
    /// Those that were given up.
    pub cancelled: u64,
    /// Those that are under way.
    pub in_flight: u64,
    /// Those of the failures of which it is known where and how.
    pub failures_by_class: FailureCountsSnapshot,
    /// The time to a successful answer: mean, peak and percentiles.
    pub latency: LatencySummary,
}

impl RequestStats {
    /// The share of successes among what ended with an answer or without one, 0 to 1; what was given
    /// up counts on neither side. `None` before the first.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        let ended = self.successes + self.failures + self.overloads;
        (ended > 0).then(|| self.successes as f64 / ended as f64)
    }
}

/// One member's statistics.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BackendStats {
    /// Its id.
    pub id: BackendId,
    /// Its weight now.
    pub weight: u32,
    /// Whether it is in use: neither disabled nor draining.
    pub enabled: bool,
    /// What it is now; on trial it is degraded, although pickers may choose it. An ejection whose time
    /// is over may show for some milliseconds more.
    pub readiness: Readiness,
    /// Why it is that.
    pub reason: ReadinessReason,
    /// What the last bad check said, while the checks say no.
    pub check_error: Option<Arc<str>>,
    /// How its requests went.
    pub requests: RequestStats,
    /// Its share of all requests of the members, 0 to 1.
    pub share: f64,
    /// Its latency average, as strategies see it. `None` before the first answer.
    pub latency_average: Option<Duration>,
    /// Requests that came here because another attempt had failed.
    pub retries: u64,
    /// Requests that came here because another attempt took long.
    pub hedges: u64,
    /// Requests that were given up because a hedge answered first.
    pub overtaken: u64,
    /// Its circuit breaker.
    pub breaker: CircuitBreakerStats,
    /// How long it was in each readiness, in the order of [`Readiness::ALL`].
    pub time_in: [Duration; 5],
    /// How often it came into each readiness from another, in the same order.
    pub entered: [u64; 5],
    /// How often a judge put it out.
    pub ejections: u64,
    /// The last time: how long from the first failure to its being passed over.
    pub last_divert: Option<Duration>,
    /// The longest such time.
    pub longest_divert: Option<Duration>,
    /// Its last windows, oldest first.
    pub windows: Vec<StatsWindow>,
}

/// Where the mean latency of these windows is going, in seconds (per second). `None` with fewer than
/// four windows in which anything ended.
#[must_use]
pub fn latency_trend(windows: &[StatsWindow]) -> Option<Trend> {
    window::trend(windows, |window| window.mean.map(|mean| mean.as_secs_f64()))
}

/// Where the success rate of these windows is going, 0 to 1 (per second). `None` with fewer than four
/// windows in which anything ended.
#[must_use]
pub fn success_trend(windows: &[StatsWindow]) -> Option<Trend> {
    window::trend(windows, StatsWindow::success_rate)
}

/// Where the number of requests a second is going. `None` with fewer than four windows.
#[must_use]
pub fn rate_trend(windows: &[StatsWindow]) -> Option<Trend> {
    window::trend(windows, |window| Some(window.per_second()))
}

/// What is counted of the whole, and not by backend.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    calls: Counter,
    hedges_won: AtomicU64,
    failovers: AtomicU64,
    panics: AtomicU64,
}

impl Totals {
    pub(crate) fn call(&self) {
        self.calls.increment();
    }

    pub(crate) fn hedge_won(&self) {
        self.hedges_won.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failover(&self) {
        self.failovers.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }
}
