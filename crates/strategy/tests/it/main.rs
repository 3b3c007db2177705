//! Behaviour that holds for every strategy, and oracles for some.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod all;
mod consistency;
mod eligibility;
mod examples;
mod linkerd;
mod shares;
mod supermarket;
