//! Finds sick backends fast by their real requests, keeps calm about the rest, and takes load off both
//! ends of a network that is in trouble.
//!
//! All but the checker is pure: it does no I/O, starts no task and reads no clock; outcomes, the time and
//! random words are handed in, so that each can be simulated for hours in milliseconds. Each is usable
//! by itself, and checks its configuration when it is built. `HealthChecker` and its probes, which do
//! I/O, are behind the features `checker`, `http` and `grpc`.
//!
//! | question | type |
//! |---|---|
//! | does this backend still answer? | [`CircuitBreaker`]; around futures [`TimedBreaker`], around services `CircuitBreakerLayer` (feature `tower`) |
//! | when to check it, and what do the checks say? | [`CheckSchedule`]; with the sending: `HealthChecker`, `Probe`, `TcpProbe` (feature `checker`), `HttpProbe` (`http`), `GrpcProbe` (`grpc`) |
//! | does it do worse than its group? | [`OutlierDetector`] |
//! | what do all of them together say? | [`ReadinessTracker`] |
//! | how long until the next attempt? | [`Backoff`] |
//! | may there be one? | [`RetryBudget`] |
//! | would it be refused anyhow? | [`Throttle`] |
//! | how many at a time? | [`ConcurrencyLimit`] |
//!
//! [`Detector`] is what a balancer sees of the judges, and what a judge of one's own implements.
//!
//! # Example
//! A breaker around calls that fail:
//!
//! ```
//! use std::io;
//! use evenkeel_health::{CallError, CircuitBreakerConfig, TimedBreaker};
//!
//! async fn ask() -> io::Result<String> {
//!     Err(io::ErrorKind::ConnectionReset.into())
//! }
//!
//! # futures::executor::block_on(async {
//! let breaker = TimedBreaker::new(CircuitBreakerConfig::default())?;
//! for _ in 0..7 {
//!     assert!(matches!(breaker.call(ask()).await, Err(CallError::Failed(_))));
//! }
//! // From now on it fails without asking, until the trial in a second or so.
//! assert!(matches!(breaker.call(ask()).await, Err(CallError::Rejected(_))));
//! # Ok::<(), evenkeel_health::ConfigError>(())
//! # })?;
//! # Ok::<(), evenkeel_health::ConfigError>(())
//! ```
//!
//! # What it does not do
//! It sends none of your requests, retries nothing and spawns nothing: it says whether and when. It knows
//! neither balancers nor protocols: what is a failure is the caller's to say, as an
//! [`Outcome`](evenkeel_stats::Outcome).
//!
//! # Words
//! - **outcome**: success, failure, overload (alive, and asks for less), cancelled (says nothing).
//! - **detector**: a passive judge of real outcomes; **verdict**: healthy, on trial, or ejected until.
//! - **trip**, **open**: to stop letting requests through; **closed** is the good state.
//! - **readiness**: what is said of a backend in the end, with detectors, checks and an operator heard.
//! - **check**, **probe**: an active question to a backend, and what asks it.
//! - **trial**: the few requests that decide whether an open breaker closes; **permit**: the leave to
//!   send one.
//! - **jitter**: randomness in a wait, so that clients that failed together do not come back together.
//! - **budget**: how much more than its requests a client may send in retries and hedges.

mod backoff;
mod check_schedule;
#[cfg(feature = "checker")]
mod checker;
mod circuit_breaker;
mod concurrency_limit;
mod detector;
mod error;
mod outlier;
#[cfg(feature = "checker")]
mod probe;
mod random;
mod readiness;
mod retry_budget;
mod sync;
mod throttle;
#[cfg(feature = "tower")]
mod tower;

pub use backoff::{Backoff, BackoffConfig, Jitter};
pub use check_schedule::{CheckConfig, CheckSchedule};
#[cfg(feature = "checker")]
pub use checker::{CheckReport, HealthChecker, HealthWatch};
pub use circuit_breaker::{
    CircuitBreaker, CircuitBreakerConfig, CircuitBreakerStats, CircuitReason, CircuitState, Permit,
    TimedBreaker,
};
pub use concurrency_limit::{ConcurrencyLimit, ConcurrencyLimitConfig, ConcurrencySlot};
pub use detector::{Detector, Observation, Verdict};
pub use error::{CallError, ConfigError, Rejected};
#[cfg(feature = "checker")]
pub use evenkeel_io_core::{Connect, Target};
pub use outlier::{Ejection, OutlierConfig, OutlierDetector, OutlierMember, OutlierReason};
#[cfg(any(feature = "http", feature = "grpc"))]
pub use probe::ProtocolError;
#[cfg(feature = "grpc")]
pub use probe::{GrpcProbe, GrpcProbeConfig, GrpcProbeError, KeptGrpc, ServingStatus};
#[cfg(feature = "http")]
pub use probe::{HttpProbe, HttpProbeConfig, HttpProbeError, HttpVersion, KeptHttp, StatusRange};
#[cfg(feature = "checker")]
pub use probe::{Probe, TcpProbe, TcpProbeError};
#[cfg(feature = "checker")]
pub use readiness::ReadinessWatch;
pub use readiness::{
    OperatorWord, ReadinessChange, ReadinessReason, ReadinessReport, ReadinessStats, ReadinessTracker,
};
pub use retry_budget::{RetryBudget, RetryBudgetConfig};
pub use throttle::{Throttle, ThrottleConfig};
#[cfg(feature = "tower")]
pub use tower::{CircuitBreakerFuture, CircuitBreakerLayer, CircuitBreakerService, OutcomeOf};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
