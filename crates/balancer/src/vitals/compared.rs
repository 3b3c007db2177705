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

    /// Whether it wants to hear of each success.
    pub(super) const fn wants_each(&self) -> bool {
        self.each
    }

    /// Hands in the successes since the last time.
    pub(super) fn hand_in(&self, totals: &LoadTotals) {
        let mut last = self.handed_in.lock();
        let more = totals.since(&last);
        *last = *totals;
        if !self.each && more.successes > 0 {
            let nanos = more.busy_nanos.wrapping_sub(more.failed_nanos);
            self.member.observe_successes(more.successes, nanos);
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
