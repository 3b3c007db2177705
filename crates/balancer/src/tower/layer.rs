//! [`BalanceLayer`]: puts a balancer in front of one service that can reach every backend.

use std::fmt;

use http::request::Parts;
use tower_layer::Layer;

use super::{BalancedService, Through};
use crate::{BackendRef, LoadBalancer};

/// A layer for a service that goes wherever the request's head says, as `hyper-util`'s client does,
/// which keeps a pool for each authority. The balancer chooses, `direct` writes the choice into the
/// head, and the service below sends it.
///
/// ```
/// use evenkeel_balancer::{BackendRef, BackendServer, BalanceLayer, LoadBalancer, LoadBalancerConfig};
/// use http::request::Parts;
/// use http::uri::{Authority, Scheme, Uri};
/// use tower_layer::Layer;
///
/// /// Sends the request to the backend's authority.
/// fn direct(backend: &BackendRef<Authority>, head: &mut Parts) {
///     let mut uri = std::mem::take(&mut head.uri).into_parts();
///     uri.scheme = Some(Scheme::HTTP);
///     uri.authority = Some(backend.payload().clone());
///     uri.path_and_query.get_or_insert(http::uri::PathAndQuery::from_static("/"));
///     head.uri = Uri::from_parts(uri).unwrap_or_default();
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let servers = ["10.0.0.1:80", "10.0.0.2:80"].map(Authority::from_static).map(BackendServer::of);
/// let balancer = LoadBalancer::new(servers, LoadBalancerConfig::default())?;
/// # let client = ();
/// let service = BalanceLayer::new(balancer, direct).layer(client);
/// # drop(service);
/// # Ok(())
/// # }
/// ```
pub struct BalanceLayer<B, F> {
    balancer: LoadBalancer<B>,
    direct: F,
}

impl<B, F> BalanceLayer<B, F>
where
    F: Fn(&BackendRef<B>, &mut Parts),
{
    /// Chooses by `balancer`, and lets `direct` write the choice into each attempt's head.
    pub const fn new(balancer: LoadBalancer<B>, direct: F) -> Self {
        Self { balancer, direct }
    }
}

impl<B, S, F: Clone> Layer<S> for BalanceLayer<B, F> {
    type Service = BalancedService<B, Through<S, F>>;

    fn layer(&self, inner: S) -> Self::Service {
        let route = Through::new(inner, self.direct.clone());
        BalancedService::through(self.balancer.clone(), route)
    }
}

impl<B, F: Clone> Clone for BalanceLayer<B, F> {
    fn clone(&self) -> Self {
        Self {
            balancer: self.balancer.clone(),
            direct: self.direct.clone(),
        }
    }
}

impl<B, F> fmt::Debug for BalanceLayer<B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BalanceLayer")
            .field("balancer", &self.balancer)
            .finish_non_exhaustive()
    }
}
