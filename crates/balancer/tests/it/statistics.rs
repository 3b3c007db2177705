//! What the statistics say is what happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel_balancer::{
    BackendServer, LoadBalancer, LoadBalancerConfig, MemberError, Outcome, Readiness, RequestContext,
    latency_trend, rate_trend, success_trend,
};
use evenkeel_health::ReadinessReason;
use evenkeel_stats::{Failure, FailureKind, Observe, OutcomeEvent, Phase, TokioClock};
use tokio::time::{advance, sleep};

use crate::{balancer, quick};

#[tokio::test(start_paused = true)]
async fn each_way_to_end_is_counted_once_and_by_class() {
    let balancer = balancer(1, quick());
    let pick = || balancer.pick(&RequestContext::new()).unwrap();
    let refused = Failure {
        phase: Phase::Connect,
        kind: FailureKind::Refused,
    };
    let first = pick();
    advance(Duration::from_millis(40)).await;
    first.finish(Outcome::Success);
    pick().finish_after(Outcome::Success, Duration::from_millis(20));
    pick().fail(refused);
    pick().finish(Outcome::Failure);
    pick().finish(Outcome::Overload { retry_after: None });
    pick().finish(Outcome::Cancelled);
    drop(pick());
    let open = pick();
    let stats = balancer.stats();
    let requests = stats.requests;
    assert_eq!(
        (
            requests.requests,
            requests.successes,
            requests.failures,
            requests.overloads
        ),
        (8, 2, 2, 1)
    );
    assert_eq!((requests.cancelled, requests.in_flight), (2, 1));
    assert_eq!(requests.failures_by_class.count(refused), 1);
    assert_eq!(requests.success_rate(), Some(0.4));
    assert!((29..=31).contains(&requests.latency.mean.as_millis()));
    assert!((39..=41).contains(&requests.latency.max.as_millis()));
    assert_eq!(stats.backends[0].share, 1.0);
    assert!(
        stats.backends[0].latency_average.unwrap() > Duration::from_secs(1),
        "it failed"
    );
    drop(open);
}

#[tokio::test(start_paused = true)]
async fn results_measured_elsewhere_count_like_others() {
    let balancer = balancer(2, quick());
    balancer
        .record_request_result("a", true, Duration::from_millis(7))
        .unwrap();
    for _ in 0..3 {
        balancer
            .record_request_result("b", false, Duration::from_millis(1))
            .unwrap();
    }
    let stats = balancer.stats();
    assert_eq!(stats.backends[0].requests.successes, 1);
    assert_eq!(stats.backends[1].requests.failures, 3);
    assert_eq!(
        stats.backends[1].readiness,
        Readiness::Ejected,
        "they trip the breaker too"
    );
    assert_eq!(stats.requests.in_flight, 0);
    let unknown = balancer
        .record_request_result("x", true, Duration::ZERO)
        .unwrap_err();
    assert!(matches!(unknown, MemberError::Unknown { id } if id.as_str() == "x"));
}

#[tokio::test(start_paused = true)]
async fn time_in_each_readiness_adds_up_and_each_has_its_reason() {
    let balancer = balancer(2, quick());
    let reason = || balancer.stats().backends[0].reason;
    advance(Duration::from_secs(1)).await;
    balancer.set_health("a", false).unwrap();
    assert_eq!(reason(), ReadinessReason::CheckFailed);
    advance(Duration::from_secs(2)).await;
    balancer.set_health("a", true).unwrap();
    advance(Duration::from_secs(3)).await;
    balancer.disable("a").unwrap();
    assert_eq!(reason(), ReadinessReason::Disabled);
    advance(Duration::from_secs(4)).await;
    let stats = &balancer.stats().backends[0];
    let seconds = stats.time_in.map(|time| time.as_secs());
    // Ready, degraded, draining, unhealthy, ejected.
    assert_eq!(seconds, [4, 0, 4, 2, 0]);
    assert_eq!(stats.entered, [1, 0, 1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_time_to_divert_counts_from_the_first_failure() {
    let balancer = balancer(1, quick());
    for _ in 0..3 {
        advance(Duration::from_millis(30)).await;
        balancer
            .pick(&RequestContext::new())
            .unwrap()
            .finish(Outcome::Failure);
    }
    let stats = &balancer.stats().backends[0];
    assert_eq!(stats.last_divert, Some(Duration::from_millis(60)));
}

#[tokio::test(start_paused = true)]
async fn trends_tell_what_gets_worse() {
    let config = LoadBalancerConfig {
        stats_window: Duration::from_secs(1),
        circuit_breaker_threshold: 1_000_000,
        circuit_breaker_min_success_rate: 0.0,
        outlier_detection: None,
        ..quick()
    };
    let balancer = balancer(2, config);
    // Between two ticks, not on one.
    sleep(Duration::from_millis(500)).await;
    for second in 0..10_u64 {
        for request in 0..100_u64 {
            let pick = balancer.pick(&RequestContext::new()).unwrap();
            let outcome = if request < 2 * second {
                Outcome::Failure
            } else {
                Outcome::Success
            };
            pick.finish_after(outcome, Duration::from_millis(10 + second));
        }
        sleep(Duration::from_secs(1)).await;
    }
    let stats = balancer.stats();
    let latency = latency_trend(&stats.windows).unwrap();
    assert!((latency.slope_per_second - 0.001).abs() < 0.000_2, "{latency:?}");
    let success = success_trend(&stats.windows).unwrap();
    assert!((success.slope_per_second + 0.02).abs() < 0.002, "{success:?}");
    assert!(rate_trend(&stats.windows).unwrap().slope_per_second.abs() < 5.0);
    assert!(stats.windows.iter().all(|window| window.p99.is_some()));
    assert!(latency_trend(&stats.backends[0].windows).is_some());
}

#[tokio::test(start_paused = true)]
async fn windows_are_no_more_than_the_config_says() {
    let config = LoadBalancerConfig {
        stats_window: Duration::from_millis(100),
        stats_windows: 4,
        ..quick()
    };
    let balancer = balancer(1, config);
    sleep(Duration::from_secs(5)).await;
    let stats = balancer.stats();
    assert_eq!((stats.windows.len(), stats.backends[0].windows.len()), (4, 4));
}

#[derive(Default)]
struct Taps(AtomicU64);

impl Observe for Taps {
    fn outcome(&self, event: &OutcomeEvent<'_>) {
        assert_eq!(event.target.to_string(), "a");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_hears_of_each_end() {
    let taps = Arc::new(Taps::default());
    let balancer = LoadBalancer::builder()
        .backends([BackendServer::of("a")])
        .clock(Arc::new(TokioClock::new()))
        .observer(taps.clone())
        .build()
        .unwrap();
    balancer
        .pick(&RequestContext::new())
        .unwrap()
        .finish(Outcome::Success);
    drop(balancer.pick(&RequestContext::new()).unwrap());
    balancer
        .pick(&RequestContext::new())
        .unwrap()
        .overtaken(Some(Duration::ZERO));
    balancer.record_request_result("a", true, Duration::ZERO).unwrap();
    assert_eq!(taps.0.load(Ordering::Relaxed), 4);
}

#[tokio::test(start_paused = true)]
async fn what_was_in_flight_at_a_removed_backend_is_counted_to_its_end_and_after() {
    let balancer = balancer(2, quick());
    let picks: Vec<_> = (0..20)
        .map(|_| balancer.pick(&RequestContext::new()).unwrap())
        .collect();
    let (of_a, of_b): (Vec<_>, Vec<_>) = picks.into_iter().partition(|pick| **pick == 0);
    assert!(of_a.len() > 2 && of_b.len() > 2);
    balancer.remove("a").unwrap();
    let seen = |balancer: &LoadBalancer<usize>| {
        let requests = balancer.stats().requests;
        (requests.requests, requests.successes, requests.in_flight)
    };
    assert_eq!(seen(&balancer), (20, 0, 20));
    let mut ended = 0;
    for pick in of_a.into_iter().chain(of_b) {
        pick.finish(Outcome::Success);
        ended += 1;
        assert_eq!(seen(&balancer), (20, ended, 20 - ended));
    }
}
