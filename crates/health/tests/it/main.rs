//! The judges and limits from outside, each test named by the hazard it guards against.
#![cfg(not(evenkeel_loom))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod allocation;
mod backoff;
mod breaker;
mod breaker_counted;
mod breaker_model;
mod breaker_simulation;
mod check_schedule;
#[cfg(feature = "checker")]
mod checker;
mod concurrency_limit;
#[cfg(feature = "serde")]
mod configs;
mod events;
mod outlier;
#[cfg(all(feature = "http", feature = "grpc"))]
mod probes;
mod random;
mod readiness;
#[cfg(feature = "checker")]
mod recovery;
mod retry_budget;
mod throttle;
#[cfg(feature = "tower")]
mod tower;
