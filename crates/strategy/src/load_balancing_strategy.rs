//! The built-in strategies as data, for configuration files.

use std::str::FromStr;
use std::sync::Arc;

use crate::{
    BoundedLoad, BoundedLoadConfig, ConfigError, DynamicWeights, DynamicWeightsConfig, LeastConnections,
    LeastConnectionsConfig, LeastResponseTime, LeastResponseTimeConfig, Maglev, MaglevConfig, PowerOfTwo,
    PowerOfTwoConfig, Prequal, PrequalConfig, Random, Rendezvous, RingHash, RingHashConfig, RoundRobin,
    Strategy, WeightedLeastConnections, WeightedRandom, WeightedRoundRobin, WeightedRoundRobinConfig,
};

/// A built-in strategy with its parameters, as a configuration file names it.
///
/// With feature `serde` it is read from a name, or from a table with the name and parameters; those
/// left out have their defaults:
///
/// ```toml
/// strategy = "power_of_two"
/// strategy = { name = "power_of_two", load = "peak_ewma" }
/// ```
///
/// A name that is not known is an error that lists those that are. The wrappers (zones, priorities,
/// slow start and so on) are not here: they are put around what [`build`](Self::build) gives.
///
/// ```
/// use evenkeel_strategy::{BuildContext, LoadBalancingStrategy, Member, Strategy};
///
/// let strategy: LoadBalancingStrategy = "weighted_round_robin".parse()?;
/// let members = [Member::new("a").with_weight(2), Member::new("b")];
/// let picker = strategy.build()?.build(&BuildContext::new(&members))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "name", rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum LoadBalancingStrategy {
    /// Each in turn: [`RoundRobin`](crate::RoundRobin).
    RoundRobin,
    /// Each in turn by weight, smoothly: [`WeightedRoundRobin`](crate::WeightedRoundRobin).
    WeightedRoundRobin(WeightedRoundRobinConfig),
    /// Any: [`Random`](crate::Random).
    Random,
    /// Any by weight: [`WeightedRandom`](crate::WeightedRandom).
    WeightedRandom,
    /// The fewest in flight: [`LeastConnections`](crate::LeastConnections).
    LeastConnections(LeastConnectionsConfig),
    /// The fewest in flight by weight: [`WeightedLeastConnections`](crate::WeightedLeastConnections).
    WeightedLeastConnections(LeastConnectionsConfig),
    /// The better of two: [`PowerOfTwo`](crate::PowerOfTwo).
    PowerOfTwo(PowerOfTwoConfig),
    /// The better of two by latency: [`PowerOfTwo::peak_ewma`](crate::PowerOfTwo::peak_ewma).
    PeakEwma,
    /// The soonest to answer: [`LeastResponseTime`](crate::LeastResponseTime).
    LeastResponseTime(LeastResponseTimeConfig),
    /// By key, on a ring: [`RingHash`](crate::RingHash).
    RingHash(RingHashConfig),
    /// By key, from a table: [`Maglev`](crate::Maglev).
    Maglev(MaglevConfig),
    /// By key, the highest hash: [`Rendezvous`](crate::Rendezvous).
    Rendezvous,
    /// By key on a ring, unless busy: [`BoundedLoad`](crate::BoundedLoad) over a default [`RingHash`](crate::RingHash).
    BoundedLoad(BoundedLoadConfig),
    /// Each in turn by measured weight: [`DynamicWeights`](crate::DynamicWeights) over a default
    /// [`WeightedRoundRobin`](crate::WeightedRoundRobin).
    DynamicWeights(DynamicWeightsConfig),
    /// By probes: [`Prequal`](crate::Prequal). What [`build`](Self::build) gives has a pool that nobody can
    /// feed; match on this variant and use [`Prequal::new`](crate::Prequal::new) to feed it.
    Prequal(PrequalConfig),
}

/// Two choices by requests in flight: right for all sorts of backends, and needs nothing to be set.
impl Default for LoadBalancingStrategy {
    fn default() -> Self {
        Self::PowerOfTwo(PowerOfTwoConfig::default())
    }
}

impl LoadBalancingStrategy {
    /// Every name there is.
    pub const NAMES: &'static [&'static str] = &[
        "round_robin",
        "weighted_round_robin",
        "random",
        "weighted_random",
        "least_connections",
        "weighted_least_connections",
        "power_of_two",
        "peak_ewma",
        "least_response_time",
        "ring_hash",
        "maglev",
        "rendezvous",
        "bounded_load",
        "dynamic_weights",
        "prequal",
    ];

    /// The name in configuration files.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::WeightedRoundRobin(_) => "weighted_round_robin",
            Self::Random => "random",
            Self::WeightedRandom => "weighted_random",
            Self::LeastConnections(_) => "least_connections",
            Self::WeightedLeastConnections(_) => "weighted_least_connections",
            Self::PowerOfTwo(_) => "power_of_two",
            Self::PeakEwma => "peak_ewma",
            Self::LeastResponseTime(_) => "least_response_time",
            Self::RingHash(_) => "ring_hash",
            Self::Maglev(_) => "maglev",
            Self::Rendezvous => "rendezvous",
            Self::BoundedLoad(_) => "bounded_load",
            Self::DynamicWeights(_) => "dynamic_weights",
            Self::Prequal(_) => "prequal",
        }
    }

    /// The strategy itself.
    ///
    /// # Errors
    /// Names the parameter that is out of range.
    pub fn build(&self) -> Result<Arc<dyn Strategy>, ConfigError> {
        Ok(match self.clone() {
            Self::RoundRobin => Arc::new(RoundRobin),
            Self::WeightedRoundRobin(config) => Arc::new(WeightedRoundRobin::new(config)?),
            Self::Random => Arc::new(Random),
            Self::WeightedRandom => Arc::new(WeightedRandom),
            Self::LeastConnections(config) => Arc::new(LeastConnections::new(config)?),
            Self::WeightedLeastConnections(config) => Arc::new(WeightedLeastConnections::new(config)?),
            Self::PowerOfTwo(config) => Arc::new(PowerOfTwo::new(config)),
            Self::PeakEwma => Arc::new(PowerOfTwo::peak_ewma()),
            Self::LeastResponseTime(config) => Arc::new(LeastResponseTime::new(config)?),
            Self::RingHash(config) => Arc::new(RingHash::new(config)?),
            Self::Maglev(config) => Arc::new(Maglev::new(config)?),
            Self::Rendezvous => Arc::new(Rendezvous),
            Self::BoundedLoad(config) => Arc::new(BoundedLoad::new(RingHash::default(), config)?),
            Self::DynamicWeights(config) => {
                Arc::new(DynamicWeights::new(WeightedRoundRobin::default(), config)?)
            }
            Self::Prequal(config) => Arc::new(Prequal::new(config)?),
        })
    }
}

impl FromStr for LoadBalancingStrategy {
    type Err = ConfigError;

    /// The strategy of this name with default parameters.
    fn from_str(name: &str) -> Result<Self, ConfigError> {
        Ok(match name {
            "round_robin" => Self::RoundRobin,
            "weighted_round_robin" => Self::WeightedRoundRobin(WeightedRoundRobinConfig::default()),
            "random" => Self::Random,
            "weighted_random" => Self::WeightedRandom,
            "least_connections" => Self::LeastConnections(LeastConnectionsConfig::default()),
            "weighted_least_connections" => Self::WeightedLeastConnections(LeastConnectionsConfig::default()),
            "power_of_two" => Self::PowerOfTwo(PowerOfTwoConfig::default()),
            "peak_ewma" => Self::PeakEwma,
            "least_response_time" => Self::LeastResponseTime(LeastResponseTimeConfig::default()),
            "ring_hash" => Self::RingHash(RingHashConfig::default()),
            "maglev" => Self::Maglev(MaglevConfig::default()),
            "rendezvous" => Self::Rendezvous,
            "bounded_load" => Self::BoundedLoad(BoundedLoadConfig::default()),
            "dynamic_weights" => Self::DynamicWeights(DynamicWeightsConfig::default()),
            "prequal" => Self::Prequal(PrequalConfig::default()),
            _ => {
                return Err(ConfigError::UnknownStrategy {
                    name: name.to_owned(),
                    known: Self::NAMES,
                });
            }
        })
    }
}

#[cfg(feature = "serde")]
mod file;

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests;
