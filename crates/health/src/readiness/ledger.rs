//! [`ReadinessStats`]: how often and how long a backend had each readiness.

use std::time::Duration;

use evenkeel_stats::{Readiness, Timestamp};

const STATES: usize = Readiness::ALL.len();

/// How often a backend came into each readiness, and how long it was there altogether.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadinessStats {
    entered: [u64; STATES],
    time: [Duration; STATES],
}

impl ReadinessStats {
    /// How often it came into `readiness` from another one; to begin with does not count.
    #[must_use]
    pub fn entered(&self, readiness: Readiness) -> u64 {
        self.entered[index(readiness)]
    }

    /// How long it was in `readiness`, the time under way included.
    #[must_use]
    pub fn time_in(&self, readiness: Readiness) -> Duration {
        self.time[index(readiness)]
    }

    /// Changes of readiness of any kind.
    #[must_use]
    pub fn transitions(&self) -> u64 {
        self.entered.iter().sum()
    }

    /// It left `from`, where it was since `since`, for `to`.
    pub(super) fn change(&mut self, from: Readiness, to: Readiness, since: Timestamp, now: Timestamp) {
        self.spend(from, since, now);
        self.entered[index(to)] += 1;
    }

    /// Adds the time from `since` to `now`.
    pub(super) fn spend(&mut self, readiness: Readiness, since: Timestamp, now: Timestamp) {
        let time = &mut self.time[index(readiness)];
        *time = time.saturating_add(now.since(since));
    }
}

/// The codes are the places in [`Readiness::ALL`].
const fn index(readiness: Readiness) -> usize {
    readiness.code() as usize
}
