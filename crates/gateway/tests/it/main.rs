//! The gateway in this process, between scripted collectors and clients that do as they please.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod admin;
mod bad_input;
mod binary;
mod collector;
mod config;
mod drain;
mod health_checks;
mod limits;
mod own_metrics;
mod pass_through;
mod queue;
mod queue_kill;
mod reload;
mod requests;
mod route;
mod sender;
mod statuses;
mod stock_sdk;
mod tools;

use std::time::Duration;

use collector::Collector;
use evenkeel_gateway::{Gateway, GatewayConfig};

/// A gateway in front of these collectors, on ports of its own. Nothing waits long: retries are few and fast,
/// and there are neither checks nor hedges that a test does not ask for.
fn config(collectors: &[&Collector]) -> GatewayConfig {
    config_with(collectors, "")
}

/// With more lines of the file's top.
fn config_with(collectors: &[&Collector], more: &str) -> GatewayConfig {
    let list: String = collectors
        .iter()
        .map(|collector| format!("[[collectors]]\nendpoint = \"{}\"\n", collector.url()))
        .collect();
    let text = format!("{more}\n{list}");
    GatewayConfig::parse(&text, [], |config| {
        let anywhere = || "127.0.0.1:0".parse().unwrap();
        config.receiver.grpc = anywhere();
        config.receiver.http = anywhere();
        config.admin.listen = anywhere();
        config.client.balancer.hedging = None;
        config.client.health_checks = evenkeel_otlp::HealthChecks::None;
    })
    .unwrap()
}

fn gateway(collectors: &[&Collector]) -> Gateway {
    Gateway::start(config(collectors)).unwrap()
}

/// Waits until it holds; a test that waits for what never comes fails.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    assert!(waited.is_ok(), "waited in vain until {what}");
}

/// Lets this time pass at once, for what is idle too.
async fn pass(time: Duration) {
    const STEP: Duration = Duration::from_millis(250);
    tokio::time::pause();
    let mut passed = Duration::ZERO;
    while passed < time {
        tokio::time::advance(STEP).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        passed += STEP;
    }
    tokio::time::resume();
}
