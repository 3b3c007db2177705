//! [`Compared`]: a backend's place in the outlier detection.

use evenkeel_health::{Detector, Observation, OutlierMember, Verdict};
use evenkeel_stats::Timestamp;
use evenkeel_strategy::LoadTotals;
use parking_lot::Mutex;

/// A member of the group, and what was handed in of its successes.
///
/// The load cell counts successes and their time already. So a success costs nothing more here: the
/// numbers are handed in before each sweep. Only with the rule of consecutive failures, which a
/// success ends, is each told by itself.
#[derive(Debug)]
pub(crate) struct Compared {
    member: OutlierMember,
    each: bool,
    handed_in: Mutex<LoadTotals>,
}

impl Compared {
    pub(crate) fn new(member: OutlierMember, consecutive_failures: u32) -> Self {
        Self {
            member,
            each: consecutive_failures != u32::MAX,
            handed_in: Mutex::new(LoadTotals::default()),
        }
    }

    /// Hands in the successes since the last time.
    pub(super) fn hand_in(&self, totals: &LoadTotals) {
        let mut last = self.handed_in.lock();
        let of_successes = |totals: &LoadTotals| totals.busy_nanos.wrapping_sub(totals.failed_nanos);
        let successes = totals.successes.wrapping_sub(last.successes);
        let nanos = of_successes(totals).wrapping_sub(of_successes(&last));
        *last = *totals;
        if !self.each && successes > 0 {
            self.member.observe_successes(successes, nanos);
        }
    }
}

impl Detector for Compared {
    #[inline]
    fn observe(&self, observation: &Observation) -> Verdict {
        if self.each || !observation.outcome.is_success() {
            self.member.observe(observation)
        } else {
            self.member.verdict(observation.now)
        }
    }

    fn verdict(&self, now: Timestamp) -> Verdict {
        self.member.verdict(now)
    }

    fn readmit(&self, now: Timestamp) {
        self.member.readmit(now);
    }
}
