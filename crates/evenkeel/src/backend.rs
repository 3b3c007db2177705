//! [`Backend`] and [`Endpoint`]: a server as it is described, and as it is in use.

use evenkeel_balancer::BackendServer;
use evenkeel_io_core::Target;
use evenkeel_pool::ConnectionPool;

/// One server that requests can go to, as plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct Backend {
    /// Where it is: `host:port`, an address, or `unix:` and a path.
    pub address: Target,
    /// Its name in statistics and errors, and what consistent hashing places it by. `None`, the default,
    /// takes the address.
    #[cfg_attr(feature = "config", serde(default, skip_serializing_if = "Option::is_none"))]
    pub id: Option<String>,
    /// Its share, relative to the others'. 1 by default; 0 stands by until no other is well.
    #[cfg_attr(feature = "config", serde(default = "one"))]
    pub weight: u32,
    /// Its zone, for [`zone`](evenkeel_balancer::LoadBalancerConfig::zone).
    #[cfg_attr(feature = "config", serde(default, skip_serializing_if = "Option::is_none"))]
    pub zone: Option<String>,
    /// Its priority, 0 being the first, for
    /// [`priority_levels`](evenkeel_balancer::LoadBalancerConfig::priority_levels).
    #[cfg_attr(feature = "config", serde(default))]
    pub priority: u32,
}

#[cfg(feature = "config")]
const fn one() -> u32 {
    1
}

impl Backend {
    /// A backend of weight 1, called by its address.
    #[must_use]
    pub const fn new(address: Target) -> Self {
        Self {
            address,
            id: None,
            weight: 1,
            zone: None,
            priority: 0,
        }
    }

    /// Its id, or else its address as text.
    #[must_use]
    pub fn name(&self) -> String {
        self.id.clone().unwrap_or_else(|| self.address.to_string())
    }

    pub(crate) fn server(&self, pool: ConnectionPool) -> BackendServer<Endpoint> {
        let endpoint = Endpoint {
            target: self.address.clone(),
            pool,
        };
        let server = BackendServer::new(self.name(), endpoint)
            .with_weight(self.weight)
            .with_priority(self.priority);
        match &self.zone {
            Some(zone) => server.with_zone(zone.as_str()),
            None => server,
        }
    }
}

/// What the client's balancer chooses among: where a backend is, and the connections to it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub(crate) target: Target,
    pub(crate) pool: ConnectionPool,
}

impl Endpoint {
    /// Where it is.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// The connections to it.
    #[must_use]
    pub const fn pool(&self) -> &ConnectionPool {
        &self.pool
    }
}
