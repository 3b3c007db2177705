//! Requests over HTTP: elsewhere, hedged, cancelled, while members change.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use evenkeel_balancer::{
    BackendRef, BackendServer, BalanceLayer, HedgeConfig, LoadBalancer, LoadBalancerConfig,
};
use http::request::Parts;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt};

use super::server::{Does, Server};
use super::{To, balanced, counts, get, in_turn, nobody, post};

#[tokio::test]
async fn a_dead_backend_never_fails_a_request_though_it_may_not_be_repeated() {
    let (one, two) = (
        Server::that(Does::Says("ok")).await,
        Server::that(Does::Says("ok")).await,
    );
    let service = balanced(&[one.address, nobody(), two.address], in_turn());
    for _ in 0..100 {
        let response = service.clone().oneshot(post("once")).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
    }
    assert_eq!(one.seen().len() + two.seen().len(), 100, "each arrived once");
    assert!(service.balancer().stats().failovers > 0);
}

#[tokio::test]
async fn a_post_that_a_backend_may_have_acted_on_is_not_sent_again() {
    let (bad, other) = (
        Server::that(Does::Status(503)).await,
        Server::that(Does::Status(503)).await,
    );
    let service = balanced(&[bad.address, other.address], in_turn());
    assert_eq!(service.oneshot(post("once")).await.unwrap().status(), 503);
    assert_eq!(bad.seen().len() + other.seen().len(), 1);
}

#[tokio::test]
async fn a_backend_that_hangs_costs_a_hedge() {
    let (hung, good) = (
        Server::that(Does::Hangs).await,
        Server::that(Does::Says("ok")).await,
    );
    let config = LoadBalancerConfig {
        hedging: Some(HedgeConfig::default()),
        ..in_turn()
    };
    let service = balanced(&[hung.address, good.address], config);
    for _ in 0..4 {
        let response = service.clone().oneshot(get()).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
    }
    let stats = service.balancer().stats();
    assert!(stats.hedges_won >= 1 && stats.requests.in_flight == 0);
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_nothing_in_flight() {
    let hung = Server::that(Does::Hangs).await;
    let service = balanced(&[hung.address], in_turn());
    let balancer = service.balancer().clone();
    let mut call = Box::pin(service.oneshot(get()));
    while hung.seen().is_empty() {
        let pending = poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending()));
        assert!(pending.await);
        tokio::task::yield_now().await;
    }
    assert_eq!(counts(&balancer).in_flight, 1);
    drop(call);
    let counts = counts(&balancer);
    assert_eq!((counts.in_flight, counts.cancelled), (0, 1));
}

#[tokio::test]
async fn clones_are_one_balancer_without_a_buffer() {
    let servers = [
        Server::that(Does::Says("ok")).await,
        Server::that(Does::Says("ok")).await,
    ];
    let service = balanced(&[servers[0].address, servers[1].address], in_turn());
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let service = service.clone();
        tasks.spawn(async move {
            let response = service.oneshot(get()).await.unwrap();
            response.into_body().collect().await.unwrap().to_bytes()
        });
    }
    while let Some(body) = tasks.join_next().await {
        assert_eq!(body.unwrap(), "ok");
    }
    for server in servers {
        assert_eq!(server.seen().len(), 25, "each had its turns");
    }
}

#[tokio::test]
async fn members_change_underneath() {
    let (old, new) = (
        Server::that(Does::Says("old")).await,
        Server::that(Does::Says("new")).await,
    );
    let service = balanced(&[old.address], in_turn());
    let balancer = service.balancer();
    let say = || async {
        let response = service.clone().oneshot(get()).await.unwrap();
        response.into_body().collect().await.unwrap().to_bytes()
    };
    assert_eq!(say().await, "old");
    let client = Client::builder(TokioExecutor::new()).build_http();
    let address = new.address;
    balancer
        .add(BackendServer::new("new", To { client, address }))
        .unwrap();
    balancer.remove(&old.address.to_string()).unwrap();
    for _ in 0..5 {
        assert_eq!(say().await, "new");
    }
    balancer.remove("new").unwrap();
    let error = service.clone().oneshot(get()).await.unwrap_err();
    assert!(error.to_string().contains("no backends"), "{error}");
}

#[tokio::test]
async fn a_layer_shows_one_client_the_way() {
    let servers = [
        Server::that(Does::Says("one")).await,
        Server::that(Does::Says("two")).await,
    ];
    let direct = |backend: &BackendRef<SocketAddr>, head: &mut Parts| {
        head.uri = format!("http://{}/", backend.payload()).parse().unwrap();
    };
    let addresses = servers.each_ref().map(|server| server.address);
    let balancer = LoadBalancer::new(addresses.map(BackendServer::of), in_turn()).unwrap();
    let client = Client::builder(TokioExecutor::new())
        .pool_idle_timeout(Duration::from_secs(5))
        .build_http();
    let service = BalanceLayer::new(balancer, direct).layer(client);
    for _ in 0..10 {
        let response = service.clone().oneshot(post("hello")).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    assert_eq!(servers.each_ref().map(|server| server.seen().len()), [5, 5]);
}

#[tokio::test]
async fn the_error_names_every_backend_that_was_tried() {
    let dead = [nobody(), nobody()];
    let service = balanced(&dead, in_turn());
    let error = service.oneshot(get()).await.unwrap_err();
    let said = error.to_string();
    assert!(
        dead.iter().all(|address| said.contains(&address.to_string())),
        "{said}"
    );
    assert!(said.contains("refused"), "and why: {said}");
}
