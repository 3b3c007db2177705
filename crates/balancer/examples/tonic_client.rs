//! A client that tonic generated, over three servers: one goes away in the middle, and no call fails.
//!
//! `cargo run -p evenkeel-balancer --features tower --example tonic_client`

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::net::SocketAddr;

use evenkeel_balancer::{
    BackendServer, BalancedService, LoadBalancer, LoadBalancerConfig, Repeat, RequestContext,
};
use tokio::task::JoinHandle;
use tonic::transport::{Endpoint, Server, server::TcpIncoming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

fn serve() -> Result<(SocketAddr, JoinHandle<()>), Box<dyn Error>> {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
    let address = incoming.local_addr()?;
    let (_reporter, health) = tonic_health::server::health_reporter();
    let server = Server::builder().add_service(health);
    let task = tokio::spawn(async move { drop(server.serve_with_incoming(incoming).await) });
    Ok((address, task))
}

/// Runs the example against servers of its own.
pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let (mut backends, mut tasks) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let (address, task) = serve()?;
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect_lazy();
        backends.push(BackendServer::new(address.to_string(), channel));
        tasks.push(task);
    }
    let config = LoadBalancerConfig {
        strategy: "round_robin".parse()?,
        ..LoadBalancerConfig::default()
    };
    let balancer = LoadBalancer::new(backends, config)?;
    let service = BalancedService::new(balancer.clone())
        .with_body(tonic::body::Body::new)
        // A health check has the same effect however often it arrives; gRPC itself does not say so.
        .with_context(|_| RequestContext::new().with_repeat(Repeat::Always));
    let mut client = HealthClient::new(service);

    for count in 0..300 {
        if count == 100 {
            tasks[0].abort();
            println!("one of three is gone");
        }
        client.check(HealthCheckRequest::default()).await?;
    }
    let stats = balancer.stats();
    for backend in &stats.backends {
        println!("{}: {} answered", backend.id, backend.requests.successes);
    }
    assert!(
        stats
            .backends
            .iter()
            .all(|backend| backend.requests.successes > 0),
        "all three took part"
    );
    for task in tasks {
        task.abort();
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    run().await
}
