//! Weighted round robin, smooth.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::alias::AliasTable;
use crate::interleave::{apportion, interleave};
use crate::weighted_random::weights_table;
use crate::{BuildContext, BuildError, ConfigError, MemberSet, PickContext, PickError, Picker, Strategy};

/// Settings of [`WeightedRoundRobin`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct WeightedRoundRobinConfig {
    /// The longest cycle, in turns of 4 bytes: 64 to 4 194 304, 65 536 by default, which is 256 KiB.
    ///
    /// As long as the weights, divided by what is common to them, sum to no more, shares are exact.
    /// Beyond, they are rounded to whole turns of such a cycle. With many members the cycle is at
    /// least 16 turns a member, whatever stands here.
    pub max_cycle: u32,
}

impl Default for WeightedRoundRobinConfig {
    fn default() -> Self {
        Self { max_cycle: 65_536 }
    }
}

/// Each member in turn, as often as its weight says, its turns spread evenly over the cycle.
///
/// Over a cycle shares are exact; in every prefix of a cycle each member has come less than its share
/// plus one, so there are no bursts: weights 5, 1, 1 give `a a b a a c a`, not `a a a a a b c`. A
/// member that is not ready is passed over together with its turn, so its share goes to all others by
/// their weights.
///
/// Take it when backends differ in size and requests cost about the same. Not when requests differ
/// much, or backends slow down: it does not look at load; see [`PowerOfTwo`](crate::PowerOfTwo).
///
/// - Cost: O(1), one atomic addition and one read of a table. nginx's smooth weighted round robin,
///   which gives orders like these, is O(n) under a lock.
/// - Build: O(c log n) for a cycle of c turns.
/// - Start: anywhere in the cycle, by [`BuildContext::seed`]; a scheduler that starts at its first
///   deadlines favours the heavy members after each rebuild (Envoy issue 31378).
/// - Source: the precomputed cycle is the idea of VNSWRR in Tengine; its order that of Pfair
///   scheduling.
#[derive(Clone, Debug, Default)]
pub struct WeightedRoundRobin {
    config: WeightedRoundRobinConfig,
}

impl WeightedRoundRobin {
    /// The strategy with these settings.
    ///
    /// # Errors
    /// Names the field that is out of range.
    pub fn new(config: WeightedRoundRobinConfig) -> Result<Self, ConfigError> {
        ConfigError::check(
            (64..=4_194_304).contains(&config.max_cycle),
            "WeightedRoundRobinConfig",
            "max_cycle",
            config.max_cycle,
            "64 to 4194304",
        )?;
        Ok(Self { config })
    }
}

impl Strategy for WeightedRoundRobin {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        let members = MemberSet::new(context.members())?.by_weight();
        let weights: Vec<u32> = (0..members.len()).map(|index| members.weight(index)).collect();
        let limit = u64::from(self.config.max_cycle).max(16 * members.len() as u64);
        let cycle = interleave(&apportion(&weights, limit));
        let start = context.seed() % (cycle.len() as u64).max(1);
        Ok(Arc::new(WeightedRoundRobinPicker {
            turn: CachePadded::new(AtomicU64::new(start)),
            cycle,
            redraw: weights_table(&members),
            members,
        }))
    }
}

#[derive(Debug)]
struct WeightedRoundRobinPicker {
    /// Padded: every pick writes it, and what lies beside it is only read.
    turn: CachePadded<AtomicU64>,
    cycle: Box<[u32]>,
    redraw: AliasTable,
    members: MemberSet,
}

impl Picker for WeightedRoundRobinPicker {
    #[inline]
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        let length = (self.cycle.len() as u64).max(1);
        self.members.first_eligible(context, |attempt| {
            // The last attempts are random draws: a heavy member that is sick may hold all of the
            // next turns.
            if attempt >= 4 {
                return self.redraw.draw(context.derived(u64::from(attempt)));
            }
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            self.cycle
                .get((turn % length) as usize)
                .map_or(0, |&index| index as usize)
        })
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use evenkeel_stats::Timestamp;

    use super::*;
    use crate::Readiness;
    use crate::testing::{counts, members};

    #[test]
    fn a_heavy_member_does_not_come_in_bursts() {
        let members = members(&[5, 1, 1]);
        let picker = WeightedRoundRobin::default()
            .build(&BuildContext::new(&members))
            .unwrap();
        let context = PickContext::new(Timestamp::ZERO, 0);
        let picked: Vec<usize> = (0..14).map(|_| picker.pick(&context).unwrap()).collect();
        assert!(!picked.windows(4).any(|run| run == [0, 0, 0, 0]), "{picked:?}");
        assert_eq!(picked[..7], picked[7..]);
    }

    #[test]
    fn shares_over_a_cycle_are_exact() {
        let members = members(&[30, 20, 0, 50]);
        let counts = counts(&WeightedRoundRobin::default(), &members, 10_000);
        assert_eq!(counts, [3_000, 2_000, 0, 5_000]);
    }

    #[test]
    fn extreme_weights_stand_together() {
        let members = members(&[0, 1, u32::MAX]);
        let counts = counts(&WeightedRoundRobin::default(), &members, 65_536);
        assert_eq!(counts, [0, 1, 65_535]);
    }

    #[test]
    fn the_share_of_the_sick_is_spread_by_weight() {
        let members = members(&[90, 6, 3]);
        members[0].load().set_readiness(Readiness::Unhealthy);
        let counts = counts(&WeightedRoundRobin::default(), &members, 9_000);
        assert_eq!(counts[0], 0);
        assert!((5_700..=6_300).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn rebuilds_do_not_all_start_with_the_heaviest() {
        let members = members(&[8, 1, 1]);
        let context = PickContext::new(Timestamp::ZERO, 0);
        let firsts: Vec<usize> = (0..10)
            .map(|seed| {
                let context_of_build = BuildContext::new(&members).with_seed(seed);
                let picker = WeightedRoundRobin::default().build(&context_of_build).unwrap();
                picker.pick(&context).unwrap()
            })
            .collect();
        assert_eq!(
            firsts.iter().filter(|&&first| first == 0).count(),
            8,
            "{firsts:?}"
        );
    }

    #[test]
    fn nonsense_in_the_config_is_named() {
        let error = WeightedRoundRobin::new(WeightedRoundRobinConfig { max_cycle: 0 }).unwrap_err();
        assert!(error.to_string().contains("max_cycle"), "{error}");
    }
}
