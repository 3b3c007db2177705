//! Whether a backend that was chosen takes the request.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_health::{CircuitBreaker, CircuitState, Permit, ReadinessReason};
use evenkeel_stats::Timestamp;
use evenkeel_strategy::LoadCell;

use super::Vitals;

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

impl Vitals {
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
                self.pause(now);
                Admission::Denied
            }
        }
    }

    /// Every permit is out: all others may as well look elsewhere for a while.
    fn pause(&self, now: Timestamp) {
        self.on_trial(|cell| cell.eject_until(now.saturating_add(TRIAL_PAUSE)));
    }

    /// A trial was given up: its permit is there for the next, and so is the backend.
    pub(super) fn give_back(&self, trial: Trial, now: Timestamp) {
        drop(trial);
        self.reconcile(now);
        self.on_trial(LoadCell::end_ejection);
    }

    /// Changes the load cell if the backend is on trial. Under the tracker's lock: if the trial ends this very
    /// moment, what that writes comes after, and a backend that has returned is not put out again.
    fn on_trial(&self, change: impl FnOnce(&LoadCell)) {
        self.tracker.with_report(|report| {
            if report.reason == ReadinessReason::OnTrial {
                change(self.cell());
            }
        });
    }
}

#[cfg(test)]
mod tests;
