//! Reading a strategy from a configuration file.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::LoadBalancingStrategy;
use crate::{
    BoundedLoadConfig, DynamicWeightsConfig, LeastConnectionsConfig, LeastResponseTimeConfig, MaglevConfig,
    PowerOfTwoConfig, PrequalConfig, RingHashConfig, WeightedRoundRobinConfig,
};

/// The table form. It differs from the enum itself in that a parameter of a strategy that has none is
/// an error too.
#[derive(serde::Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
enum Table {
    RoundRobin(NoParameters),
    WeightedRoundRobin(WeightedRoundRobinConfig),
    Random(NoParameters),
    WeightedRandom(NoParameters),
    LeastConnections(LeastConnectionsConfig),
    WeightedLeastConnections(LeastConnectionsConfig),
    PowerOfTwo(PowerOfTwoConfig),
    PeakEwma(NoParameters),
    LeastResponseTime(LeastResponseTimeConfig),
    RingHash(RingHashConfig),
    Maglev(MaglevConfig),
    Rendezvous(NoParameters),
    BoundedLoad(BoundedLoadConfig),
    DynamicWeights(DynamicWeightsConfig),
    Prequal(PrequalConfig),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

impl From<Table> for LoadBalancingStrategy {
    fn from(table: Table) -> Self {
        match table {
            Table::RoundRobin(NoParameters {}) => Self::RoundRobin,
            Table::WeightedRoundRobin(config) => Self::WeightedRoundRobin(config),
            Table::Random(NoParameters {}) => Self::Random,
            Table::WeightedRandom(NoParameters {}) => Self::WeightedRandom,
            Table::LeastConnections(config) => Self::LeastConnections(config),
            Table::WeightedLeastConnections(config) => Self::WeightedLeastConnections(config),
            Table::PowerOfTwo(config) => Self::PowerOfTwo(config),
            Table::PeakEwma(NoParameters {}) => Self::PeakEwma,
            Table::LeastResponseTime(config) => Self::LeastResponseTime(config),
            Table::RingHash(config) => Self::RingHash(config),
            Table::Maglev(config) => Self::Maglev(config),
            Table::Rendezvous(NoParameters {}) => Self::Rendezvous,
            Table::BoundedLoad(config) => Self::BoundedLoad(config),
            Table::DynamicWeights(config) => Self::DynamicWeights(config),
            Table::Prequal(config) => Self::Prequal(config),
        }
    }
}

impl<'de> Deserialize<'de> for LoadBalancingStrategy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameOrTable)
    }
}

struct NameOrTable;

impl<'de> Visitor<'de> for NameOrTable {
    type Value = LoadBalancingStrategy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a strategy, or a table with `name` and its parameters")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        name.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Table::deserialize(MapAccessDeserializer::new(map)).map(Into::into)
    }
}
