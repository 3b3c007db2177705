//! The balancer as its users see it, under the hazards that the file names say.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bad_input;
mod calls;
mod chaos;
#[cfg(feature = "checks")]
mod checks;
mod classes;
mod discovery;
mod diverting;
mod draining;
mod examples;
mod exploring;
mod hedging;
mod membership;
mod model;
mod no_allocation;
mod picks;
mod sessions;
mod statistics;
#[cfg(feature = "tower")]
mod tower;
mod trips;

use std::sync::Arc;
use std::time::Duration;

use evenkeel_balancer::{BackendServer, LoadBalancer, LoadBalancerConfig, RequestContext};
use evenkeel_stats::TokioClock;

/// `a`, `b`, `c`... in tokio's time; what each carries is its number.
fn balancer(count: usize, config: LoadBalancerConfig) -> LoadBalancer<usize> {
    let servers = (0..count).map(|index| BackendServer::new(name(index), index));
    LoadBalancer::builder()
        .config(config)
        .backends(servers)
        .clock(Arc::new(TokioClock::new()))
        .build()
        .unwrap()
}

fn name(index: usize) -> String {
    char::from(b'a' + u8::try_from(index).unwrap()).to_string()
}

/// A config with a breaker that opens after three failures, for exactly known times.
fn quick() -> LoadBalancerConfig {
    LoadBalancerConfig {
        circuit_breaker_threshold: 3,
        slow_start: None,
        ..LoadBalancerConfig::default()
    }
}

/// How many of so many picks each backend gets, all of them successes of 1 ms.
fn shares(balancer: &LoadBalancer<usize>, count: usize, picks: usize) -> Vec<usize> {
    let mut shares = vec![0; count];
    for _ in 0..picks {
        let pick = balancer.pick(&RequestContext::new()).unwrap();
        shares[*pick] += 1;
        pick.finish_after(evenkeel_balancer::Outcome::Success, Duration::from_millis(1));
    }
    shares
}

/// Everything in flight, at members and at whom a handle is still held of.
fn in_flight(balancer: &LoadBalancer<usize>) -> u64 {
    balancer.stats().requests.in_flight
}
