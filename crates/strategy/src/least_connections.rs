//! Least connections, plain and weighted.

use std::sync::Arc;

use crate::least_loaded::LeastLoaded;
use crate::{
    BuildContext, BuildError, ConfigError, LoadMetric, MemberSet, PickContext, PickError, Picker, Strategy,
};

/// Settings of [`LeastConnections`] and [`WeightedLeastConnections`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct LeastConnectionsConfig {
    /// How many members a pick looks at: a run from a random one on or, where weights differ and count,
    /// as many draws by weight. At least 1; 32 by default: exact for fleets up to that size, and beyond
    /// it a cost that does not grow with the fleet. The best of 32 is in the best 3 % on average.
    /// `usize::MAX` looks at all of them always.
    pub sample: usize,
}

impl Default for LeastConnectionsConfig {
    fn default() -> Self {
        Self { sample: 32 }
    }
}

impl LeastConnectionsConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check(
            self.sample > 0,
            "LeastConnectionsConfig",
            "sample",
            self.sample,
            "at least 1",
        )
    }
}

/// The member with the fewest requests in flight, weights aside.
///
/// Take it for few backends and few clients, and for long requests (streams, uploads), which spread
/// evenly by this and by nothing else. Not with many clients: each sees only its own requests, and
/// a member that looks idle to all of them gets all of theirs at once;
/// [`PowerOfTwo`](crate::PowerOfTwo) is nearly as even and does not herd.
///
/// Ties are broken at random, so an idle fleet shares evenly. Counts are exact and survive rebuilds,
/// because they live in the load cells.
///
/// - Cost: O(`sample`), 5 to 10 ns for each member looked at while its cell is in the cache.
#[derive(Clone, Debug, Default)]
pub struct LeastConnections {
    config: LeastConnectionsConfig,
}

impl LeastConnections {
    /// The strategy with these settings.
    ///
    /// # Errors
    /// Names the field that is out of range.
    pub fn new(config: LeastConnectionsConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self { config })
    }
}

impl Strategy for LeastConnections {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        Ok(Arc::new(LeastConnectionsPicker(LeastLoaded::plain(
            MemberSet::new(context.members())?,
            LoadMetric::InFlight,
            self.config.sample,
        ))))
    }
}

/// The member with the fewest requests in flight for its weight.
///
/// As [`LeastConnections`], for backends that differ in size: 10 requests at weight 2 count as 5 at
/// weight 1. Ties are broken by weight, so an idle fleet shares as the weights say. With fewer requests
/// in flight than the weights sum to, light members get more than their share, for whoever is idle goes
/// first; in fleets larger than the sample less so, since the sample is drawn by weight.
#[derive(Clone, Debug, Default)]
pub struct WeightedLeastConnections {
    config: LeastConnectionsConfig,
}

impl WeightedLeastConnections {
    /// The strategy with these settings.
    ///
    /// # Errors
    /// Names the field that is out of range.
    pub fn new(config: LeastConnectionsConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self { config })
    }
}

impl Strategy for WeightedLeastConnections {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        Ok(Arc::new(LeastConnectionsPicker(LeastLoaded::weighted(
            MemberSet::new(context.members())?,
            LoadMetric::InFlight,
            self.config.sample,
        ))))
    }
}

#[derive(Debug)]
struct LeastConnectionsPicker(LeastLoaded);

impl Picker for LeastConnectionsPicker {
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        self.0.pick(context)
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use super::*;
    use crate::testing::{context, counts, members, spread};

    #[test]
    fn requests_that_stay_spread_to_within_one() {
        let members = members(&[1; 7]);
        let picker = LeastConnections::default()
            .build(&BuildContext::new(&members))
            .unwrap();
        for k in 0..100 {
            members[picker.pick(&context(k)).unwrap()].load().begin();
        }
        let counts: Vec<u64> = members.iter().map(|m| m.load().in_flight().into()).collect();
        assert!(spread(&counts) <= 1, "{counts:?}");
    }

    #[test]
    fn a_rebuild_loses_no_count() {
        let members = members(&[1; 2]);
        for _ in 0..5 {
            members[0].load().begin();
        }
        let counts = counts(&LeastConnections::default(), &members, 100);
        assert_eq!(counts, [0, 100]);
    }

    #[test]
    fn an_idle_fleet_shares_evenly_or_by_weight() {
        let members = members(&[3, 1]);
        let plain = counts(&LeastConnections::default(), &members, 20_000);
        assert!((9_700..=10_300).contains(&plain[0]), "{plain:?}");
        let weighted = counts(&WeightedLeastConnections::default(), &members, 20_000);
        assert!((14_700..=15_300).contains(&weighted[0]), "{weighted:?}");
    }

    #[test]
    fn requests_that_stay_spread_by_weight() {
        let members = members(&[4, 0, 1, 5]);
        let picker = WeightedLeastConnections::default()
            .build(&BuildContext::new(&members))
            .unwrap();
        for k in 0..1_000 {
            members[picker.pick(&context(k)).unwrap()].load().begin();
        }
        let counts: Vec<u32> = members.iter().map(|member| member.load().in_flight()).collect();
        for (count, expected) in counts.iter().zip([400, 0, 100, 500]) {
            assert!(count.abs_diff(expected) <= 3, "{counts:?}");
        }
    }

    #[test]
    fn beyond_the_sample_a_heavy_member_still_gets_its_share() {
        let mut weights = [1; 1_000];
        weights[321] = 999;
        let members = members(&weights);
        let strategy = WeightedLeastConnections::default();
        let idle = counts(&strategy, &members, 20_000);
        assert!((9_700..=10_300).contains(&idle[321]), "{}", idle[321]);
        // And while requests stay.
        let picker = strategy.build(&BuildContext::new(&members)).unwrap();
        for k in 0..20_000 {
            members[picker.pick(&context(k)).unwrap()].load().begin();
        }
        let heavy = members[321].load().in_flight();
        assert!((9_800..=10_200).contains(&heavy), "{heavy}");
        let most = members.iter().enumerate().filter(|&(index, _)| index != 321);
        let most = most.map(|(_, member)| member.load().in_flight()).max().unwrap();
        assert!(most <= 14, "{most} where 10 are its share");
    }

    #[test]
    fn beyond_the_sample_everyone_still_gets_a_share() {
        let members = members(&[1; 100]);
        let strategy = LeastConnections::new(LeastConnectionsConfig { sample: 4 }).unwrap();
        let counts = counts(&strategy, &members, 100_000);
        assert!(
            counts.iter().all(|count| (850..=1_150).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn nonsense_in_the_config_is_named() {
        let error = LeastConnections::new(LeastConnectionsConfig { sample: 0 }).unwrap_err();
        assert!(error.to_string().contains("sample"), "{error}");
    }
}
