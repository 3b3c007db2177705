//! What a client does over real sockets, with collectors that do as they are told.

mod collector;
mod config;
mod faults;
mod members;
mod requests;
#[cfg(all(feature = "opentelemetry-http", feature = "opentelemetry-sdk"))]
mod sdk;
mod table;
#[cfg(feature = "tls")]
mod tls;
