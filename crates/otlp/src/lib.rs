//! Sends OTLP to several collectors, and drops nothing that could be saved.
//!
//! An application's OTLP connection sticks to one collector today; when that one dies, hangs or throttles,
//! telemetry is lost. An [`OtlpClient`] holds connections to all of them, chooses one for each request, sends
//! the request again elsewhere where the specification allows it, and asks a second collector when the first
//! takes long.
//!
//! ```
//! use bytes::Bytes;
//! use evenkeel_otlp::{Collector, Compression, Encoding, Export, OtlpClient, OtlpClientConfig, Signal};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = OtlpClient::new(OtlpClientConfig {
//!     collectors: vec![
//!         Collector::new("http://collector-1:4317")?,
//!         Collector::new("http://collector-2:4317")?,
//!     ],
//! #   timeout: std::time::Duration::from_millis(5),
//!     ..OtlpClientConfig::default()
//! })?;
//!
//! # fn encoded_spans() -> Bytes { Bytes::new() }
//! // An ExportTraceServiceRequest, encoded.
//! let export = Export::new(Signal::Traces, Encoding::Protobuf, Compression::None, encoded_spans());
//! match client.send(export).await {
//!     Ok(accepted) => println!("taken by {}", accepted.backend),
//!     Err(error) if error.is_retryable() => println!("later, after {:?}", error.retry_after()),
//!     Err(error) => println!("to be dropped: {error}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Or by the environment, where an endpoint may be a list: [`OtlpClientConfig::from_env`].
//!
//! # What it does
//! - **Forwards bytes.** A request is an [`Export`]: encoded, perhaps compressed. It is not decoded, copied or
//!   compressed again on its way; gRPC's prefix and the message go out in one write, and in one frame if the
//!   collector's frames are large enough.
//! - **gRPC** over one or few HTTP/2 connections to each collector, opened in the background and again when they
//!   are lost. No caller waits for a dial while another collector is connected over gRPC. A connection whose other
//!   end is gone is found by the kernel if what was sent is not acknowledged, and by a ping if nothing is answered;
//!   one that falls silent after two pings, of which servers bear no more, is replaced.
//! - **HTTP/1.1** with protobuf or JSON, over a pool. Who finds no idle connection dials.
//! - **Retries exactly by the specification's tables**, elsewhere first, within a budget and one deadline.
//!   [`RetryInfo`](rpc::RpcStatus::retry_delay) and `Retry-After` silence the collector that said so while the others
//!   carry on; while all are to be left alone, a request waits for the first, or ends at once if it can not.
//! - **Partial success** is passed up and never sent again.
//! - **Hedges**: on by default, because an export may arrive twice and a serial sender must not stall.
//! - **Collectors at run time**: [`OtlpClient::set_collectors`], or a config that was read again,
//!   [`OtlpClient::reconfigured`]; statistics, weights, drains through
//!   [`OtlpClient::balancer`].
//! - **Under the stock SDK**: as the HTTP client of `opentelemetry-otlp`, and as exporters, by the features
//!   `opentelemetry-http` and `opentelemetry-sdk` (module `sdk`).
//!
//! # What it does not do
//! It makes no spans and batches none: that is the SDK's. It keeps no queue: what is not acknowledged in time is the
//! caller's again, with an error that says whether to come back. It does not translate JSON into protobuf. It
//! follows no redirects. Over HTTP it speaks version 1.1.
//!
//! # Words
//! | word | means |
//! |---|---|
//! | signal | traces, metrics, logs |
//! | export | one request: bytes, and what they are |
//! | collector | a destination, as plain data |
//! | channel | the connections to one collector, as they are in use |
//! | acknowledged, accepted | a collector said that it took the request |
//! | partial success | it took it and rejected some of its items, or has a warning |
//! | throttled | a collector asks to be left alone for a while |
//!
//! # Features
//! `checks` (default): active health checks of the collectors. `grpc-checks`: these by gRPC's health protocol. `serde`: [`OtlpClientConfig`] from files. `tls`:
//! `https` endpoints by rustls, with client certificates. `zstd`: to compress and decompress it; bytes that are
//! compressed already pass without it.

mod channel;
mod classify;
mod client;
mod collector;
mod compress;
mod config;
mod encoding;
mod endpoint;
mod env;
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
pub use env::EnvError;
pub use error::{BuildError, SendError};
pub use export::{Export, ExportError};
pub use response::{Accepted, PartialSuccess};

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
