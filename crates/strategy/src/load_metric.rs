//! What two members are compared by.

use evenkeel_stats::Timestamp;

use crate::LoadCell;

/// What a strategy compares members by. Less is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum LoadMetric {
    /// Requests in flight, divided by the weight. Needs no outcome and no clock.
    #[default]
    InFlight,
    /// The time a request would take if those in flight went first: the peak EWMA of the latency,
    /// times one more than the requests in flight, these divided by the weight.
    ///
    /// A member of which no outcome is known costs nothing while it is idle, so it is tried at once,
    /// and more than any other while its first request is out, so it is not flooded. (This is
    /// Finagle's rule.)
    PeakEwma,
}

/// The cost of a member whose first answer is awaited: 300 years in nanoseconds.
const UNKNOWN: f64 = 1e19;

impl LoadMetric {
    /// The load of a member at `now`, in requests or in nanoseconds. `scale` is the mean weight
    /// divided by the member's own, as [`MemberSet::scale`](crate::MemberSet::scale) gives it.
    #[must_use]
    #[inline]
    pub fn cost(self, cell: &LoadCell, scale: f64, now: Timestamp) -> f64 {
        let queue = f64::from(cell.in_flight()) * scale;
        match self {
            Self::InFlight => queue,
            Self::PeakEwma => match cell.latency_nanos(now) {
                Some(latency) => latency * (queue + 1.0),
                None if queue == 0.0 => 0.0,
                None => UNKNOWN * queue,
            },
        }
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use std::time::Duration;

    use evenkeel_stats::Outcome;

    use super::*;

    #[test]
    fn a_newcomer_is_tried_once_and_not_flooded() {
        let (new, known) = (LoadCell::new(), LoadCell::new());
        known.record(Outcome::Success, Duration::from_millis(1), Timestamp::ZERO);
        let cost = |cell| LoadMetric::PeakEwma.cost(cell, 1.0, Timestamp::ZERO);
        assert!(cost(&new) < cost(&known));
        new.begin();
        assert!(cost(&new) > cost(&known));
    }

    #[test]
    fn a_member_of_twice_the_weight_bears_twice_the_load() {
        let (light, heavy) = (LoadCell::new(), LoadCell::new());
        for cell in [&light, &heavy, &heavy] {
            cell.begin();
        }
        let cost = |cell, weight: f64| LoadMetric::InFlight.cost(cell, 1.5 / weight, Timestamp::ZERO);
        assert_eq!(cost(&light, 1.0), cost(&heavy, 2.0));
    }
}
