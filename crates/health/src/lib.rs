//! Finds sick backends fast by their real requests, keeps calm about the rest, and takes load off both
//! ends of a network that is in trouble.
//!
//! Everything here is pure: it does no I/O, starts no task and reads no clock; outcomes, the time and
//! random words are handed in, so that each can be simulated for hours in milliseconds. Each is usable
//! by itself, and checks its configuration when it is built.
//!
//! | question | type |
//! |---|---|
//! | does this backend still answer? | [`CircuitBreaker`], around futures [`TimedBreaker`] |
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
//! It sends no requests, retries nothing and sleeps nowhere: it says whether and when. It knows neither
//! balancers nor protocols: what is a failure is the caller's to say, as an
//! [`Outcome`](evenkeel_stats::Outcome).
//!
//! # Words
//! - **outcome**: success, failure, overload (alive, and asks for less), cancelled (says nothing).
//! - **detector**: a passive judge of real outcomes; **verdict**: healthy, on trial, or ejected until.
//! - **trip**, **open**: to stop letting requests through; **closed** is the good state.
//! - **trial**: the few requests that decide whether an open breaker closes; **permit**: the leave to
//!   send one.

mod circuit_breaker;
mod detector;
mod error;
mod random;
mod sync;

pub use circuit_breaker::{
    CircuitBreaker, CircuitBreakerConfig, CircuitBreakerStats, CircuitReason, CircuitState, Permit,
    TimedBreaker,
};
pub use detector::{Detector, Observation, Verdict};
pub use error::{CallError, ConfigError, Rejected};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
