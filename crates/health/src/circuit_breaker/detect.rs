//! A breaker as a [`Detector`]: for whoever sends without permits.

use evenkeel_stats::Timestamp;

use super::evidence::CountedBy;
use super::{CircuitBreaker, CircuitState};
use crate::sync::Ordering;
use crate::{Detector, Observation, Verdict};

impl CircuitBreaker {
    /// As [`Detector::observe`], for whoever counts the successes of this backend anyway: `successes` is how many
    /// there have been, this one included if it is one. The breaker then counts none itself, so that a success
    /// costs a few loads.
    ///
    /// The count is to be that of this backend alone, and each of its successes is to be shown here, or to a
    /// [`Permit`](crate::Permit) of a trial: what is not shown counts all the same. It may wrap, at
    /// 2^40 or any greater power of two.
    #[inline]
    pub fn observe_counted(&self, observation: &Observation, successes: u64) -> Verdict {
        self.observe_by(observation, CountedBy::Other(successes))
    }

    #[inline]
    fn observe_by(&self, observation: &Observation, by: CountedBy) -> Verdict {
        let Observation {
            outcome,
            started,
            now,
        } = *observation;
        let token = self.token();
        if token.state() != CircuitState::Closed {
            return self.observe_slowly(observation);
        }
        if started.as_nanos() >= self.since.load(Ordering::Relaxed) {
            let opened = self.count(token, outcome, by, now);
            if !opened {
                return Verdict::Healthy;
            }
        } else if outcome.is_success() && matches!(by, CountedBy::Other(_)) {
            self.evidence.late_success();
        }
        self.verdict(now)
    }

    #[cold]
    fn observe_slowly(&self, observation: &Observation) -> Verdict {
        let Observation {
            outcome,
            started,
            now,
        } = *observation;
        match self.state() {
            CircuitState::Open if now < self.until() => {}
            CircuitState::Open | CircuitState::HalfOpen => {
                self.change(|machine| {
                    if machine.state == CircuitState::Open {
                        machine.advance(&self.config, now);
                    }
                    if machine.state == CircuitState::HalfOpen && started >= machine.until {
                        machine.judge(&self.config, outcome, now);
                    }
                });
            }
            CircuitState::Closed | CircuitState::ForcedOpen | CircuitState::ForcedClosed => {}
        }
        self.verdict(now)
    }
}

/// Closed, requests that were sent since it closed count; half-open, those that were sent after the open
/// time was over are the trial.
impl Detector for CircuitBreaker {
    fn observe(&self, observation: &Observation) -> Verdict {
        self.observe_by(observation, CountedBy::Breaker)
    }

    fn verdict(&self, now: Timestamp) -> Verdict {
        match self.state() {
            CircuitState::Closed | CircuitState::ForcedClosed => Verdict::Healthy,
            CircuitState::HalfOpen => Verdict::OnTrial,
            CircuitState::Open => {
                let until = self.until();
                if now < until {
                    Verdict::Ejected { until }
                } else {
                    Verdict::OnTrial
                }
            }
            CircuitState::ForcedOpen => Verdict::Ejected {
                until: Timestamp::MAX,
            },
        }
    }

    /// Open, it is on trial from now on. Who forced it open meant it: then nothing changes.
    fn readmit(&self, now: Timestamp) {
        self.change(|machine| machine.readmit(now));
    }
}
