//! Chooses a backend for each request, learns from how it went, and loses no request that could be
//! saved.
//!
//! A [`LoadBalancer`] holds backends that carry anything: an address, a pool, a channel. A
//! [`pick`](LoadBalancer::pick) is synchronous, takes some tens of nanoseconds whatever the number of
//! backends, and gives a guard. The guard is finished with an [`Outcome`], which moves load averages,
//! statistics and circuit breakers; the next pick sees it.
//!
//! ```
//! use evenkeel_balancer::{BackendServer, LoadBalancer, LoadBalancerConfig, Outcome, RequestContext};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let servers = ["10.0.0.1:4317", "10.0.0.2:4317", "10.0.0.3:4317"].map(BackendServer::of);
//! let balancer = LoadBalancer::new(servers, LoadBalancerConfig::default())?;
//!
//! let pick = balancer.pick(&RequestContext::new())?;
//! let address: &str = &pick; // it derefs to what the backend carries
//! println!("sending to {address}");
//! pick.finish(Outcome::Success); // dropped, it would count as cancelled
//!
//! assert_eq!(balancer.stats().requests.successes, 1);
//! # Ok(())
//! # }
//! ```
//!
//! [`call`](LoadBalancer::call) does the rest too: it picks, runs, judges the result, sends the
//! request again elsewhere where that is allowed, and hedges.
//!
//! # What it does
//! - **Choosing** by any [`Strategy`](evenkeel_strategy::Strategy), inside slow start, zones and
//!   priorities as the config says.
//! - **Noticing**: a circuit breaker for each backend, outlier detection over all, active checks
//!   (feature `checks`), and what [you](LoadBalancer::set_health) say. A trip counts from the very next
//!   pick on; shares are evened out in the background.
//! - **Asking again**: a backend that a strategy shuns for a bad average gets one request a second, one
//!   that may be repeated if there is one; a good answer gives it its share back.
//! - **Never nobody**: with all backends sick the load is spread over all (panic mode).
//! - **Retries and hedges** within a budget and one deadline, never of what may not be repeated.
//! - **Sticky sessions** in a bounded table.
//! - **Members at run time**: [`add`](LoadBalancer::add), [`remove`](LoadBalancer::remove),
//!   [`set_weight`](LoadBalancer::set_weight), [`disable`](LoadBalancer::disable),
//!   [`drain`](LoadBalancer::drain), or by a [`Discover`].
//! - **Statistics**, always on: [`LoadBalancerStats`].
//!
//! # What it does not do
//! It opens no connection and speaks no protocol: what a backend carries does. It holds no queue: a
//! request is sent or refused. It keeps no body to send again, but for the service of the feature `tower`:
//! an attempt is a function that can be called twice. It runs one background task (see [`Maintenance`]), which no request waits for.
//!
//! # Words
//! | word | means |
//! |---|---|
//! | backend, member | one server that requests can go to; what it carries is its payload |
//! | pick | the guard of one choice: in flight until it is finished or dropped |
//! | outcome | success, failure, overload, cancelled |
//! | readiness | ready, degraded, draining, unhealthy, ejected |
//! | ejected | put out by a judge of real requests, for a time |
//! | trial | the one request that shows whether an ejected backend is well |
//! | panic mode | too few are well, so health is ignored |
//! | stand-by | a backend of weight 0 |
//! | retry, hedge | a second attempt after the first failed; beside the first, because it takes long |
//! | overtaken | the fate of the slower of the two |
//! | failover | a call that failed at one backend and succeeded at another |
//! | to divert | to stop sending to a backend that fails; the time it takes is measured |
//!
//! # Features
//! `serde`: configs from files, durations as `"10s"`. `checks`: active health checks. `http-checks`: these
//! over HTTP. `http`: answers of the `http` crate classified by status. `tower`: a balancer as one service,
//! `BalancedService`, under tonic's clients and hyper, and as a layer, `BalanceLayer`. `dns`:
//! [`DnsDiscovery`] by the system's resolver. `file`: members from a file that is watched.

mod backend;
mod backend_server;
mod builder;
mod call;
#[cfg(feature = "checks")]
mod checks;
mod classify;
mod compose;
mod config;
mod control;
mod discover;
mod drain;
mod error;
mod explore;
mod load_balancer;
mod maintenance;
mod membership;
mod pick;
mod preview;
mod request_context;
mod sessions;
mod shared;
mod snapshot;
mod stats;
#[cfg(feature = "tower")]
mod tower;
mod vitals;

#[cfg(feature = "checks")]
pub use evenkeel_health::Target;
pub use evenkeel_stats::{Outcome, Readiness};
pub use evenkeel_strategy::{BackendId, LoadBalancingStrategy};

pub use backend::BackendRef;
pub use backend_server::BackendServer;
pub use builder::LoadBalancerBuilder;
pub use call::{CallError, FailedAttempt, FailedAttempts, HedgeConfig};
#[cfg(feature = "http")]
pub use classify::HttpClassifier;
pub use classify::{Classification, Classify, ErrorClassifier, Retry};
pub use config::{ConfigError, LoadBalancerConfig};
#[cfg(feature = "dns")]
pub use discover::SystemLookup;
pub use discover::{
    Change, Discover, DnsAnswer, DnsDiscovery, FixedList, Following, LineError, Lookup, parse_lines,
};
#[cfg(feature = "file")]
pub use discover::{FileDiscovery, FileError};
pub use drain::{Drain, Drained};
pub use error::{BuildError, MemberError, PickError};
pub use load_balancer::LoadBalancer;
pub use maintenance::Maintenance;
pub use pick::Pick;
pub use preview::Preview;
pub use request_context::{Repeat, RequestContext, Tried};
pub use stats::{
    BackendStats, LoadBalancerStats, RequestStats, StatsWindow, latency_trend, rate_trend, success_trend,
};
#[cfg(feature = "tower")]
pub use tower::{
    Answer, BalanceLayer, BalancedBody, BalancedFuture, BalancedService, InFlightUntil, OwnService,
    ReplayBody, Route, ServiceError, Through,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
