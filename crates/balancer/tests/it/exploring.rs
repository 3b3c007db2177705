//! Backends that a strategy shuns are asked again.

use std::time::Duration;

use evenkeel_balancer::{LoadBalancer, LoadBalancerConfig, Outcome, Repeat, RequestContext};
use tokio::time::sleep;

use crate::{balancer, quick};

/// Sends 100 requests a second for so many seconds, each of 1 ms; the first backend's end as `sick` says. How
/// many the first got.
async fn run(
    balancer: &LoadBalancer<usize>,
    seconds: u32,
    request: RequestContext<'_>,
    sick: Outcome,
) -> u32 {
    let mut first = 0;
    for _ in 0..seconds * 100 {
        let pick = balancer.pick(&request).unwrap();
        sleep(Duration::from_millis(1)).await;
        if *pick == 0 {
            first += 1;
            pick.finish(sick);
        } else {
            pick.finish(Outcome::Success);
        }
        sleep(Duration::from_millis(9)).await;
    }
    first
}

/// By latency, which shuns; the breaker stays out of it.
fn by_latency() -> LoadBalancerConfig {
    LoadBalancerConfig {
        strategy: "peak_ewma".parse().unwrap(),
        circuit_breaker_threshold: 1_000,
        circuit_breaker_min_success_rate: 0.0,
        outlier_detection: None,
        ..quick()
    }
}

fn repeatable() -> RequestContext<'static> {
    RequestContext::new().with_repeat(Repeat::Always)
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_has_failed_is_asked_once_a_second_and_gets_its_share_when_it_is_well() {
    let balancer = balancer(3, by_latency());
    run(&balancer, 2, repeatable(), Outcome::Success).await;
    let sick = run(&balancer, 10, repeatable(), Outcome::Failure).await;
    assert!((7..=12).contains(&sick), "{sick} of 1000");
    run(&balancer, 2, repeatable(), Outcome::Success).await;
    let share = run(&balancer, 10, repeatable(), Outcome::Success).await;
    assert!(share > 200, "{share} of 1000");
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_was_ejected_is_asked_as_soon_as_it_may_be() {
    let config = LoadBalancerConfig {
        circuit_breaker_threshold: 3,
        ..by_latency()
    };
    let balancer = balancer(3, config);
    run(&balancer, 2, repeatable(), Outcome::Success).await;
    run(&balancer, 20, repeatable(), Outcome::Failure).await;
    assert!(balancer.stats().backends[0].ejections > 0);
    let back = run(&balancer, 3, repeatable(), Outcome::Success).await;
    assert!(back > 2, "in use within 3 s");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_may_not_be_repeated_asks_only_if_no_other_does() {
    let balancer = balancer(3, by_latency());
    run(&balancer, 2, RequestContext::new(), Outcome::Success).await;
    let sick = run(&balancer, 20, RequestContext::new(), Outcome::Failure).await;
    assert!((4..=11).contains(&sick), "{sick} of 2000: half as often");
}

#[tokio::test(start_paused = true)]
async fn a_request_with_a_key_goes_where_its_key_says() {
    let balancer = balancer(3, by_latency());
    run(&balancer, 2, repeatable(), Outcome::Success).await;
    run(&balancer, 1, repeatable(), Outcome::Failure).await;
    let keyed = run(&balancer, 10, repeatable().with_key(b"k"), Outcome::Failure).await;
    assert!(keyed <= 1, "{keyed}: none is sent to ask");
}

#[tokio::test(start_paused = true)]
async fn with_all_alike_nobody_is_asked_out_of_turn() {
    let config = LoadBalancerConfig {
        strategy: "round_robin".parse().unwrap(),
        ..by_latency()
    };
    let balancer = balancer(3, config);
    let first = run(&balancer, 30, repeatable(), Outcome::Success).await;
    assert_eq!(first, 1_000);
}
