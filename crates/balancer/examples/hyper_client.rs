//! One hyper client, with its pool of connections, over three servers: the balancer as a layer.
//!
//! `cargo run -p evenkeel-balancer --features tower --example hyper_client`

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;

use evenkeel_balancer::{
    BackendRef, BackendServer, BalanceLayer, LoadBalancer, LoadBalancerConfig, ReplayBody,
};
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme, Uri};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};

/// Answers every request with the server's own name.
async fn serve(listener: TcpListener, name: String) {
    while let Ok((stream, _)) = listener.accept().await {
        let name = name.clone();
        let answer = service_fn(move |_| {
            let answer = Response::new(Full::new(Bytes::from(name.clone())));
            async move { Ok::<_, Infallible>(answer) }
        });
        let connection = hyper::server::conn::http1::Builder::new();
        drop(tokio::spawn(
            connection.serve_connection(TokioIo::new(stream), answer),
        ));
    }
}

/// Sends a request to the backend's address.
fn direct(backend: &BackendRef<SocketAddr>, head: &mut Parts) {
    let mut uri = std::mem::take(&mut head.uri).into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = backend.payload().to_string().parse().ok();
    uri.path_and_query
        .get_or_insert_with(|| PathAndQuery::from_static("/"));
    head.uri = Uri::from_parts(uri).unwrap_or_default();
}

/// Runs the example against servers of its own.
pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let mut backends = Vec::new();
    for name in ["one", "two", "three"] {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        backends.push(BackendServer::new(name, listener.local_addr()?));
        tokio::spawn(serve(listener, name.to_owned()));
    }
    // Nobody listens here; no request fails for it.
    let gone = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    backends.push(BackendServer::new("gone", gone));

    let config = LoadBalancerConfig {
        strategy: "round_robin".parse()?,
        ..LoadBalancerConfig::default()
    };
    let balancer = LoadBalancer::new(backends, config)?;
    let client = Client::builder(TokioExecutor::new()).build_http::<ReplayBody>();
    let service = BalanceLayer::new(balancer.clone(), direct).layer(client);

    for _ in 0..12 {
        let request = Request::post("/hello").body(Full::new(Bytes::from_static(b"hello")))?;
        let response = service.clone().oneshot(request).await?;
        let body = response.into_body().collect().await?.to_bytes();
        println!("answered by {}", String::from_utf8_lossy(&body));
    }
    let stats = balancer.stats();
    assert_eq!(stats.requests.in_flight, 0);
    for backend in &stats.backends {
        println!(
            "{}: {} answered, {} failed",
            backend.id, backend.requests.successes, backend.requests.failures
        );
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    run().await
}
