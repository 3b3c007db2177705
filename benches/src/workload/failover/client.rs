//! The contenders: a client that tonic generated, over ours or over tonic's own balancer.

use std::net::SocketAddr;

use evenkeel_balancer::{
    BackendServer, BalancedService, HedgeConfig, LoadBalancer, LoadBalancerConfig, OwnService, Repeat,
    ReplayBody, RequestContext,
};
use tonic::Status;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::backends::{BACKENDS, endpoint};
use crate::Error;
use crate::server::grpc::PORT;

type Ours = BalancedService<Channel, OwnService, fn(ReplayBody) -> tonic::body::Body>;

/// One of them. Clones are the same client.
#[derive(Debug, Clone)]
pub(super) enum Client {
    Evenkeel(HealthClient<Ours>, LoadBalancer<Channel>),
    BalanceList(HealthClient<Channel>),
}

impl Client {
    pub(super) fn of(contender: &str, addresses: &[SocketAddr; BACKENDS]) -> Result<Self, Error> {
        match contender {
            "evenkeel" => {
                let servers = addresses
                    .map(|address| BackendServer::new(address.to_string(), endpoint(address).connect_lazy()));
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

    pub(super) const fn balancer(&self) -> Option<&LoadBalancer<Channel>> {
        match self {
            Self::Evenkeel(_, balancer) => Some(balancer),
            Self::BalanceList(_) => None,
        }
    }
}
