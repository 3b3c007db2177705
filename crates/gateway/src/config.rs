//! [`GatewayConfig`]: the file `evenkeel.toml`.

mod admin;
mod file;
mod limits;
mod listen;
mod receiver;
mod route;
mod size;
mod telemetry;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use admin::AdminConfig;
pub use limits::LimitsConfig;
pub use listen::Listen;
pub use receiver::ReceiverConfig;
pub use route::RouteConfig;
pub use size::ByteSize;
pub use telemetry::TelemetryConfig;

use evenkeel_otlp::{Collector, OtlpClientConfig};

use crate::queue::QueueConfig;

/// Everything that `evenkeel run` goes by, read from a TOML file. Durations are written as `"10s"`, sizes as
/// `"64MiB"`; unknown fields are refused.
///
/// ```toml
/// route = "trace_id"
///
/// [client.balancer]
/// strategy = "rendezvous"
///
/// [[collectors]]
/// endpoint = "http://collector-1:4317"
///
/// [[collectors]]
/// endpoint = "http://collector-2:4317"
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// By what requests are sent to collectors: `"none"` (default), any collector, as the strategy says;
    /// `"trace_id"`, `"service"` or `{ attribute = "…" }`, all items of a key to the same collector.
    pub route: RouteConfig,
    /// After SIGTERM, how long requests under way may take and connections go on. 20 s by default: Kubernetes
    /// kills after 30.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// How long after SIGTERM new connections are still taken while `/readyz` says no already, so that
    /// whoever balances over gateways notices first. 0 by default.
    #[serde(with = "humantime_serde")]
    pub drain_delay: Duration,
    /// How often this file is looked at for changes. 2 s by default; 0: only on SIGHUP.
    #[serde(with = "humantime_serde")]
    pub reload_interval: Duration,
    /// How many threads serve. 0, the default: one for every two processors, as the kernel's half of the work takes
    /// the others.
    pub threads: usize,
    /// Where and how requests are received. A change takes a restart.
    pub receiver: ReceiverConfig,
    /// How much may be under way. A change takes a restart.
    pub limits: LimitsConfig,
    /// Where the gateway tells of itself. A change takes a restart.
    pub admin: AdminConfig,
    /// If it is there, requests are acknowledged when they are in a queue on disk, and delivered from it. A
    /// change takes a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueConfig>,
    /// If it is there, the gateway sends its own metrics over OTLP. A change takes a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<TelemetryConfig>,
    /// How collectors are spoken to, and in `client.balancer` how they are chosen and judged. Its own
    /// `collectors` is empty here.
    pub client: OtlpClientConfig,
    /// Where requests go. At least one.
    pub collectors: Vec<Collector>,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            route: RouteConfig::default(),
            drain_timeout: Duration::from_secs(20),
            drain_delay: Duration::ZERO,
            reload_interval: Duration::from_secs(2),
            threads: 0,
            receiver: ReceiverConfig::default(),
            limits: LimitsConfig::default(),
            admin: AdminConfig::default(),
            queue: None,
            telemetry: None,
            client: OtlpClientConfig::default(),
            collectors: Vec::new(),
        }
    }
}

impl GatewayConfig {
    /// What the client is built from.
    pub(crate) fn client(&self) -> OtlpClientConfig {
        OtlpClientConfig {
            collectors: self.collectors.clone(),
            ..self.client.clone()
        }
    }
}
