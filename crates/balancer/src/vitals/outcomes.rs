//! What a request's end changes.

use std::time::Duration;

use evenkeel_health::{Detector, Observation, Verdict};
use evenkeel_stats::{Failure, Outcome, OutcomeEvent, Timestamp};

use super::{Trial, Vitals};

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

impl Vitals {
    /// A request that [`LoadCell::begin`] counted has ended.
    #[inline]
    pub(crate) fn settle(&self, ended: &Ended, trial: Option<Trial>) {
        if ended.outcome.is_success() && !ended.relearn && trial.is_none() {
            self.succeed(ended);
        } else {
            self.settle_slowly(ended, trial);
        }
    }

    /// A success that decides nothing, which nearly all are. Everything it touches it touches once.
    #[inline]
    fn succeed(&self, ended: &Ended) {
        let nanos = ended.now.nanos_since(ended.started);
        let successes = self.cell().succeed(nanos, ended.now);
        self.tally.success(nanos);
        let verdict = self.breaker.observe_counted(&ended.observation(), successes);
        if verdict != Verdict::Healthy || self.told_each || self.signals.any() {
            self.succeed_slowly(ended, verdict);
        }
    }

    #[cold]
    fn succeed_slowly(&self, ended: &Ended, verdict: Verdict) {
        self.signals.take_sign();
        let compared = self.compare(&ended.observation());
        self.heed(worse(verdict, compared), ended.now);
        self.tell(ended.outcome, ended.now.since(ended.started));
    }

    /// An end that says more, or anything but a success.
    #[cold]
    fn settle_slowly(&self, ended: &Ended, trial: Option<Trial>) {
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
        if self.signals.is_watched() {
            self.idle.notify_waiters();
        }
    }

    /// Another backend was asked later and answered sooner. That is no outcome, and its latency is at
    /// least what has passed. But if it had taken longer than `usual` answers do, twice over, it does not answer:
    /// the breaker takes it for a failure, and the load cell doubts the backend. Otherwise one that hangs would
    /// never be found out by hedged calls, and one that has become slow would look no slower than the time after
    /// which requests to it are given up. Without `usual` nobody is blamed.
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
            if let Some(trial) = trial {
                self.give_back(trial, now);
            }
            return self.tell(Outcome::Cancelled, latency);
        }
        self.cell().doubt();
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
            None => self.heed(self.observe(&observation), now),
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
    fn judge(&self, ended: &Ended, trial: Option<Trial>) {
        let Ended { outcome, now, .. } = *ended;
        if outcome.is_success() {
            self.tally.success(now.nanos_since(ended.started));
            self.signals.take_sign();
        } else {
            self.tally.not_success(outcome, ended.failure);
            if outcome == Outcome::Failure {
                self.sign(now);
            }
        }
        if outcome == Outcome::Cancelled {
            // Says nothing; a permit of a trial goes back.
            if let Some(trial) = trial {
                self.give_back(trial, now);
            }
            return;
        }
        let observation = ended.observation();
        let compared = self.compare(&observation);
        match trial {
            Some(permit) => {
                permit.finish(outcome, now);
                self.reconcile(now);
            }
            None => self.heed(worse(self.observe(&observation), compared), now),
        }
    }

    /// What the breaker makes of it. The load cell has counted it already, if it is a success.
    fn observe(&self, observation: &Observation) -> Verdict {
        self.breaker.observe_counted(observation, self.cell().successes())
    }

    /// What the comparison with other backends makes of it.
    fn compare(&self, observation: &Observation) -> Verdict {
        let outlier = self.outlier.as_ref();
        outlier.map_or(Verdict::Healthy, |outlier| outlier.observe(observation))
    }

    /// The first of a run of failures is the sign from which the time to divert counts, and a reason
    /// to check at once.
    #[cold]
    fn sign(&self, now: Timestamp) {
        let first = self.signals.sign(now);
        #[cfg(feature = "checks")]
        if first {
            self.checks.lock().hurry();
        }
        // Whoever comes second finds it set.
        let _ = first;
    }
}

/// The word of the breaker, unless it has nothing to say.
fn worse(breaker: Verdict, compared: Verdict) -> Verdict {
    if breaker == Verdict::Healthy {
        compared
    } else {
        breaker
    }
}
