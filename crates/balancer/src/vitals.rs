//! [`Vitals`]: what a backend's requests change, and what follows from it. Knows nothing of payloads.

mod admission;
mod compared;
mod diverts;
mod idle;
mod judgement;
mod outcomes;
mod signals;
mod tally;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use evenkeel_health::{CircuitBreaker, Detector, ReadinessReason, ReadinessTracker};
use evenkeel_stats::{Clock, Observe, Timestamp};
use evenkeel_strategy::{BackendId, LoadCell, Member};
use tokio::sync::Notify;

pub(crate) use admission::{Admission, Trial};
pub(crate) use compared::Compared;
pub(crate) use diverts::Diverts;
pub(crate) use outcomes::Ended;
use signals::Signals;
pub(crate) use tally::{Counts, Tally};

use crate::control::Control;

/// The state of one backend beside its payload. It lives in the backend's `Arc`, outlives every
/// snapshot, and is where a guard releases.
pub(crate) struct Vitals {
    member: Member,
    clock: Arc<dyn Clock>,
    control: Arc<Control>,
    breaker: Arc<CircuitBreaker>,
    outlier: Option<Arc<Compared>>,
    /// What all judges together say; it keeps the load cell in line with that.
    tracker: ReadinessTracker,
    signals: Arc<Signals>,
    observer: Option<Arc<dyn Observe>>,
    /// Somebody is to hear of each success: an observer, or the outlier detection.
    told_each: bool,
    tally: Tally,
    idle: Notify,
    orders: AtomicU64,
    diverts: Diverts,
    /// Dropped with the backend, it ends its checks.
    #[cfg(feature = "checks")]
    checks: parking_lot::Mutex<crate::checks::Slot>,
}

impl Vitals {
    pub(crate) fn new(
        member: Member,
        clock: Arc<dyn Clock>,
        control: Arc<Control>,
        breaker: CircuitBreaker,
        outlier: Option<Compared>,
        observer: Option<Arc<dyn Observe>>,
    ) -> Self {
        let breaker = Arc::new(breaker);
        let outlier = outlier.map(Arc::new);
        let mut detectors: Vec<Arc<dyn Detector>> = vec![breaker.clone()];
        detectors.extend(outlier.clone().map(|outlier| outlier as Arc<dyn Detector>));
        let name = member.id().as_str();
        let cell = member.load().clone();
        let tracker = ReadinessTracker::new(name, detectors, clock.now());
        let signals = Arc::new(Signals::default());
        let flags = signals.clone();
        let tracker = tracker.on_change(move |change| {
            let reason = change.report.reason;
            let judged = matches!(reason, ReadinessReason::OnTrial | ReadinessReason::Ejected { .. });
            flags.set_judged(judged);
            judgement::mirror(&cell, change);
        });
        Self {
            tracker,
            signals,
            told_each: observer.is_some() || outlier.as_ref().is_some_and(|outlier| outlier.wants_each()),
            member,
            clock,
            control,
            breaker,
            outlier,
            observer,
            tally: Tally::default(),
            idle: Notify::new(),
            orders: AtomicU64::new(0),
            diverts: Diverts::default(),
            #[cfg(feature = "checks")]
            checks: parking_lot::Mutex::default(),
        }
    }

    #[inline]
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) const fn member(&self) -> &Member {
        &self.member
    }

    pub(crate) fn id(&self) -> &BackendId {
        self.member.id()
    }

    #[inline]
    pub(crate) fn cell(&self) -> &Arc<LoadCell> {
        self.member.load()
    }

    pub(crate) const fn breaker(&self) -> &Arc<CircuitBreaker> {
        &self.breaker
    }

    pub(crate) const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How many requests were sent here so far, whether they have ended or not.
    pub(crate) fn begun(&self) -> u64 {
        let totals = self.cell().totals();
        let cancelled = self.tally.counts().cancelled;
        totals.successes + totals.failures + cancelled + u64::from(self.cell().in_flight())
    }

    /// The backend is checked from now on, for as long as it is a member.
    #[cfg(feature = "checks")]
    pub(crate) fn watched_by(&self, checks: crate::checks::Watched) {
        self.checks.lock().fill(checks);
    }

    /// The backend is no member any more.
    pub(crate) fn end_checks(&self) {
        #[cfg(feature = "checks")]
        self.checks.lock().close();
    }
}

impl fmt::Debug for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vitals")
            .field("member", &self.member)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}
