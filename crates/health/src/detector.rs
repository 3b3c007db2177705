//! [`Detector`]: a passive judge of real requests.

use std::time::Duration;

use evenkeel_stats::{Outcome, Timestamp};

/// How one request to a backend went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// How it ended.
    pub outcome: Outcome,
    /// When it was sent. A detector does not hold against a backend, nor credit it with, what was
    /// asked before its last verdict.
    pub started: Timestamp,
    /// When it ended, which is now.
    pub now: Timestamp,
}

impl Observation {
    /// How long it took.
    #[must_use]
    pub const fn latency(&self) -> Duration {
        self.now.since(self.started)
    }
}

/// What a detector says of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing against it.
    Healthy,
    /// It served its time and must prove itself: few requests may go there.
    OnTrial,
    /// Out of rotation.
    Ejected {
        /// Until when, if nothing changes; [`Timestamp::MAX`] when only a hand ends it.
        until: Timestamp,
    },
}

impl Verdict {
    /// Whether requests may go there: all of them, or a few on trial.
    #[must_use]
    pub const fn is_eligible(self) -> bool {
        !matches!(self, Self::Ejected { .. })
    }

    /// The stricter of two; of two ejections the one that ends later.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Ejected { until: one }, Self::Ejected { until: other }) => Self::Ejected {
                until: one.max(other),
            },
            (ejected @ Self::Ejected { .. }, _) | (_, ejected @ Self::Ejected { .. }) => ejected,
            (Self::OnTrial, _) | (_, Self::OnTrial) => Self::OnTrial,
            (Self::Healthy, Self::Healthy) => Self::Healthy,
        }
    }
}

/// Judges one backend by its real requests: outcomes in, verdicts out.
///
/// It does no I/O, starts no task and reads no clock; the time comes with each call. All timestamps
/// must come from one clock. Any number of threads may call it at once.
///
/// [`CircuitBreaker`](crate::CircuitBreaker) and [`OutlierMember`](crate::OutlierMember) are detectors.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::time::Duration;
/// use evenkeel_health::{Detector, Observation, Verdict};
/// use evenkeel_stats::{Outcome, Timestamp};
///
/// /// Believes every overload.
/// #[derive(Debug, Default)]
/// struct Polite(AtomicU64);
///
/// impl Detector for Polite {
///     fn observe(&self, observation: &Observation) -> Verdict {
///         if let Outcome::Overload { retry_after: Some(wait) } = observation.outcome {
///             let until = observation.now.saturating_add(wait);
///             self.0.fetch_max(until.as_nanos(), Ordering::Relaxed);
///         }
///         self.verdict(observation.now)
///     }
///
///     fn verdict(&self, now: Timestamp) -> Verdict {
///         let until = Timestamp::from_nanos(self.0.load(Ordering::Relaxed));
///         if now < until { Verdict::Ejected { until } } else { Verdict::Healthy }
///     }
/// }
///
/// let polite = Polite::default();
/// let wait = Duration::from_secs(3);
/// let now = Timestamp::ZERO;
/// let asked = Outcome::Overload { retry_after: Some(wait) };
/// let verdict = polite.observe(&Observation { outcome: asked, started: now, now });
/// assert!(!verdict.is_eligible());
/// assert!(polite.verdict(now.saturating_add(wait)).is_eligible());
/// ```
pub trait Detector: Send + Sync + std::fmt::Debug {
    /// Takes in one request, and says what follows from it.
    fn observe(&self, observation: &Observation) -> Verdict;

    /// What it says at `now`. Changes nothing.
    fn verdict(&self, now: Timestamp) -> Verdict;

    /// There is news from elsewhere, an active check for one, that the backend is back: an ejection of
    /// the detector's own ends at `now`, and a trial may begin. By default nothing happens, and the
    /// ejection ends when it would have.
    fn readmit(&self, now: Timestamp) {
        let _ = now;
    }
}
