//! The power of two choices.

use std::sync::Arc;

use crate::alias::AliasTable;
use crate::mix::below;
use crate::weighted_random::weights_table;
use crate::{BuildContext, BuildError, LoadMetric, MemberSet, PickContext, PickError, Picker, Strategy};

/// Settings of [`PowerOfTwo`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct PowerOfTwoConfig {
    /// What the two are compared by. Requests in flight by default, because they are right even when
    /// nobody reports outcomes.
    pub load: LoadMetric,
}

/// Two members at random, the less loaded one wins.
///
/// The best choice when little is known: nearly as good as the least loaded of all, at the cost of
/// two looks, and without the herd that runs to the least loaded when many clients see the same one.
/// At 90 % load the mean response is 2.6 service times where random gives 10.
///
/// - With equal weights the two are distinct. With unequal ones each is drawn by weight, with
///   repetition, and loads are compared per weight: what comes out is the weights' shares, where
///   drawing evenly and comparing gives something else (tower issue 696: 66 % in place of 99 %).
/// - Ties are broken at random. An idle fleet is all ties.
/// - By [`LoadMetric::InFlight`] it needs no outcomes. By [`LoadMetric::PeakEwma`] it also avoids
///   members that are slow, and those that fail, within one answer; take that when outcomes are
///   recorded.
/// - Cost: O(1), no memory written.
///
/// Not for routing by key: the same key goes anywhere.
///
/// Source: Mitzenmacher, "The power of two choices in randomized load balancing", 1996; the peak
/// EWMA is Finagle's.
#[derive(Clone, Debug, Default)]
pub struct PowerOfTwo {
    config: PowerOfTwoConfig,
}

impl PowerOfTwo {
    /// The strategy with these settings, all of which are sound.
    #[must_use]
    pub fn new(config: PowerOfTwoConfig) -> Self {
        Self { config }
    }

    /// By requests in flight.
    #[must_use]
    pub fn in_flight() -> Self {
        Self::new(PowerOfTwoConfig {
            load: LoadMetric::InFlight,
        })
    }

    /// By peak EWMA of the latency.
    #[must_use]
    pub fn peak_ewma() -> Self {
        Self::new(PowerOfTwoConfig {
            load: LoadMetric::PeakEwma,
        })
    }
}

impl Strategy for PowerOfTwo {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        let members = MemberSet::new(context.members())?.by_weight();
        let by_weight = (!members.has_equal_weights()).then(|| weights_table(&members));
        Ok(Arc::new(PowerOfTwoPicker {
            load: self.config.load,
            by_weight,
            members,
        }))
    }
}

#[derive(Debug)]
struct PowerOfTwoPicker {
    load: LoadMetric,
    /// None if all weights are equal.
    by_weight: Option<AliasTable>,
    members: MemberSet,
}

impl PowerOfTwoPicker {
    /// Two candidates from one word.
    #[inline]
    fn pair(&self, context: &PickContext<'_>) -> (usize, usize) {
        match &self.by_weight {
            None => {
                let count = self.members.active_len();
                let (first, rest) = below(context.random(), count);
                // What is left of the word is uniform as well. The second candidate is one of the
                // others: those from the first on are one further.
                let (mut second, _) = below(rest, count.saturating_sub(1));
                if second >= first && count > 1 {
                    second += 1;
                }
                (self.members.active(first), self.members.active(second))
            }
            Some(table) => (table.draw(context.random()), table.draw(context.derived(0))),
        }
    }

    /// The better of two that are ready; `None` if one is not.
    #[inline]
    fn better(&self, first: usize, second: usize, context: &PickContext<'_>) -> Option<usize> {
        let (a, of_a) = self.members.ready(first, context)?;
        let (b, of_b) = self.members.ready(second, context)?;
        let now = context.now();
        let a = self.load.cost(a, of_a, now);
        let b = self.load.cost(b, of_b, now);
        // The lowest bit decides ties; which two were drawn hangs on the highest ones.
        Some(if a < b || (a == b && context.random() & 1 == 0) {
            first
        } else {
            second
        })
    }

    /// When one of the first two is not ready.
    #[cold]
    fn pick_slowly(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        let draw = |round: u32| {
            let word = context.derived(u64::from(round) + 1);
            match &self.by_weight {
                None => self.members.draw(word),
                Some(table) => table.draw(word),
            }
        };
        let first = self.members.first_eligible(context, draw)?;
        let second = (16..24)
            .map(draw)
            // Drawn twice, a bad one would win against itself.
            .find(|&second| second != first && self.members.is_ready(second, context));
        Ok(match second {
            // The second is ready: if not both are, the first is not.
            Some(second) => self.better(first, second, context).unwrap_or(second),
            None => first,
        })
    }
}

impl Picker for PowerOfTwoPicker {
    #[inline]
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        let (first, second) = self.pair(context);
        match self.better(first, second, context) {
            Some(better) => Ok(better),
            None => self.pick_slowly(context),
        }
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use std::time::Duration;

    use evenkeel_stats::{Outcome, Timestamp};

    use super::*;
    use crate::Readiness;
    use crate::testing::{counts, members};

    #[test]
    fn who_is_tried_does_not_make_a_bad_one_win_against_itself() {
        let members = members(&[1; 3]);
        let (good, bad) = (members[1].load(), members[2].load());
        good.record(Outcome::Success, Duration::from_millis(1), Timestamp::ZERO);
        bad.record(Outcome::Failure, Duration::ZERO, Timestamp::ZERO);
        let picker = PowerOfTwo::peak_ewma()
            .build(&BuildContext::new(&members))
            .unwrap();
        let tried: [&crate::LoadCell; 1] = [members[0].load()];
        let picked_bad = (0..10_000_u64).filter(|&round| {
            let context = PickContext::new(Timestamp::ZERO, crate::mix::mix(round));
            picker.pick(&context.with_tried(&tried)) == Ok(2)
        });
        // Eight draws find the other one in 24 of 25 cases.
        let picked_bad = picked_bad.count();
        assert!(picked_bad < 400, "{picked_bad}");
    }

    #[test]
    fn idle_members_share_evenly_because_ties_are_random() {
        let counts = counts(&PowerOfTwo::in_flight(), &members(&[1; 5]), 50_000);
        for count in &counts {
            assert!((9_600..=10_400).contains(count), "{counts:?}");
        }
    }

    #[test]
    fn unequal_weights_come_out_as_they_are() {
        let counts = counts(&PowerOfTwo::in_flight(), &members(&[99, 1]), 50_000);
        assert!((400..=600).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn the_most_loaded_of_all_is_never_picked() {
        let members = members(&[1; 4]);
        members[2].load().begin();
        let counts = counts(&PowerOfTwo::in_flight(), &members, 4_000);
        assert_eq!(counts[2], 0);
    }

    #[test]
    fn a_backend_that_fails_fast_does_not_attract_traffic() {
        let members = members(&[1; 3]);
        let good = Duration::from_millis(20);
        for member in &members[1..] {
            member.load().record(Outcome::Success, good, Timestamp::ZERO);
        }
        members[0]
            .load()
            .record(Outcome::Failure, Duration::from_micros(10), Timestamp::ZERO);
        let counts = counts(&PowerOfTwo::peak_ewma(), &members, 3_000);
        assert_eq!(counts[0], 0);
    }

    #[test]
    fn with_one_sick_member_there_are_still_two_choices() {
        let members = members(&[1; 4]);
        members[0].load().set_readiness(Readiness::Unhealthy);
        members[3].load().begin();
        let counts = counts(&PowerOfTwo::in_flight(), &members, 20_000);
        // The loaded one wins only where eight draws find no other than itself.
        assert_eq!(counts[0], 0);
        assert!(counts[3] < 1_500, "{counts:?}");
    }

    #[test]
    fn one_member_is_enough() {
        assert_eq!(counts(&PowerOfTwo::in_flight(), &members(&[7]), 10), [10]);
    }
}
