//! [`Pick`]: the guard of one choice.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_stats::{Failure, Outcome, Timestamp};
use evenkeel_strategy::{BackendId, PickContext};

use crate::BackendRef;
use crate::backend::Backend;
use crate::vitals::{Admission, Ended, Trial};

/// One choice: a request that is in flight at a backend until this is finished or dropped.
///
/// It derefs to what the backend carries. It owns its backend, so it is `'static`, may cross awaits and
/// tasks, and stays valid when the backend is removed.
///
/// [`finish`](Self::finish) it with how the request ended. Dropped, it counts as cancelled: the count
/// in flight goes down, and what was learnt is only that it took at least so long.
#[must_use = "dropped, it counts as a request that was cancelled"]
pub struct Pick<B> {
    backend: Arc<Backend<B>>,
    started: Timestamp,
    trial: Option<Trial>,
    /// What is known of the backend is stale: its answer takes the place of the average.
    relearn: bool,
    open: bool,
}

impl<B> Pick<B> {
    /// The request begins.
    #[inline]
    pub(crate) fn begin(backend: Arc<Backend<B>>, started: Timestamp, trial: Option<Trial>) -> Self {
        backend.vitals.cell().begin();
        Self {
            backend,
            started,
            relearn: trial.is_some(),
            trial,
            open: true,
        }
    }

    /// It asks a backend that was not asked for long.
    pub(crate) const fn exploring(mut self) -> Self {
        self.relearn = true;
        self
    }

    /// The backend that a session is kept at, if it takes the request.
    pub(crate) fn of_session(
        backend: &Arc<Backend<B>>,
        context: &PickContext<'_>,
        panic: bool,
    ) -> Option<Self> {
        let now = context.now();
        let cell = backend.vitals.cell();
        if context.is_excluded(cell) || !(panic || cell.readiness(now).is_eligible()) {
            return None;
        }
        match backend.vitals.admit(now) {
            Admission::Open => Some(Self::begin(Arc::clone(backend), now, None)),
            Admission::Trial(trial) => Some(Self::begin(Arc::clone(backend), now, Some(trial))),
            Admission::Denied => None,
        }
    }

    /// The id of the backend.
    #[must_use]
    pub fn id(&self) -> &BackendId {
        self.backend.vitals.id()
    }

    /// What the backend carries.
    #[must_use]
    pub fn payload(&self) -> &B {
        &self.backend.payload
    }

    /// A handle on the backend that counts as nothing in flight.
    #[must_use]
    pub fn backend(&self) -> BackendRef<B> {
        BackendRef(Arc::clone(&self.backend))
    }

    /// When it was picked, on the balancer's clock.
    #[must_use]
    pub const fn started(&self) -> Timestamp {
        self.started
    }

    /// Whether this request decides if the backend's circuit breaker closes.
    #[must_use]
    pub const fn is_trial(&self) -> bool {
        self.trial.is_some()
    }

    pub(crate) const fn inner(&self) -> &Arc<Backend<B>> {
        &self.backend
    }

    /// The request ended with `outcome`: load, statistics and judges hear of it, and the next pick goes
    /// by what they make of it.
    #[inline]
    pub fn finish(mut self, outcome: Outcome) {
        self.end(outcome, None);
    }

    /// The request failed, and it is known where and how; else as [`finish`](Self::finish) with
    /// [`Outcome::Failure`].
    pub fn fail(mut self, failure: Failure) {
        self.end(Outcome::Failure, Some(failure));
    }

    /// The request ended with `outcome` after `latency`, measured by the caller: for those who know
    /// better than the time since the pick.
    pub fn finish_after(mut self, outcome: Outcome, latency: Duration) {
        self.open = false;
        let now = self.backend.vitals.now();
        self.started = now.saturating_sub(latency);
        self.settle(outcome, None, now);
    }

    /// The backend answers: if this is the trial, it is passed, though the request goes on.
    #[cfg(feature = "tower")]
    pub(crate) fn pass_trial(&mut self) {
        if let Some(trial) = self.trial.take() {
            self.backend.vitals.pass(trial);
        }
    }

    /// Ends as a classification says.
    pub(crate) fn finish_classified(mut self, outcome: Outcome, failure: Option<Failure>) {
        self.end(outcome, failure.filter(|_| outcome == Outcome::Failure));
    }

    /// The same request was sent elsewhere later and came back sooner, so this one is given up. To
    /// the latency average it is a request that took at least so long; if it took twice as long as
    /// `usual` answers do (their 95th percentile, say), it is a failure to the circuit breaker, because
    /// a backend that is overtaken like this does not answer. `None` blames nobody: where nobody knows yet
    /// what is usual, or where the backend has answered others meanwhile.
    pub fn overtaken(mut self, usual: Option<Duration>) {
        self.open = false;
        let vitals = &self.backend.vitals;
        vitals.settle_overtaken(self.started, vitals.now(), usual, self.trial.take());
    }

    /// There is no answer yet: the backend takes at least so long.
    pub(crate) fn still_waiting(&self) {
        let vitals = &self.backend.vitals;
        let now = vitals.now();
        vitals.cell().at_least(now.since(self.started), now);
    }

    /// It was never sent: as if it had not been picked.
    pub(crate) fn undo(mut self) {
        self.open = false;
        self.backend.vitals.cell().release();
    }

    #[inline]
    pub(crate) fn end(&mut self, outcome: Outcome, failure: Option<Failure>) {
        self.open = false;
        let now = self.backend.vitals.now();
        self.settle(outcome, failure, now);
    }

    #[inline]
    fn settle(&mut self, outcome: Outcome, failure: Option<Failure>, now: Timestamp) {
        let ended = Ended {
            outcome,
            failure,
            relearn: self.relearn,
            started: self.started,
            now,
        };
        self.backend.vitals.settle(&ended, self.trial.take());
    }
}

impl<B> Deref for Pick<B> {
    type Target = B;

    fn deref(&self) -> &B {
        &self.backend.payload
    }
}

impl<B> Drop for Pick<B> {
    #[inline]
    fn drop(&mut self) {
        if self.open {
            self.end(Outcome::Cancelled, None);
        }
    }
}

impl<B> fmt::Debug for Pick<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pick")
            .field("backend", self.id())
            .field("started", &self.started)
            .field("trial", &self.is_trial())
            .finish_non_exhaustive()
    }
}
