//! Under a client that tonic generated.

use evenkeel_balancer::{BackendServer, BalancedService, LoadBalancer, LoadBalancerConfig};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::server::{Does, Server};
use super::{counts, in_turn, nobody, repeatable};

fn over(addresses: &[std::net::SocketAddr], config: LoadBalancerConfig) -> LoadBalancer<Channel> {
    let servers = addresses.iter().map(|address| {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        BackendServer::new(address.to_string(), endpoint.connect_lazy())
    });
    LoadBalancer::new(servers, config).unwrap()
}

fn check() -> Request<HealthCheckRequest> {
    Request::new(HealthCheckRequest::default())
}

/// One that may be repeated, as its extensions say.
fn check_again() -> Request<HealthCheckRequest> {
    let mut request = check();
    request.extensions_mut().insert(repeatable());
    request
}

#[tokio::test]
async fn a_status_in_the_trailers_counts_as_what_it_says() {
    let server = Server::that(Does::Trailers("14")).await;
    let balancer = over(&[server.address], in_turn());
    let mut client =
        HealthClient::new(BalancedService::new(balancer.clone()).with_body(tonic::body::Body::new));
    let status = client.check(check()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let counts = counts(&balancer);
    assert_eq!((counts.failures, counts.successes, counts.in_flight), (1, 0, 0));
}

#[tokio::test]
async fn a_good_status_in_the_trailers_is_the_end_of_the_request() {
    let server = Server::that(Does::Trailers("0")).await;
    let balancer = over(&[server.address], in_turn());
    let mut client =
        HealthClient::new(BalancedService::new(balancer.clone()).with_body(tonic::body::Body::new));
    client.check(check()).await.unwrap();
    let counts = counts(&balancer);
    assert_eq!((counts.failures, counts.successes, counts.in_flight), (0, 1, 0));
}

#[tokio::test]
async fn a_backend_that_answers_unavailable_is_asked_no_more_and_nobody_notices() {
    let (bad, good) = (
        Server::that(Does::Refuses("14")).await,
        Server::that(Does::Trailers("0")).await,
    );
    let balancer = over(&[bad.address, good.address], in_turn());
    let mut client =
        HealthClient::new(BalancedService::new(balancer.clone()).with_body(tonic::body::Body::new));
    for _ in 0..50 {
        client.check(check_again()).await.unwrap();
    }
    let stats = balancer.stats();
    assert!(stats.failovers >= 1);
    assert_eq!(stats.backends[0].ejections, 1);
    assert!(bad.seen().len() < 15, "the breaker has opened");
    // Each time, with the message that was kept.
    assert!(
        [bad.seen(), good.seen()]
            .concat()
            .iter()
            .all(|body| body.len() == 5)
    );
}

#[tokio::test]
async fn a_dead_backend_never_fails_a_call_though_it_may_not_be_repeated() {
    let good = Server::that(Does::Trailers("0")).await;
    let balancer = over(&[nobody(), good.address], in_turn());
    let mut client =
        HealthClient::new(BalancedService::new(balancer.clone()).with_body(tonic::body::Body::new));
    for _ in 0..50 {
        client.check(check()).await.unwrap();
    }
    assert!(balancer.stats().failovers >= 1);
}

#[tokio::test]
async fn a_call_without_an_answer_ends_by_its_own_deadline() {
    let hung = Server::that(Does::Hangs).await;
    let balancer = over(&[hung.address], in_turn());
    let mut client =
        HealthClient::new(BalancedService::new(balancer.clone()).with_body(tonic::body::Body::new));
    let mut request = check();
    request.set_timeout(std::time::Duration::from_millis(50));
    client.check(request).await.unwrap_err();
    assert_eq!(counts(&balancer).in_flight, 0);
}
