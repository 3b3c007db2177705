//! [`ClientStats`].

use evenkeel_balancer::{BackendId, LoadBalancerStats};
use evenkeel_io_core::AsyncIoStats;
use evenkeel_pool::ConnectionPoolStats;

use super::Client;

/// The statistics of every layer at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientStats {
    /// Connections and bytes, over all backends.
    pub io: AsyncIoStats,
    /// Requests, by backend and together.
    pub balancer: LoadBalancerStats,
    /// The pool of each backend.
    pub pools: Vec<(BackendId, ConnectionPoolStats)>,
}

impl Client {
    /// The statistics now. Takes some microseconds for each backend.
    #[must_use]
    pub fn stats(&self) -> ClientStats {
        let pools = self.endpoints();
        ClientStats {
            io: self.manager.stats(),
            balancer: self.balancer.stats(),
            pools: pools
                .map(|backend| (backend.id().clone(), backend.pool.stats()))
                .collect(),
        }
    }

    pub(super) fn endpoints(&self) -> impl Iterator<Item = evenkeel_balancer::BackendRef<crate::Endpoint>> {
        let ids = self.balancer.ids();
        ids.into_iter()
            .filter_map(|id| self.balancer.backend(id.as_str()))
    }
}
