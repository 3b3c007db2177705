//! The judges and limits from outside, each test named by the hazard it guards against.
#![cfg(not(evenkeel_loom))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod backoff;
mod breaker;
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
mod random;
mod readiness;
mod retry_budget;
mod throttle;
