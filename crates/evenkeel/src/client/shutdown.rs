//! Shutting down in order.

use std::time::Duration;

use evenkeel_io_core::DrainReport;
use futures::future::join_all;
use tokio::time::Instant;

use super::Client;

/// How a [`Client::shutdown`] went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Leases that came back in time.
    pub drained: usize,
    /// Leases that were out at the deadline; their connections were cut.
    pub cut: usize,
    /// What became of the connections.
    pub connections: DrainReport,
}

impl Client {
    /// Ends the client: no new connections are lent, and those on loan have until `deadline` to come back. Then
    /// what is left is cut.
    ///
    /// # Cancel safety
    /// Dropped, the client stays closed; calling it again goes on waiting.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        let started = Instant::now();
        let endpoints: Vec<_> = self.endpoints().collect();
        let pools = endpoints.iter().map(|endpoint| endpoint.pool.close(deadline));
        let closed = join_all(pools).await;
        let connections = self
            .manager
            .shutdown(deadline.saturating_sub(started.elapsed()))
            .await;
        ShutdownReport {
            drained: closed.iter().map(|pool| pool.drained).sum(),
            cut: closed.iter().map(|pool| pool.cut).sum(),
            connections,
        }
    }
}
