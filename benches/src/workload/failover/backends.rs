//! Three backends, and what is done to them.

use std::net::SocketAddr;
use std::time::Duration;

use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::child::Server;
use crate::server::ServerKind;
use crate::server::grpc::{ASK, Mood, RECEIVED};
use crate::{Children, Error};

/// How many there are.
pub(super) const BACKENDS: usize = 3;

#[derive(Debug)]
pub(super) struct Backends {
    children: Children,
    servers: [Option<Server>; BACKENDS],
    pub(super) addresses: [SocketAddr; BACKENDS],
    /// Ways to them past whoever is measured.
    asides: [HealthClient<Channel>; BACKENDS],
}

impl Backends {
    pub(super) async fn start() -> Result<Self, Error> {
        let children = Children::of_this_program()?;
        let one = async || children.serve(ServerKind::Grpc).await;
        let servers = [one().await?, one().await?, one().await?];
        let addresses = servers.each_ref().map(Server::addr);
        let asides = addresses.map(|address| HealthClient::new(endpoint(address).connect_lazy()));
        Ok(Self {
            servers: servers.map(Some),
            children,
            addresses,
            asides,
        })
    }

    pub(super) async fn kill(&mut self, which: usize) -> Result<(), Error> {
        match self.servers[which].take() {
            Some(server) => server.kill().await,
            None => Ok(()),
        }
    }

    /// Starts a dead one again, where it was.
    pub(super) async fn start_again(&mut self, which: usize) -> Result<(), Error> {
        let at = self.addresses[which];
        self.servers[which] = Some(self.children.serve_at(ServerKind::Grpc, at).await?);
        Ok(())
    }

    pub(super) async fn tell(&mut self, which: usize, mood: Mood) -> Result<(), Error> {
        match &mut self.servers[which] {
            Some(server) => server.tell(&mood.line()).await,
            None => Err(Error::Contender("told a dead backend something".to_owned())),
        }
    }

    /// How many requests it has received since it was started.
    pub(super) async fn received(&self, which: usize) -> Result<u64, Error> {
        let mut request = Request::new(HealthCheckRequest {
            service: ASK.to_owned(),
        });
        request.set_timeout(Duration::from_secs(2));
        let answer = self.asides[which].clone().check(request).await;
        let answer = answer.map_err(|e| Error::contender("a backend does not say what it received", e))?;
        let count = answer.metadata().get(RECEIVED);
        let count = count.and_then(|count| count.to_str().ok()?.parse().ok());
        count.ok_or_else(|| Error::Contender("a backend does not say what it received".to_owned()))
    }

    pub(super) async fn stop(self) -> Result<(), Error> {
        for server in self.servers.into_iter().flatten() {
            server.stop().await?;
        }
        Ok(())
    }
}

/// The way to a backend, the same for all contenders.
pub(super) fn endpoint(address: SocketAddr) -> Endpoint {
    // An address is always a URI.
    let endpoint = Endpoint::from(tonic::transport::Uri::default());
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap_or(endpoint);
    endpoint.connect_timeout(Duration::from_secs(1)).tcp_nodelay(true)
}
