//! The client as its users have it: real sockets, real failures, real files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod client;
#[cfg(feature = "config")]
mod config;
#[cfg(feature = "checks")]
mod partitions;
