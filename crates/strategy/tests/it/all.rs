//! Every strategy there is, plain and wrapped.

use std::sync::Arc;

use evenkeel_strategy::{
    BoundedLoad, BoundedLoadConfig, LoadBalancingStrategy, Maglev, Member, PanicThreshold,
    PanicThresholdConfig, PowerOfTwo, PriorityLevels, PriorityLevelsConfig, Rendezvous, RoundRobin,
    SlowStart, SlowStartConfig, Strategy, Subset, SubsetConfig, WeightedLeastConnections, WeightedRoundRobin,
    ZonePreference, ZonePreferenceConfig,
};

/// The strategies of the configuration file, by name.
pub(crate) fn built_in() -> Vec<(&'static str, Arc<dyn Strategy>)> {
    LoadBalancingStrategy::NAMES
        .iter()
        .map(|name| {
            (
                *name,
                name.parse::<LoadBalancingStrategy>().unwrap().build().unwrap(),
            )
        })
        .collect()
}

/// The same, and the wrappers around some of them, one in another too.
pub(crate) fn wrapped() -> Vec<(&'static str, Arc<dyn Strategy>)> {
    let slow = || SlowStartConfig::default();
    let zone = || ZonePreferenceConfig::new("a");
    let priorities = || PriorityLevelsConfig::default();
    let subset = || SubsetConfig {
        size: 3,
        ..SubsetConfig::new("client")
    };
    // At the default threshold it would ignore health, which is its purpose and not the others'.
    let no_panic = || PanicThresholdConfig { threshold: 0.0 };
    let bounded = || BoundedLoadConfig::default();
    let mut all = built_in();
    all.extend([
        (
            "slow start",
            Arc::new(SlowStart::new(RoundRobin, slow()).unwrap()) as Arc<dyn Strategy>,
        ),
        (
            "zones",
            Arc::new(ZonePreference::new(PowerOfTwo::in_flight(), zone()).unwrap()),
        ),
        (
            "priorities",
            Arc::new(PriorityLevels::new(WeightedRoundRobin::default(), priorities()).unwrap()),
        ),
        (
            "subset",
            Arc::new(Subset::new(WeightedLeastConnections::default(), subset()).unwrap()),
        ),
        (
            "panic",
            Arc::new(PanicThreshold::new(Maglev::default(), no_panic()).unwrap()),
        ),
        (
            "bounded maglev",
            Arc::new(BoundedLoad::new(Maglev::default(), bounded()).unwrap()),
        ),
        (
            "bounded rendezvous",
            Arc::new(BoundedLoad::new(Rendezvous, bounded()).unwrap()),
        ),
        ("all at once", {
            let inner = SlowStart::new(PowerOfTwo::peak_ewma(), slow()).unwrap();
            let inner = Subset::new(ZonePreference::new(inner, zone()).unwrap(), subset()).unwrap();
            let inner = PriorityLevels::new(inner, priorities()).unwrap();
            Arc::new(PanicThreshold::new(inner, no_panic()).unwrap())
        }),
    ]);
    all
}

/// Members "0", "1", ... with these weights.
pub(crate) fn members(weights: &[u32]) -> Vec<Member> {
    (0_u32..)
        .zip(weights)
        .map(|(index, &weight)| Member::new(index.to_string()).with_weight(weight))
        .collect()
}

/// A random word a call: `SplitMix64`.
pub(crate) struct Words(pub(crate) u64);

impl Words {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Uniform in (0, 1].
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}
