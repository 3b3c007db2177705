//! The parts of the binary `evenkeel`, in a library so that tests reach them; no library for others. What the binary does
//! is in the crate's README.
//!
//! ```no_run
//! use evenkeel_gateway::{Gateway, GatewayConfig};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let gateway = Gateway::start(GatewayConfig::load("evenkeel.toml")?)?;
//! // and when it is to end:
//! gateway.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # The way of a request
//! `receive` takes it in: the connection's place (`connections`), the request's place and its bytes (`admission`), the body
//! in one piece (`body`), what it is (`grpc`, `http`). `deliver` has it acknowledged: whole by the client, or in parts that
//! are cut by key. That is the one place where an acknowledgement is decided.
//!
//! # Words
//! - **receiver**: what takes requests in; **sender**: who sent them; **collector**: where they go.
//! - **part**: what of a request goes to one collector.
//! - **ticket**: the place of a request that is under way, with the bytes it holds.
//! - **config that holds now**: a reload changes it for requests that come after.

mod admin;
mod admission;
mod check;
mod cli;
mod config;
mod deliver;
mod demo;
mod gateway;
mod heavy;
mod json;
mod ledger;
mod metrics;
pub mod queue;
mod readiness;
mod receive;
mod run;
mod runtime;
mod say;
mod send;
mod sink;
mod telemetry;

pub use cli::main;
pub use config::{
    AdminConfig, ByteSize, GatewayConfig, LimitsConfig, Listen, ReceiverConfig, RouteConfig, TelemetryConfig,
};
pub use gateway::{Drained, Gateway, StartError};
