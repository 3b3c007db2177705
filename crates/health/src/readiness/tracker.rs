//! [`ReadinessTracker`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_stats::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use super::{OperatorWord, ReadinessChange, ReadinessReason, ReadinessReport, ReadinessStats};
use crate::{Detector, Verdict};

/// Combines what the detectors, the active checks and an operator say of one backend into its
/// [`Readiness`](evenkeel_stats::Readiness), with reason and since-when.
///
/// | operator | active checks | detectors, the worst of them | readiness | reason |
/// |---|---|---|---|---|
/// | disable | any | any | `Draining` | `Disabled` |
/// | drain | any | any | `Draining` | `Drained` |
/// | auto | bad | any | `Unhealthy` | `CheckFailed` |
/// | auto | good, or none yet | ejected | `Ejected` | `Ejected { until }` |
/// | auto | good, or none yet | on trial | `Degraded` | `OnTrial` |
/// | auto | good, or none yet | healthy | `Ready` | `Well` |
///
/// - A good check does not outweigh an ejection: many a backend answers its checks and fails its
///   requests. But when the checks *turn* from bad to good, that is news from after the ejection: the
///   detectors [readmit](Detector::readmit) the backend, and a breaker's trial begins at once instead
///   of after its open time, which may have grown to a minute.
/// - A bad check outweighs a trial: a check costs nobody's request.
/// - Of several ejections the last to end counts.
///
/// It is pure: the time is handed in, and it asks the detectors when it is told to. Call
/// [`refresh`](Self::refresh) when a detector may have changed its mind: when a request has tripped it
/// or ended its trial, and when an ejection ends ([`ReadinessReason::Ejected`] says when). Any number of
/// threads may: the detectors are asked under the tracker's lock, so the last one to enter speaks with
/// the newest verdicts. None of it belongs on the path of every request.
///
/// ```
/// use std::sync::Arc;
/// use evenkeel_health::{
///     CircuitBreaker, CircuitBreakerConfig, OperatorWord, ReadinessReason, ReadinessTracker,
/// };
/// use evenkeel_stats::{Outcome, Readiness, Timestamp};
///
/// let breaker = Arc::new(CircuitBreaker::new(CircuitBreakerConfig::default())?);
/// let now = Timestamp::from_nanos(1);
/// let tracker = ReadinessTracker::new("collector-1", vec![breaker.clone()], now);
///
/// for _ in 0..7 {
///     breaker.permit(now).unwrap().finish(Outcome::Failure, now);
/// }
/// let change = tracker.refresh(now).unwrap();
/// assert_eq!(change.report.readiness, Readiness::Ejected);
///
/// let refused = Some("connection refused".into());
/// tracker.set_check(Some(false), refused, now);
/// assert_eq!(tracker.report().readiness, Readiness::Unhealthy);
///
/// tracker.set_operator(OperatorWord::Drain, now);
/// assert_eq!(tracker.report().reason, ReadinessReason::Drained);
/// # Ok::<(), evenkeel_health::ConfigError>(())
/// ```
pub struct ReadinessTracker {
    name: Arc<str>,
    detectors: Vec<Arc<dyn Detector>>,
    on_change: Option<OnChange>,
    state: Mutex<State>,
    #[cfg(feature = "checker")]
    pub(super) publish: tokio::sync::watch::Sender<ReadinessReport>,
}

type OnChange = Box<dyn Fn(&ReadinessChange) + Send + Sync>;

#[derive(Debug)]
struct State {
    operator: OperatorWord,
    healthy: Option<bool>,
    error: Option<Arc<str>>,
    report: ReadinessReport,
    stats: ReadinessStats,
}

impl ReadinessTracker {
    /// The tracker of a backend of which nothing is known but what `detectors` say.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, detectors: Vec<Arc<dyn Detector>>, now: Timestamp) -> Self {
        let reason = ReadinessReason::of(OperatorWord::Auto, None, worst(&detectors, now));
        let report = ReadinessReport {
            readiness: reason.readiness(),
            reason,
            since: now,
            error: None,
        };
        Self {
            name: name.into(),
            detectors,
            on_change: None,
            #[cfg(feature = "checker")]
            publish: tokio::sync::watch::Sender::new(report.clone()),
            state: Mutex::new(State {
                operator: OperatorWord::Auto,
                healthy: None,
                error: None,
                report,
                stats: ReadinessStats::default(),
            }),
        }
    }

    /// Calls `mirror` at each change, under the tracker's lock: so changes arrive in order, and a copy
    /// of the readiness in an atomic (a picker's load cell) is never an older one. It must be quick and
    /// must not call the tracker.
    #[must_use]
    pub fn on_change(mut self, mirror: impl Fn(&ReadinessChange) + Send + Sync + 'static) -> Self {
        self.on_change = Some(Box::new(mirror));
        self
    }

    /// The backend's name, which its events carry.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was found last.
    #[must_use]
    pub fn report(&self) -> ReadinessReport {
        self.state.lock().report.clone()
    }

    /// Runs `read` with what was found last, under the tracker's lock: what it writes elsewhere comes
    /// before what the [mirror](Self::on_change) writes there at the next change, and is never the older word
    /// that stays. It must be quick and must not call the tracker.
    pub fn with_report<R>(&self, read: impl FnOnce(&ReadinessReport) -> R) -> R {
        read(&self.state.lock().report)
    }

    /// What the operator said last.
    #[must_use]
    pub fn operator(&self) -> OperatorWord {
        self.state.lock().operator
    }

    /// How often and how long it had each readiness, up to `now`.
    #[must_use]
    pub fn stats(&self, now: Timestamp) -> ReadinessStats {
        let state = self.state.lock();
        let mut stats = state.stats.clone();
        stats.spend(state.report.readiness, state.report.since, now);
        stats
    }

    /// Asks the detectors anew. Returns the change, if there is one.
    pub fn refresh(&self, now: Timestamp) -> Option<ReadinessChange> {
        self.combine(self.state.lock(), now)
    }

    /// The active checks say `healthy` (`None` if they have not said anything, or have ended), and
    /// `error` if they say no. Returns the change, if there is one.
    pub fn set_check(
        &self,
        healthy: Option<bool>,
        error: Option<Arc<str>>,
        now: Timestamp,
    ) -> Option<ReadinessChange> {
        let mut state = self.state.lock();
        let turned_good = state.healthy == Some(false) && healthy == Some(true);
        state.healthy = healthy;
        state.error = error.filter(|_| healthy == Some(false));
        if turned_good {
            // A detector tells of its change, and a subscriber may ask the tracker.
            drop(state);
            for detector in &self.detectors {
                detector.readmit(now);
            }
            state = self.state.lock();
        }
        self.combine(state, now)
    }

    /// The operator says `word`. Returns the change, if there is one.
    pub fn set_operator(&self, word: OperatorWord, now: Timestamp) -> Option<ReadinessChange> {
        let mut state = self.state.lock();
        state.operator = word;
        self.combine(state, now)
    }

    fn combine(&self, mut state: MutexGuard<'_, State>, now: Timestamp) -> Option<ReadinessChange> {
        let reason = ReadinessReason::of(state.operator, state.healthy, worst(&self.detectors, now));
        let failed = reason == ReadinessReason::CheckFailed;
        let error = state.error.clone().filter(|_| failed);
        let ReadinessReport {
            readiness: from,
            reason: was,
            since: held_since,
            ..
        } = state.report;
        if reason == was && error == state.report.error {
            return None;
        }
        let readiness = reason.readiness();
        // Of two threads the later to enter may have read the clock earlier.
        let now = now.max(held_since);
        let since = if readiness == from { held_since } else { now };
        if readiness != from {
            state.stats.change(from, readiness, held_since, now);
        }
        state.report = ReadinessReport {
            readiness,
            reason,
            since,
            error,
        };
        let report = state.report.clone();
        let change = ReadinessChange { from, report };
        if let Some(mirror) = &self.on_change {
            mirror(&change);
        }
        #[cfg(feature = "checker")]
        self.publish.send_replace(change.report.clone());
        drop(state);
        if reason.as_str() != was.as_str() {
            tell(&self.name, &change, now.since(held_since));
        }
        Some(change)
    }
}

/// What the strictest of them says; of several ejections the last to end counts.
fn worst(detectors: &[Arc<dyn Detector>], now: Timestamp) -> Verdict {
    let verdicts = detectors.iter().map(|detector| detector.verdict(now));
    verdicts.fold(Verdict::Healthy, Verdict::worse)
}

/// Outside of the lock: a subscriber may be slow, or ask.
fn tell(name: &str, change: &ReadinessChange, after: Duration) {
    let report = &change.report;
    tracing::info!(
        name,
        from = change.from.as_str(),
        to = report.readiness.as_str(),
        reason = report.reason.as_str(),
        error = report.error.as_deref(),
        after = ?after,
        "readiness changed"
    );
}

impl fmt::Debug for ReadinessTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadinessTracker")
            .field("name", &self.name)
            .field("report", &self.report())
            .field("operator", &self.operator())
            .field("detectors", &self.detectors)
            .finish_non_exhaustive()
    }
}
