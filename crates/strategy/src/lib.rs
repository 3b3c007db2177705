//! Strategies.

mod alias;
mod error;
mod interleave;
mod least_connections;
mod least_loaded;
mod least_response_time;
mod load;
mod load_metric;
mod member;
mod member_set;
mod mix;
mod picker;
mod power_of_two;
mod random;
mod readiness;
mod round_robin;
mod strategy;
mod sync;
#[cfg(test)]
mod testing;
mod weighted_random;
mod weighted_round_robin;

pub use error::{BuildError, ConfigError, PickError};
pub use least_connections::{LeastConnections, LeastConnectionsConfig, WeightedLeastConnections};
pub use least_response_time::{LeastResponseTime, LeastResponseTimeConfig};
pub use load::{LoadCell, LoadConfig, LoadTotals};
pub use load_metric::LoadMetric;
pub use member::{BackendId, Member};
pub use member_set::MemberSet;
pub use picker::{PickContext, Picker};
pub use power_of_two::{PowerOfTwo, PowerOfTwoConfig};
pub use random::Random;
pub use readiness::Readiness;
pub use round_robin::RoundRobin;
pub use strategy::{BuildContext, Strategy};
pub use weighted_random::WeightedRandom;
pub use weighted_round_robin::{WeightedRoundRobin, WeightedRoundRobinConfig};
