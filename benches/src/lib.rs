//! Benchmarks of evenkeel beside the crates people use today, and the runner of the scenarios.
//!
//! A *scenario* is data: a file under `benches/scenarios/` that says which question it answers, at which
//! sizes, with which contenders and what it measures. The program `evenkeel-bench` runs scenarios: for each
//! repeat it starts every contender as a process of its own, in an order that rotates, so that CPU time, peak
//! memory and descriptors are that contender's alone. The server the contenders talk to is one more process,
//! so that its work is not counted as ours. What happens is reported as lines of JSON ([`protocol`]), which
//! `cargo xtask bench` reads and draws.
//!
//! ```
//! let io = evenkeel_benches::scenario::named("io")?;
//! assert_eq!(io.baseline, "raw-tokio");
//! # Ok::<(), evenkeel_benches::Error>(())
//! ```
//!
//! The contenders and their peers are behind the feature `peers`: without it nothing here builds a peer, so
//! that testing the workspace stays quick. `cargo xtask bench` turns it on.
//!
//! To add a scenario, write its file, list it in [`scenario`], and add a module under `workload` that runs
//! one of its contenders.
#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark measures the clock's own time, from outside of what it measures"
)]

mod child;
mod error;
pub mod exchange;
#[cfg(feature = "peers")]
pub mod icount;
#[cfg(feature = "peers")]
pub mod otlp_split;
#[cfg(feature = "peers")]
pub mod pairs;
#[cfg(feature = "peers")]
pub mod pools;
pub mod process;
pub mod protocol;
mod quantile;
mod report;
pub mod runner;
pub mod scenario;
pub mod server;
#[cfg(feature = "soak")]
pub mod soak;
#[cfg(feature = "peers")]
pub mod workload;

pub use child::{Children, end_with_parent, print_line};
pub use error::Error;
pub use quantile::{median, quantile};
pub use report::{Metrics, Point, Report};
