//! Ways of choosing among backends: load balancing strategies as lock-free pickers.
//!
//! A [`Strategy`] builds a [`Picker`] from the [`Member`]s, off the hot path, when these change. The
//! picker is an immutable snapshot that chooses, once for each request: without a lock, without an
//! allocation, in a time that does not grow with the number of members. What changes with every
//! request lives in each member's [`LoadCell`], which outlives all pickers.
//!
//! ```
//! use std::time::Duration;
//! use evenkeel_stats::{Clock, ManualClock, Outcome};
//! use evenkeel_strategy::{BuildContext, Member, PickContext, PowerOfTwo, Strategy};
//!
//! let clock = ManualClock::new();
//! let members = [Member::new("10.0.0.1:4317"), Member::new("10.0.0.2:4317")];
//! let picker = PowerOfTwo::peak_ewma().build(&BuildContext::new(&members))?;
//!
//! // For each request: pick, count it, and tell how it ended.
//! let random = 0x5eed; // from the random source of your choice
//! let index = picker.pick(&PickContext::new(clock.now(), random))?;
//! let cell = members[index].load();
//! cell.begin();
//! clock.advance(Duration::from_millis(3)); // ... the request ...
//! cell.finish(Outcome::Success, Duration::from_millis(3), clock.now());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which one
//! - Nothing special: [`PowerOfTwo`]. With outcomes recorded: [`PowerOfTwo::peak_ewma`].
//! - Shares must be exact: [`RoundRobin`], [`WeightedRoundRobin`]; threads must share nothing:
//!   [`Random`], [`WeightedRandom`].
//! - Long requests, few backends: [`LeastConnections`], [`WeightedLeastConnections`]; one backend
//!   nearer than the others: [`LeastResponseTime`].
//! - A key belongs to a backend: [`RingHash`], [`Maglev`], [`Rendezvous`]; and some keys are hot:
//!   [`BoundedLoad`] around these.
//! - Weights should follow what is measured: [`DynamicWeights`]. Many clients near capacity, and
//!   backends that can be asked: [`Prequal`].
//! - Around any of them: [`SlowStart`], [`ZonePreference`], [`PriorityLevels`], [`PanicThreshold`],
//!   [`Subset`].
//! - From a configuration file: [`LoadBalancingStrategy`].
//! - Your own: implement [`Strategy`] and [`Picker`] with a [`MemberSet`]; `docs/extending.md` leads
//!   through it.
//!
//! # What it does not do
//! It opens no connection, sends no request, reads no clock, draws no random number, starts no task
//! and judges nobody's health: time and random words come in with the [`PickContext`], verdicts are
//! written into the cells. So the same code runs in production, in tests and in simulation.
//!
//! # Words
//! | word | means |
//! |---|---|
//! | member | a backend as a strategy knows it: id, weight, zone, priority, load cell |
//! | load cell | what the backend carries now: in flight, latency, readiness, age; shared and live |
//! | eligible | ready or degraded, of a weight above 0, and not tried for this request |
//! | tried | this request was sent there already |
//! | stand-by | a member of weight 0, or of a later priority |
//! | panic mode | nobody is eligible, so the best of the others is picked all the same |
//! | strict | a pick that gives an error in place of panic mode |
//! | routing hash | the hash of what a request is routed by |
//!
//! # Features
//! `serde`: configs and [`LoadBalancingStrategy`] can be read and written; durations as `"10s"`.

mod alias;
mod bounded_load;
mod dynamic_weights;
mod error;
mod groups;
mod hash;
mod interleave;
mod least_connections;
mod least_loaded;
mod least_response_time;
mod load;
mod load_balancing_strategy;
mod load_metric;
mod maglev;
mod member;
mod member_set;
mod mix;
mod panic_threshold;
mod picker;
mod power_of_two;
mod prequal;
mod prequal_pool;
mod priority_levels;
mod random;
mod rendezvous;
mod ring_hash;
mod round_robin;
mod slow_start;
mod strategy;
mod subset;
mod sync;
#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod testing;
mod weighted_random;
mod weighted_round_robin;
mod zone_preference;

pub use evenkeel_stats::Readiness;

pub use bounded_load::{BoundedLoad, BoundedLoadConfig};
pub use dynamic_weights::{DynamicWeights, DynamicWeightsConfig};
pub use error::{BuildError, ConfigError, PickError};
pub use hash::hash_key;
pub use least_connections::{LeastConnections, LeastConnectionsConfig, WeightedLeastConnections};
pub use least_response_time::{LeastResponseTime, LeastResponseTimeConfig};
pub use load::{LoadCell, LoadConfig, LoadTotals};
pub use load_balancing_strategy::LoadBalancingStrategy;
pub use load_metric::LoadMetric;
pub use maglev::{Maglev, MaglevConfig};
pub use member::{BackendId, Member};
pub use member_set::MemberSet;
pub use panic_threshold::{PanicThreshold, PanicThresholdConfig};
pub use picker::{PickContext, Picker};
pub use power_of_two::{PowerOfTwo, PowerOfTwoConfig};
pub use prequal::{Prequal, PrequalConfig, ProbePool, ProbeReply};
pub use priority_levels::{PriorityLevels, PriorityLevelsConfig};
pub use random::Random;
pub use rendezvous::Rendezvous;
pub use ring_hash::{RingHash, RingHashConfig};
pub use round_robin::RoundRobin;
pub use slow_start::{SlowStart, SlowStartConfig};
pub use strategy::{BuildContext, Strategy};
pub use subset::{Subset, SubsetConfig};
pub use weighted_random::WeightedRandom;
pub use weighted_round_robin::{WeightedRoundRobin, WeightedRoundRobinConfig};
pub use zone_preference::{ZonePreference, ZonePreferenceConfig};

/// The examples of the pages, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../../../docs/extending.md")]
struct Pages;
