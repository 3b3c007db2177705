//! The parts of the binary `evenkeel`, in a library so that tests reach them; no library for others.

mod admin;
mod admission;
mod check;
mod cli;
mod config;
mod deliver;
mod gateway;
mod heavy;
mod json;
mod ledger;
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
    AdminConfig, ByteSize, GatewayConfig, LimitsConfig, Listen, ReceiverConfig, RouteConfig,
};
pub use gateway::{Drained, Gateway, StartError};
