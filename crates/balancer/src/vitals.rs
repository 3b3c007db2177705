//! [`Vitals`]: what a backend's requests change, and what follows from it. Knows nothing of payloads.

mod compared;
mod diverts;
mod tally;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use evenkeel_health::{
    CircuitBreaker, CircuitState, Detector, Observation, OperatorWord, Permit, ReadinessChange,
    ReadinessReason, ReadinessTracker, Verdict,
};
use evenkeel_stats::{Clock, Failure, Observe, Outcome, OutcomeEvent, Readiness, Timestamp};
use evenkeel_strategy::{BackendId, LoadCell, Member};
use tokio::sync::Notify;

pub(crate) use compared::Compared;
pub(crate) use diverts::Diverts;
pub(crate) use tally::{Counts, Tally};

use crate::control::Control;

/// For how long a backend on trial is left alone by all but the trial. A trial's end puts an end to it
/// at once; the time is for the one that is never heard of again.
const TRIAL_PAUSE: Duration = Duration::from_millis(100);

/// A permit of a breaker's trial.
pub(crate) type Trial = Permit<Arc<CircuitBreaker>>;

/// Whether a backend that was chosen takes the request.
pub(crate) enum Admission {
    /// Yes.
    Open,
    /// Yes, and its outcome decides.
    Trial(Trial),
    /// No: its breaker is open, or its trial is under way.
    Denied,
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) failure: Option<Failure>,
    /// Whether a success says more than all that was known before.
    pub(crate) relearn: bool,
    pub(crate) started: Timestamp,
    pub(crate) now: Timestamp,
}

impl Ended {
    const fn observation(&self) -> Observation {
        Observation {
            outcome: self.outcome,
            started: self.started,
            now: self.now,
        }
    }
}

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
    /// The tracker holds a judge's word against it, which a success may have just ended.
    judged: Arc<AtomicBool>,
    observer: Option<Arc<dyn Observe>>,
    tally: Tally,
    /// When the run of failures that is under way began, 0 if none is: the first sign of trouble.
    first_sign: AtomicU64,
    /// Somebody waits for the last request in flight.
    watchers: AtomicU32,
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
        let judged = Arc::new(AtomicBool::new(false));
        let flag = judged.clone();
        let tracker = tracker.on_change(move |change| {
            let reason = change.report.reason;
            let judged = matches!(reason, ReadinessReason::OnTrial | ReadinessReason::Ejected { .. });
            flag.store(judged, Ordering::Relaxed);
            mirror(&cell, change);
        });
        Self {
            tracker,
            judged,
            member,
            clock,
            control,
            breaker,
            outlier,
            observer,
            tally: Tally::default(),
            first_sign: AtomicU64::new(0),
            watchers: AtomicU32::new(0),
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

    /// Whether its breaker lets a request through.
    #[inline]
    pub(crate) fn admit(&self, now: Timestamp) -> Admission {
        match self.breaker.state() {
            CircuitState::Closed | CircuitState::ForcedClosed => Admission::Open,
            _ => self.admit_slowly(now),
        }
    }

    #[cold]
    fn admit_slowly(&self, now: Timestamp) -> Admission {
        match self.breaker.permit_owned(now) {
            Ok(_) if self.breaker.state() == CircuitState::Closed => Admission::Open,
            Ok(permit) => Admission::Trial(permit),
            Err(_) => {
                self.reconcile(now);
                if self.tracker.report().reason == ReadinessReason::OnTrial {
                    // Every permit is out: all others may as well look elsewhere for a while.
                    self.cell().eject_until(now.saturating_add(TRIAL_PAUSE));
                }
                Admission::Denied
            }
        }
    }

    /// How many requests were sent here so far, whether they have ended or not.
    pub(crate) fn begun(&self) -> u64 {
        let totals = self.cell().totals();
        let cancelled = self.tally.counts().cancelled;
        totals.successes + totals.failures + cancelled + u64::from(self.cell().in_flight())
    }

    /// A request that [`LoadCell::begin`] counted has ended.
    #[inline]
    pub(crate) fn settle(&self, ended: &Ended, trial: Option<Trial>) {
        let latency = ended.now.since(ended.started);
        if ended.relearn && ended.outcome.is_success() {
            self.cell().forget_latency();
        }
        self.cell().finish(ended.outcome, latency, ended.now);
        self.judge(ended, trial);
        self.tell(ended.outcome, latency);
    }

    /// Tells whoever listens: an observer, and a drain.
    #[inline]
    fn tell(&self, outcome: Outcome, took: Duration) {
        if let Some(observer) = &self.observer {
            observer.outcome(&OutcomeEvent {
                target: self.id(),
                took,
                outcome,
            });
        }
        if self.watchers.load(Ordering::Relaxed) != 0 {
            self.idle.notify_waiters();
        }
    }

    /// Another backend was asked later and answered sooner. That is no outcome, and its latency is at
    /// least what has passed. But if it had taken longer than `usual` answers do, twice over, it does not answer,
    /// and the breaker takes it for a failure. Otherwise a backend that hangs would never be found
    /// out by hedged calls. Without `usual` nobody is blamed.
    pub(crate) fn settle_overtaken(
        &self,
        started: Timestamp,
        now: Timestamp,
        usual: Option<Duration>,
        trial: Option<Trial>,
    ) {
        let latency = now.since(started);
        self.cell().finish(Outcome::Cancelled, latency, now);
        self.tally.overtaken();
        if usual.is_none_or(|usual| latency < 2 * usual) {
            if trial.is_some() {
                drop(trial);
                self.reconcile(now);
            }
            return self.tell(Outcome::Cancelled, latency);
        }
        let failed = Outcome::Failure;
        let observation = Observation {
            outcome: failed,
            started,
            now,
        };
        self.sign(now);
        match trial {
            Some(permit) => {
                permit.finish(failed, now);
                self.reconcile(now);
            }
            None => self.heed(self.breaker.observe(&observation), now),
        }
        self.tell(Outcome::Cancelled, latency);
    }

    /// A trial's request is answered, and goes on.
    #[cfg(feature = "tower")]
    pub(crate) fn pass(&self, trial: Trial) {
        let now = self.now();
        trial.finish(Outcome::Success, now);
        self.reconcile(now);
    }

    /// Takes in a request that was not counted as in flight.
    pub(crate) fn record(&self, ended: &Ended) {
        let latency = ended.now.since(ended.started);
        self.cell().record(ended.outcome, latency, ended.now);
        self.judge(ended, None);
        self.tell(ended.outcome, latency);
    }

    /// What statistics and detectors make of an outcome.
    #[inline]
    fn judge(&self, ended: &Ended, trial: Option<Trial>) {
        let Ended { outcome, now, .. } = *ended;
        if outcome.is_success() {
            self.tally.success(now.nanos_since(ended.started));
            if self.first_sign.load(Ordering::Relaxed) != 0 {
                self.first_sign.store(0, Ordering::Relaxed);
            }
        } else {
            self.tally.not_success(outcome, ended.failure);
            if outcome == Outcome::Failure {
                self.sign(now);
            }
        }
        if outcome == Outcome::Cancelled {
            // Says nothing; a permit of a trial goes back.
            if trial.is_some() {
                drop(trial);
                self.reconcile(now);
            }
            return;
        }
        let observation = ended.observation();
        let mut verdict = Verdict::Healthy;
        if let Some(outlier) = &self.outlier {
            verdict = outlier.observe(&observation);
        }
        match trial {
            Some(permit) => {
                permit.finish(outcome, now);
                self.reconcile(now);
            }
            None => {
                let breaker = self.breaker.observe(&observation);
                self.heed(
                    if breaker == Verdict::Healthy {
                        verdict
                    } else {
                        breaker
                    },
                    now,
                );
            }
        }
    }

    /// The first of a run of failures is the sign from which the time to divert counts, and a reason
    /// to check at once.
    #[cold]
    fn sign(&self, now: Timestamp) {
        let now = now.as_nanos().max(1);
        let first = self
            .first_sign
            .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        #[cfg(feature = "checks")]
        if first.is_ok() {
            self.checks.lock().hurry();
        }
        // Whoever comes second finds it set.
        let _ = first;
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

    #[inline]
    fn heed(&self, verdict: Verdict, now: Timestamp) {
        if verdict != Verdict::Healthy || self.judged.load(Ordering::Relaxed) {
            self.reconcile(now);
        }
    }

    /// Asks the judges anew and brings the load cell in line with what they say, so that the very next
    /// pick sees it. Whoever comes last has the newest: see [`ReadinessTracker`].
    #[cold]
    pub(crate) fn reconcile(&self, now: Timestamp) {
        if let Some(change) = self.tracker.refresh(now) {
            self.follow(&change, now);
        }
    }

    /// What a change means beside the load cell.
    fn follow(&self, change: &ReadinessChange, now: Timestamp) {
        let to = change.report.readiness;
        if to == Readiness::Ejected && change.from != to {
            let sign = self.first_sign.swap(0, Ordering::Relaxed);
            let sign = if sign == 0 {
                now
            } else {
                Timestamp::from_nanos(sign)
            };
            self.diverts.record(now.since(sign));
        }
        self.control.ask_rebuild();
    }

    /// Before a sweep of the outlier detection: hands in what was counted since the last.
    pub(crate) fn before_sweep(&self) {
        if let Some(outlier) = &self.outlier {
            outlier.hand_in(&self.cell().totals());
        }
    }

    /// Sets what health checks, or whoever else watches the backend from outside, say of it, and why if
    /// they say no.
    pub(crate) fn set_check(&self, healthy: bool, error: Option<Arc<str>>, now: Timestamp) {
        if let Some(change) = self.tracker.set_check(Some(healthy), error, now) {
            if change.from == Readiness::Unhealthy {
                // What came before is no news any more.
                self.first_sign.store(0, Ordering::Relaxed);
            }
            self.follow(&change, now);
        }
    }

    /// Sets what the operator says of it.
    pub(crate) fn set_operator(&self, word: OperatorWord, now: Timestamp) {
        self.orders.fetch_add(1, Ordering::Relaxed);
        // Who calls this swaps the snapshot: there is nothing to ask for.
        let _ = self.tracker.set_operator(word, now);
    }

    /// How often the operator has spoken: an earlier drain knows by it that it is not the last.
    pub(crate) fn orders(&self) -> u64 {
        self.orders.load(Ordering::Relaxed)
    }

    pub(crate) fn operator(&self) -> OperatorWord {
        self.tracker.operator()
    }

    pub(crate) const fn tracker(&self) -> &ReadinessTracker {
        &self.tracker
    }

    pub(crate) const fn diverts(&self) -> &Diverts {
        &self.diverts
    }

    /// When an ejection that is under way ends; if it has ended, the judges are asked anew.
    pub(crate) fn returns_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.reconcile(now);
        match self.tracker.report().reason {
            ReadinessReason::Ejected { until } => Some(until),
            _ => None,
        }
    }

    /// Waits until nothing is in flight.
    pub(crate) async fn idle(&self) {
        self.watchers.fetch_add(1, Ordering::SeqCst);
        let _watching = Watching(&self.watchers);
        loop {
            let ended = self.idle.notified();
            if self.cell().in_flight() == 0 {
                return;
            }
            // The count is relaxed, so its last change may be seen late; then the time brings it.
            tokio::select! {
                () = ended => {}
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
        }
    }
}

/// Somebody waits for the last request in flight, until this is dropped.
struct Watching<'a>(&'a AtomicU32);

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Writes a change into the load cell. Called under the tracker's lock, so changes come in order.
///
/// A backend on trial is ready to pickers: its breaker lets through as many as it wants, and one that
/// was called degraded would be passed over while others are ready, and never have its trial.
fn mirror(cell: &LoadCell, change: &ReadinessChange) {
    let report = &change.report;
    if let ReadinessReason::Ejected { until } = report.reason {
        cell.eject_until(until);
    } else {
        cell.end_ejection();
    }
    cell.set_readiness(match report.readiness {
        unwanted @ (Readiness::Draining | Readiness::Unhealthy) => unwanted,
        _ => Readiness::Ready,
    });
    if change.is_return() {
        cell.mark_born(report.since);
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
