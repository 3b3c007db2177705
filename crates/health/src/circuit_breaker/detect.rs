//! A breaker as a [`Detector`]: for whoever sends without permits.

use evenkeel_stats::Timestamp;

use super::{CircuitBreaker, CircuitState};
use crate::sync::Ordering;
use crate::{Detector, Observation, Verdict};

/// Closed, requests that were sent since it closed count; half-open, those that were sent after the open
/// time was over are the trial.
impl Detector for CircuitBreaker {
    fn observe(&self, observation: &Observation) -> Verdict {
        let Observation {
            outcome,
            started,
            now,
        } = *observation;
        let token = self.token();
        match token.state() {
            CircuitState::Closed => {
                if started.as_nanos() >= self.since.load(Ordering::Relaxed) {
                    self.count(token, outcome, now);
                }
            }
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
            CircuitState::ForcedOpen | CircuitState::ForcedClosed => {}
        }
        self.verdict(now)
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
