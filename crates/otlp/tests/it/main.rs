//! What a client does over real sockets, with collectors that do as they are told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[cfg(all(feature = "grpc-checks", feature = "tls"))]
mod checks;
mod collector;
mod config;
mod faults;
mod members;
mod requests;
#[cfg(all(feature = "opentelemetry-http", feature = "opentelemetry-sdk"))]
mod sdk;
mod streams;
mod table;
mod throttle;
#[cfg(feature = "tls")]
mod tls;
