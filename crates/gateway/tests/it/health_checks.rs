//! Collectors that are asked how they are, by gRPC's health protocol.

use evenkeel_gateway::Gateway;
use evenkeel_otlp::rpc::Code;
use evenkeel_otlp::{HealthChecks, Protocol};

use crate::collector::{Collector, Health};
use crate::requests::one_span;
use crate::sender::{Grpc, get};
use crate::{config_with, until};

/// Two collectors behind a gateway that asks them all the time.
async fn two() -> ([Collector; 2], Gateway) {
    let collectors = [Collector::start().await, Collector::start().await];
    let more = "client.health_checks = \"grpc\"\nclient.balancer.health_check_interval = \"2s\"\n\
                client.balancer.health_check_timeout = \"2s\"";
    let mut config = config_with(&[&collectors[0], &collectors[1]], more);
    config.client.health_checks = HealthChecks::Grpc;
    (collectors, Gateway::start(config).unwrap())
}

async fn is(gateway: &Gateway, collector: &Collector, readiness: &str) -> bool {
    let metrics = get(gateway.admin_address(), "/metrics").await;
    metrics.text().contains(&format!(
        "evenkeel_collector_readiness{{collector=\"{}\",readiness=\"{readiness}\"}} 1\n",
        collector.url()
    ))
}

/// Requests, none of which goes to the first.
async fn avoid_the_first(collectors: &[Collector; 2], gateway: &Gateway) {
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let before = collectors[0].count();
    for trace in 0..50 {
        assert_eq!(sender.export(&one_span(trace)).await.status.code, Code::Ok);
    }
    assert_eq!(collectors[0].count(), before);
}

#[tokio::test]
async fn a_collector_that_says_it_does_not_serve_gets_nothing_until_it_does() {
    let (collectors, gateway) = two().await;
    collectors[0].is(Health::NotServing);
    collectors[1].is(Health::Serving);
    until("it is out", async || {
        is(&gateway, &collectors[0], "unhealthy").await
    })
    .await;
    until("the other is in", async || {
        is(&gateway, &collectors[1], "ready").await
    })
    .await;
    avoid_the_first(&collectors, &gateway).await;
    let status = get(gateway.admin_address(), "/status").await;
    assert!(
        status.text().contains("NOT_SERVING"),
        "it says why: {}",
        status.text()
    );
    collectors[0].is(Health::Serving);
    until("it is back", async || {
        !is(&gateway, &collectors[0], "unhealthy").await
    })
    .await;
}

#[tokio::test]
async fn a_collector_that_hangs_though_its_port_answers_is_found_out() {
    let (collectors, gateway) = two().await;
    collectors[0].is(Health::Silent);
    collectors[1].is(Health::Serving);
    until("it is out", async || {
        is(&gateway, &collectors[0], "unhealthy").await
    })
    .await;
    avoid_the_first(&collectors, &gateway).await;
}

#[tokio::test]
async fn a_collector_that_does_not_know_the_protocol_is_no_worse_for_it() {
    let (collectors, gateway) = two().await;
    until("both were asked", async || {
        collectors.iter().all(|collector| collector.checks() > 2)
    })
    .await;
    for collector in &collectors {
        until("it is in", async || is(&gateway, collector, "ready").await).await;
    }
}

#[tokio::test]
async fn a_collector_over_http_is_not_asked_in_grpc() {
    let collector = Collector::start().await;
    let more =
        "client.balancer.health_check_interval = \"2s\"\nclient.balancer.health_check_timeout = \"2s\"";
    let mut config = config_with(&[&collector], more);
    config.client.health_checks = HealthChecks::Grpc;
    config.client.protocol = Protocol::HttpProtobuf;
    collector.is(Health::NotServing);
    let gateway = Gateway::start(config).unwrap();
    let url = collector.url();
    drop(collector);
    until("a check has found that it is gone", async || {
        let metrics = get(gateway.admin_address(), "/metrics").await;
        metrics
            .text()
            .contains(&format!("collector=\"{url}\",readiness=\"unhealthy\"}} 1\n"))
    })
    .await;
}
