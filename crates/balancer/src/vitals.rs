//! [`Vitals`]: what a backend's requests change, and what follows from it. Knows nothing of payloads.

mod compared;
mod standing;
mod tally;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use evenkeel_health::{CircuitBreaker, CircuitState, Detector, Observation, Permit, Verdict};
use evenkeel_stats::{Clock, Failure, Observe, Outcome, OutcomeEvent, Readiness, Timestamp};
use evenkeel_strategy::{BackendId, LoadCell, Member};
use parking_lot::Mutex;
use tokio::sync::Notify;

pub(crate) use compared::Compared;
pub(crate) use standing::{Admin, Standing};
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
    outlier: Option<Compared>,
    observer: Option<Arc<dyn Observe>>,
    tally: Tally,
    /// When the run of failures that is under way began, 0 if none is: the first sign of trouble.
    first_sign: AtomicU64,
    /// When the last failure of that run was.
    last_sign: AtomicU64,
    /// Somebody waits for the last request in flight.
    watched: AtomicBool,
    idle: Notify,
    standing: Mutex<Standing>,
    /// Dropped with the backend, it ends its checks.
    #[cfg(feature = "checks")]
    checks: std::sync::OnceLock<crate::checks::Watched>,
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
        let now = clock.now();
        Self {
            member,
            clock,
            control,
            breaker: Arc::new(breaker),
            outlier,
            observer,
            tally: Tally::default(),
            first_sign: AtomicU64::new(0),
            last_sign: AtomicU64::new(0),
            watched: AtomicBool::new(false),
            idle: Notify::new(),
            standing: Mutex::new(Standing::new(now)),
            #[cfg(feature = "checks")]
            checks: std::sync::OnceLock::new(),
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
                self.bring_in_line(true, now);
                Admission::Denied
            }
        }
    }

    /// A request that [`LoadCell::begin`] counted has ended.
    #[inline]
    pub(crate) fn settle(&self, ended: &Ended, trial: Option<Trial>) {
        let latency = ended.now.since(ended.started);
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
        if self.watched.load(Ordering::Relaxed) {
            self.idle.notify_waiters();
        }
    }

    /// Another backend was asked later and answered sooner. That is no outcome, and its latency is at
    /// least what has passed; but who is overtaken time after time does not answer, so the breaker
    /// takes it for a failure. Otherwise a backend that hangs would never be found out by hedged calls.
    pub(crate) fn settle_overtaken(&self, started: Timestamp, now: Timestamp, trial: Option<Trial>) {
        let latency = now.since(started);
        self.cell().finish(Outcome::Cancelled, latency, now);
        self.tally.overtaken();
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
        self.last_sign.fetch_max(now, Ordering::Relaxed);
        let first = self
            .first_sign
            .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        if first.is_ok() {
            // Somebody has to think of it again, also if no request comes.
            self.control.wake();
            #[cfg(feature = "checks")]
            if let Some(checks) = self.checks.get() {
                checks.hurry();
            }
        }
    }

    /// A failure counts as a latency that takes minutes to forget, so a strategy that goes by latency
    /// would not ask a backend again that failed once and is well since: no trip, so no trial either.
    /// Where the last that was heard is a failure, the latency is forgotten after `pause`, and the next
    /// request shows. Returns when that is to be looked at again, if it is.
    pub(crate) fn give_a_chance(&self, pause: Duration, now: Timestamp) -> Option<Timestamp> {
        if self.first_sign.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let last = Timestamp::from_nanos(self.last_sign.load(Ordering::Relaxed));
        let due = last.saturating_add(pause);
        if due > now {
            return Some(due);
        }
        self.cell().forget_latency();
        self.last_sign.fetch_max(now.as_nanos(), Ordering::Relaxed);
        Some(now.saturating_add(pause))
    }

    /// The backend is checked from now on, for as long as it lives.
    #[cfg(feature = "checks")]
    pub(crate) fn watched_by(&self, checks: crate::checks::Watched) {
        // Once only: a backend is admitted once.
        drop(self.checks.set(checks));
    }

    #[inline]
    fn heed(&self, verdict: Verdict, now: Timestamp) {
        if verdict != Verdict::Healthy {
            self.reconcile(now);
        }
    }

    /// Brings the load cell in line with what the judges say, so that the very next pick sees it, and
    /// tells about what has changed. Under a lock, and reading the verdicts under it: whoever comes
    /// last has the newest.
    #[cold]
    pub(crate) fn reconcile(&self, now: Timestamp) {
        self.bring_in_line(false, now);
    }

    /// `denied` says that the breaker has just turned a request away.
    fn bring_in_line(&self, denied: bool, now: Timestamp) {
        let mut standing = self.standing.lock();
        let breaker = self.breaker.verdict(now);
        let outlier = self.outlier.as_ref().map(|outlier| outlier.verdict(now));
        let mut until = Timestamp::ZERO;
        for verdict in [Some(breaker), outlier].into_iter().flatten() {
            if let Verdict::Ejected { until: this } = verdict {
                until = until.max(this);
            }
        }
        let cell = self.cell();
        let mut changed = standing.advance(cell, now);
        if until > now {
            cell.eject_until(until);
            // It will be young when it is back, however it comes back.
            cell.mark_born(until);
            if standing.eject(until, breaker != Verdict::Healthy, now) {
                let sign = self.first_sign.swap(0, Ordering::Relaxed);
                let sign = if sign == 0 {
                    now
                } else {
                    Timestamp::from_nanos(sign)
                };
                standing.diverted(now.since(sign));
                cell.forget_latency();
                changed = true;
            }
        } else if breaker == Verdict::OnTrial {
            cell.end_ejection();
            if denied {
                // Every permit is out: all others may as well look elsewhere for a while.
                cell.eject_until(now.saturating_add(TRIAL_PAUSE));
            }
        } else if standing.reinstate() {
            cell.end_ejection();
            cell.mark_born(now);
            changed = true;
        }
        changed |= standing.advance(cell, now);
        drop(standing);
        if changed {
            self.control.ask_rebuild();
        }
    }

    /// Before a sweep of the outlier detection: hands in what was counted since the last.
    pub(crate) fn before_sweep(&self) {
        if let Some(outlier) = &self.outlier {
            outlier.hand_in(&self.cell().totals());
        }
    }

    /// Sets what health checks, or whoever else watches the backend from outside, say of it.
    pub(crate) fn set_health(&self, health: Readiness, now: Timestamp) -> bool {
        let mut standing = self.standing.lock();
        let before = standing.reported();
        if before == health {
            return false;
        }
        standing.report(health);
        let recovered = !before.is_eligible() && health.is_eligible();
        if recovered {
            // A check that turns good is news from after whatever the judges hold against it: they let
            // it in, and the breaker, if it was open, has one request decide.
            self.breaker.readmit(now);
            if let Some(outlier) = &self.outlier {
                outlier.readmit(now);
            }
            self.cell().end_ejection();
            standing.reinstate();
            self.cell().mark_born(now);
            self.cell().forget_latency();
            self.first_sign.store(0, Ordering::Relaxed);
        }
        self.cell().set_readiness(standing.base());
        standing.advance(self.cell(), now);
        drop(standing);
        tracing::info!(backend = %self.id(), from = before.as_str(), to = health.as_str(), "health changed");
        self.control.ask_rebuild();
        true
    }

    /// Sets what the operator says of it.
    pub(crate) fn set_admin(&self, admin: Admin, now: Timestamp) {
        let mut standing = self.standing.lock();
        standing.set_admin(admin);
        self.cell().set_readiness(standing.base());
        standing.advance(self.cell(), now);
    }

    /// Looks at the clock: an ejection may be over. Whether it is taken otherwise than before.
    pub(crate) fn advance(&self, now: Timestamp) -> bool {
        let mut standing = self.standing.lock();
        let was_out = standing.readiness() == Readiness::Ejected;
        let changed = standing.advance(self.cell(), now);
        if changed && was_out {
            // Requests from before the ejection may have failed since.
            self.cell().forget_latency();
        }
        changed
    }

    pub(crate) fn standing<R>(&self, look: impl FnOnce(&Standing) -> R) -> R {
        look(&self.standing.lock())
    }

    /// Waits until nothing is in flight.
    pub(crate) async fn idle(&self) {
        self.watched.store(true, Ordering::SeqCst);
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

impl fmt::Debug for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vitals")
            .field("member", &self.member)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}
