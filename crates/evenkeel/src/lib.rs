//! Ready connections to healthy backends.
//!
//! This is the crate for services. It puts the parts together: `io-core` opens connections, a `pool` for
//! each backend keeps them, the `balancer` chooses a backend for each request, and `health` takes out those that
//! fail. One [`Config`] describes all of it. Whoever needs one part only takes that part's crate.
//!
//! ```
//! use evenkeel::{Backend, Client, Config};
//! # use evenkeel_testkit::{Backend as Server, Behaviour};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (first, second) = (Server::start(Behaviour::Echo).await?, Server::start(Behaviour::Echo).await?);
//! # let (first, second) = (first.addr().into(), second.addr().into());
//! let client = Client::new(Config {
//!     backends: vec![Backend::new(first), Backend::new(second)],
//!     ..Config::default()
//! })?;
//!
//! let mut connection = client.connection().await?;
//! connection.write_all(b"ahoy").await?;
//! connection.read_exact(&mut [0; 4]).await?;
//! connection.succeed(); // dropped without a word, it would count as cancelled
//! # Ok(())
//! # }
//! ```
//!
//! [`Client::call`] does more: it sends the request again elsewhere when a backend fails it, where that is
//! allowed, and hedges.
//!
//! # What it does not do
//! It speaks no protocol above bytes: what is written on a connection is the caller's. For requests over HTTP
//! or gRPC, whose connections carry many at a time, put channels into a
//! [`LoadBalancer`](balancer::LoadBalancer) and leave the pools out.
//!
//! # Words
//! - **backend**: one server that requests can go to; **endpoint**: the backend with its pool.
//! - **lease**: a connection on loan together with the pick of its backend: it counts as in flight until it
//!   is settled or dropped.
//!
//! # Features
//! `config` (default): [`Config`] from a TOML file and the environment. `checks` (default): active health
//! checks. `http-checks`: these over HTTP. `grpc-checks`: gRPC's health protocol, in [`health`]. `tls`: TLS in [`io_core`].

mod backend;
mod build_error;
mod client;
mod config;
mod lease;

pub use evenkeel_balancer as balancer;
pub use evenkeel_health as health;
pub use evenkeel_io_core as io_core;
pub use evenkeel_pool as pool;
pub use evenkeel_stats as stats;
pub use evenkeel_strategy as strategy;

pub use evenkeel_balancer::{Repeat, RequestContext};

pub use backend::{Backend, Endpoint};
pub use build_error::BuildError;
pub use client::{
    AttemptError, Client, ClientBuilder, ClientStats, ConnectionError, ShutdownReport, TriedBackends,
};
pub use config::Config;
#[cfg(feature = "checks")]
pub use config::HealthChecks;
#[cfg(feature = "config")]
pub use config::{ConfigError, Given, load_config, parse_config};
pub use lease::Lease;

/// The examples of the pages, compiled; the workspace's own README begins with this crate.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../../../README.md")]
struct Pages;
