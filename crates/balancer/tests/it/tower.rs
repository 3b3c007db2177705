//! The balancer as a service, over real servers on loopback.

mod bodies;
mod grpc;
mod requests;
mod server;

use std::net::SocketAddr;
use std::time::Duration;

use evenkeel_balancer::{
    BackendServer, BalancedService, LoadBalancer, LoadBalancerConfig, Repeat, ReplayBody, RequestContext,
    RequestStats,
};
use http::Request;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Puts a backend's authority into every request, and hands it to one client.
#[derive(Clone)]
struct To {
    client: Client<HttpConnector, ReplayBody>,
    address: SocketAddr,
}

impl tower::Service<Request<ReplayBody>> for To {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper_util::client::legacy::Error;
    type Future = hyper_util::client::legacy::ResponseFuture;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<ReplayBody>) -> Self::Future {
        *request.uri_mut() = format!("http://{}/", self.address).parse().unwrap();
        self.client.request(request)
    }
}

type Balanced = BalancedService<To>;

/// Over these servers, in the order given, each in its turn.
fn balanced(addresses: &[SocketAddr], config: LoadBalancerConfig) -> Balanced {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let servers = addresses.iter().map(|&address| {
        let client = client.clone();
        BackendServer::new(address.to_string(), To { client, address })
    });
    BalancedService::new(LoadBalancer::new(servers, config).unwrap())
}

/// Each in its turn, with waits that no test waits for.
fn in_turn() -> LoadBalancerConfig {
    LoadBalancerConfig {
        strategy: "round_robin".parse().unwrap(),
        retry_delay: Duration::from_millis(1),
        slow_start: None,
        ..LoadBalancerConfig::default()
    }
}

fn get() -> Request<Full<Bytes>> {
    Request::get("/").body(Full::default()).unwrap()
}

fn post(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post("/").body(Full::new(body.into())).unwrap()
}

/// A context for what may be repeated.
fn repeatable() -> RequestContext<'static> {
    RequestContext::new().with_repeat(Repeat::Always)
}

fn counts<B>(balancer: &LoadBalancer<B>) -> RequestStats {
    balancer.stats().requests
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
