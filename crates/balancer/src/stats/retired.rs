//! [`Retired`]: what backends leave behind that are gone.

use evenkeel_stats::{HistogramSnapshot, Precision};

use super::RequestStats;
use super::collect::{add, requests};
use crate::vitals::Vitals;

/// The sum of what all backends had counted that are gone. A backend that was removed is not gone before its last
/// request has ended; until then it is asked itself.
#[derive(Clone, Debug)]
pub(crate) struct Retired {
    pub(super) requests: RequestStats,
    pub(super) latency: HistogramSnapshot,
    pub(super) retries: u64,
    pub(super) hedges: u64,
}

impl Default for Retired {
    fn default() -> Self {
        Self {
            requests: RequestStats::default(),
            latency: HistogramSnapshot::new(Precision::Compact),
            retries: 0,
            hedges: 0,
        }
    }
}

impl Retired {
    /// Takes in what a backend had counted.
    pub(crate) fn take(&mut self, vitals: &Vitals) {
        let counts = vitals.tally().counts();
        let latency = vitals.tally().latency().snapshot();
        add(&mut self.requests, &requests(vitals, &counts, &latency));
        // The precisions are the same.
        let _ = self.latency.merge(&latency);
        self.retries += counts.retries;
        self.hedges += counts.hedges;
    }
}
