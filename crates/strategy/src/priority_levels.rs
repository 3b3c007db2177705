//! Priority levels.

use std::sync::Arc;
use std::time::Duration;

use crate::groups::{GroupHealth, Groups};
use crate::{BuildContext, BuildError, ConfigError, PickContext, PickError, Picker, Strategy};

/// Settings of [`PriorityLevels`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct PriorityLevelsConfig {
    /// How much more than its load a level can carry: 1 to 10; 1.4 by default, Envoy's. A level keeps
    /// all of its traffic until less than 1/1.4 = 71 % of its weight is eligible.
    pub overprovisioning: f64,
}

impl Default for PriorityLevelsConfig {
    fn default() -> Self {
        Self {
            overprovisioning: 1.4,
        }
    }
}

/// Wraps a strategy: requests go to the members of the first priority; as these fail, the rest of the
/// traffic spills over to the next.
///
/// A level takes min(100 %, over-provisioning x the eligible part of its weight); what it can not take
/// goes to the next level. If all levels together can not take 100 %, each takes in proportion. A
/// level whose members all fall sick is left at once, without waiting for a rebuild, to the levels that
/// the rebuild will give its requests to.
///
/// Take it for a stand-by site, or backends that cost more. Priorities are
/// [`Member::priority`](crate::Member::priority): 0 is the first.
///
/// - Shares are computed at each build from readiness as it is then, so rebuild when it changes.
/// - With a routing hash a key keeps to its level.
/// - Cost: that of the inner strategy and about 5 ns.
/// - Source: priority levels in Envoy.
#[derive(Clone, Debug)]
pub struct PriorityLevels<S> {
    inner: S,
    config: PriorityLevelsConfig,
}

impl<S: Strategy> PriorityLevels<S> {
    /// Uses levels in turn, choosing by `inner` within each.
    ///
    /// # Errors
    /// Names the field that is out of range.
    pub fn new(inner: S, config: PriorityLevelsConfig) -> Result<Self, ConfigError> {
        ConfigError::check(
            (1.0..=10.0).contains(&config.overprovisioning),
            "PriorityLevelsConfig",
            "overprovisioning",
            config.overprovisioning,
            "1 to 10",
        )?;
        Ok(Self { inner, config })
    }

    fn shares(&self, levels: &[(u32, GroupHealth)]) -> Vec<f64> {
        let can_take: Vec<f64> = levels
            .iter()
            .map(|(_, level)| {
                (self.config.overprovisioning * level.eligible / level.weight.max(1.0)).min(1.0)
            })
            .collect();
        // All together, at most all there is.
        let total = can_take.iter().sum::<f64>().min(1.0);
        if total == 0.0 {
            return vec![1.0; levels.len()];
        }
        let mut left = 1.0;
        can_take
            .into_iter()
            .map(|can| {
                let takes = (can / total).min(left);
                left -= takes;
                takes
            })
            .collect()
    }
}

impl<S: Strategy> Strategy for PriorityLevels<S> {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        let previous = context.previous::<PriorityLevelsPicker>();
        let groups = Groups::build(
            &self.inner,
            context,
            previous.map(|previous| &previous.0),
            crate::Member::priority,
            |levels| self.shares(levels),
        )?;
        Ok(Arc::new(PriorityLevelsPicker(groups)))
    }

    fn rebuild_every(&self) -> Option<Duration> {
        self.inner.rebuild_every()
    }
}

#[derive(Debug)]
struct PriorityLevelsPicker(Groups<u32>);

impl Picker for PriorityLevelsPicker {
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        self.0.pick(context)
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use super::*;
    use crate::testing::{context, counts};
    use crate::{Member, Random, Readiness};

    /// Ten members at level 0 and ten at level 1, of which the first so many are sick.
    fn level_0_share(sick_at_0: usize, sick_at_1: usize) -> f64 {
        let members: Vec<Member> = (0..20_u32)
            .map(|index| Member::new(index.to_string()).with_priority(index / 10))
            .collect();
        let sick = members[..sick_at_0].iter().chain(&members[10..10 + sick_at_1]);
        for member in sick {
            member.load().set_readiness(Readiness::Unhealthy);
        }
        let strategy = PriorityLevels::new(Random, PriorityLevelsConfig::default()).unwrap();
        let counts = counts(&strategy, &members, 20_000);
        assert!(counts[..sick_at_0].iter().all(|&count| count == 0));
        counts[..10].iter().sum::<u64>() as f64 / 20_000.0
    }

    #[test]
    fn traffic_spills_over_as_a_level_fails() {
        // Envoy documents this very table.
        for (sick, share) in [(0, 1.0), (2, 1.0), (5, 0.7), (8, 0.28), (10, 0.0)] {
            let measured = level_0_share(sick, 0);
            assert!((measured - share).abs() < 0.02, "{sick} sick: {measured}");
        }
    }

    #[test]
    fn levels_that_can_not_take_all_take_in_proportion() {
        let measured = level_0_share(8, 6);
        // 28 % and 56 %, of 84 %.
        assert!((measured - 1.0 / 3.0).abs() < 0.02, "{measured}");
    }

    #[test]
    fn a_level_that_falls_sick_is_taken_over_as_after_the_next_build() {
        // Of level 1 only half is well: it can take 70 %, and level 2 has to take the rest.
        let members: Vec<Member> = (0..12_u32)
            .map(|index| Member::new(index.to_string()).with_priority(index / 4))
            .collect();
        for member in &members[4..6] {
            member.load().set_readiness(Readiness::Unhealthy);
        }
        let strategy = PriorityLevels::new(Random, PriorityLevelsConfig::default()).unwrap();
        let picker = strategy.build(&BuildContext::new(&members)).unwrap();
        for member in &members[..4] {
            member.load().set_readiness(Readiness::Ejected);
        }
        let mut counts = [0_u32; 3];
        for k in 0..20_000 {
            counts[picker.pick(&context(k)).unwrap() / 4] += 1;
        }
        assert_eq!(counts[0], 0);
        assert!((13_500..=14_500).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn nonsense_in_the_config_is_named() {
        let config = PriorityLevelsConfig {
            overprovisioning: f64::NAN,
        };
        let error = PriorityLevels::new(Random, config).unwrap_err();
        assert!(error.to_string().contains("overprovisioning"), "{error}");
    }
}
