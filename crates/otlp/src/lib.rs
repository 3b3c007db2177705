//! Sends OTLP to several collectors.
#![allow(missing_docs)]

mod channel;
mod classify;
mod client;
mod collector;
mod compress;
mod config;
mod encoding;
mod endpoint;
mod error;
mod export;
mod response;
pub mod rpc;
#[cfg(any(feature = "opentelemetry-http", feature = "opentelemetry-sdk"))]
pub mod sdk;

pub use evenkeel::balancer::BackendId;
pub use evenkeel_otlp_wire::{Part, RouteBy, Signal, WireError, count_items, split};

pub use channel::Channel;
pub use client::{OtlpClient, SendOptions};
pub use collector::Collector;
#[cfg(feature = "checks")]
pub use config::HealthChecks;
pub use config::OtlpClientConfig;
pub use encoding::{Compression, Encoding, Protocol};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{BuildError, SendError};
pub use export::{Export, ExportError};
pub use response::{Accepted, PartialSuccess};
