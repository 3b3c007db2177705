//! [`Config`]: one tree for all parts.

#[cfg(feature = "config")]
mod error;
#[cfg(feature = "config")]
mod file;
#[cfg(feature = "config")]
mod overrides;
#[cfg(feature = "config")]
mod place;

use evenkeel_balancer::LoadBalancerConfig;
use evenkeel_io_core::AsyncIoConfig;
use evenkeel_pool::ConnectionPoolConfig;

#[cfg(feature = "config")]
pub use error::ConfigError;
#[cfg(feature = "config")]
pub use file::{Given, load_config, parse_config};

use crate::Backend;

/// Everything a [`Client`](crate::Client) goes by. Plain data; each part is checked when the client is built.
///
/// With the feature `config` it is read from a file:
///
/// ```toml
/// [balancer]
/// strategy = "peak_ewma"
/// max_retries = 2
///
/// [pool]
/// max_connections = 32
///
/// [[backends]]
/// address = "collector-1:4317"
///
/// [[backends]]
/// address = "collector-2:4317"
/// weight = 2
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Config {
    /// How connections are opened.
    pub io: AsyncIoConfig,
    /// The pool that each backend has. Its defaults are those of the pool alone, but for `retry_attempts`,
    /// which is 0: who can not be reached is left to the balancer at once, which has others.
    pub pool: ConnectionPoolConfig,
    /// How backends are chosen and judged.
    pub balancer: LoadBalancerConfig,
    /// How backends are checked beside the requests they get.
    #[cfg(feature = "checks")]
    pub health_checks: HealthChecks,
    /// The backends. None is allowed: they can be [added](crate::Client::add) later.
    pub backends: Vec<Backend>,
}

/// How backends are checked beside the requests they get; when and how long is in `balancer`.
#[cfg(feature = "checks")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum HealthChecks {
    /// By opening a connection: every backend understands that. The default.
    #[default]
    Tcp,
    /// By a request over HTTP/1.1 for the balancer's
    /// [`health_check_path`](LoadBalancerConfig::health_check_path), whose answer must be a 2xx.
    #[cfg(feature = "http-checks")]
    Http,
    /// Not at all: only real requests tell.
    None,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            io: AsyncIoConfig::default(),
            pool: ConnectionPoolConfig {
                retry_attempts: 0,
                ..ConnectionPoolConfig::default()
            },
            balancer: LoadBalancerConfig::default(),
            #[cfg(feature = "checks")]
            health_checks: HealthChecks::default(),
            backends: Vec::new(),
        }
    }
}
