//! Requests as collectors would read them, and requests that nobody should send.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bad_input;
mod decoded;
mod frame;
mod mutated;
mod oracle;
mod plan;
mod requests;
mod walk;
