//! The contenders: a client that tonic generated, over ours or over tonic's own balancer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use evenkeel_balancer::{
    BackendServer, BalancedService, HedgeConfig, LoadBalancer, LoadBalancerConfig, OwnService, Repeat,
    ReplayBody, RequestContext,
};
use http::{Request, Response};
use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::Status;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower_service::Service;

use super::backends::{BACKENDS, endpoint};
use crate::Error;
use crate::server::grpc::PORT;

type Ours = BalancedService<Counted, OwnService, fn(ReplayBody) -> tonic::body::Body>;

/// One of them. Clones are the same client.
#[derive(Debug, Clone)]
pub(super) enum Client {
    Evenkeel(HealthClient<Ours>, LoadBalancer<Counted>),
    BalanceList(HealthClient<Channel>),
}

impl Client {
    pub(super) fn of(contender: &str, addresses: &[SocketAddr; BACKENDS]) -> Result<Self, Error> {
        match contender {
            "evenkeel" => {
                let servers =
                    addresses.map(|address| BackendServer::new(address.to_string(), Counted::to(address)));
                let config = LoadBalancerConfig {
                    hedging: Some(HedgeConfig::default()),
                    ..LoadBalancerConfig::default()
                };
                let balancer = LoadBalancer::new(servers, config);
                let balancer = balancer.map_err(|e| Error::contender("evenkeel", e))?;
                let body: fn(ReplayBody) -> tonic::body::Body = tonic::body::Body::new;
                let service = BalancedService::new(balancer.clone())
                    .with_body(body)
                    .with_context(|_| RequestContext::new().with_repeat(Repeat::Always));
                Ok(Self::Evenkeel(HealthClient::new(service), balancer))
            }
            "balance-list" => {
                let list = addresses.iter().map(|&address| endpoint(address));
                Ok(Self::BalanceList(HealthClient::new(Channel::balance_list(list))))
            }
            other => {
                let known = super::CONTENDERS.iter().copied();
                Err(Error::unknown("contender", other, known))
            }
        }
    }

    /// One request; the port of the backend that answered.
    pub(super) async fn ask(&mut self) -> Result<Option<u16>, Status> {
        let request = HealthCheckRequest::default();
        let answer = match self {
            Self::Evenkeel(client, _) => client.check(request).await?,
            Self::BalanceList(client) => client.check(request).await?,
        };
        let port = answer.metadata().get(PORT);
        Ok(port.and_then(|port| port.to_str().ok()?.parse().ok()))
    }

    pub(super) const fn balancer(&self) -> Option<&LoadBalancer<Counted>> {
        match self {
            Self::Evenkeel(_, balancer) => Some(balancer),
            Self::BalanceList(_) => None,
        }
    }
}

/// A channel that notes when it is asked. What repeats requests by itself must be asked; of what does not, the
/// answers show it.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    channel: Channel,
    attempts: Arc<Mutex<Vec<Instant>>>,
}

impl Counted {
    fn to(address: SocketAddr) -> Self {
        Self {
            channel: endpoint(address).connect_lazy(),
            attempts: Arc::default(),
        }
    }

    /// When it was asked, from `start`.
    pub(super) fn attempts(&self, start: Instant) -> Vec<Duration> {
        let attempts = self.attempts.lock();
        attempts
            .iter()
            .map(|at| at.saturating_duration_since(start))
            .collect()
    }
}

impl Service<Request<tonic::body::Body>> for Counted {
    type Response = Response<tonic::body::Body>;
    type Error = tonic::transport::Error;
    type Future = tonic::transport::channel::ResponseFuture;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(context)
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        self.attempts.lock().push(Instant::now());
        self.channel.call(request)
    }
}
