//! The crate from outside: its invariants against simple models, and its clocks.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod averages;
mod clocks;
mod histogram;
mod windows;
