//! A second backend, when the first takes long.

use std::io;
use std::time::Duration;

use evenkeel_balancer::{HedgeConfig, LoadBalancer, LoadBalancerConfig, Readiness, Repeat, RequestContext};
use tokio::time::{Instant, sleep};

use crate::{balancer, in_flight, quick};

fn hedging() -> LoadBalancerConfig {
    LoadBalancerConfig {
        hedging: Some(HedgeConfig::default()),
        strategy: "power_of_two".parse().unwrap(),
        ..quick()
    }
}

/// Backend 0 takes `slow`, the others 2 ms; the longest that a request took of so many.
async fn drive(balancer: &LoadBalancer<usize>, slow: Duration, requests: usize) -> Duration {
    let request = RequestContext::new().with_repeat(Repeat::Always);
    let mut longest = Duration::ZERO;
    for _ in 0..requests {
        let started = Instant::now();
        balancer
            .call(&request, |backend| async move {
                let time = if *backend == 0 {
                    slow
                } else {
                    Duration::from_millis(2)
                };
                sleep(time).await;
                Ok::<_, io::Error>(())
            })
            .await
            .unwrap();
        longest = longest.max(started.elapsed());
        sleep(Duration::from_millis(1)).await;
    }
    longest
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_hangs_costs_milliseconds_and_is_found_out() {
    let balancer = balancer(3, hedging());
    drive(&balancer, Duration::from_millis(2), 2_000).await;
    let before = balancer.stats();
    assert!(before.hedges < 20, "{}", before.hedges);
    let longest = drive(&balancer, Duration::from_secs(3600), 300).await;
    assert!(longest <= Duration::from_millis(20), "{longest:?}");
    let stats = balancer.stats();
    assert_eq!(stats.backends[0].readiness, Readiness::Ejected);
    let sent = stats.backends[0].requests.requests - before.backends[0].requests.requests;
    assert!(sent <= 4, "{sent} requests went to a backend that hangs");
    assert_eq!(in_flight(&balancer), 0);
    assert!(stats.hedges_won >= 3);
    // Well again: it is back by a trial.
    drive(&balancer, Duration::from_millis(2), 2_000).await;
    assert_eq!(balancer.stats().backends[0].readiness, Readiness::Ready);
}

#[tokio::test(start_paused = true)]
async fn the_delay_follows_the_live_latency() {
    let balancer = balancer(2, hedging());
    // All take 60 ms: before that is known the delay is the longest, after it the 95th percentile.
    let request = RequestContext::new().with_repeat(Repeat::Always);
    for _ in 0..200 {
        let attempt = |_| async {
            sleep(Duration::from_millis(60)).await;
            Ok::<_, io::Error>(())
        };
        balancer.call(&request, attempt).await.unwrap();
    }
    let hedges = balancer.stats().hedges;
    assert!(hedges < 5, "{hedges} hedges where nothing was slower than usual");
    let longest = drive(&balancer, Duration::from_secs(3600), 30).await;
    let expected = Duration::from_millis(60)..Duration::from_millis(70);
    assert!(expected.contains(&longest), "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_repeated_is_not_hedged() {
    let balancer = balancer(2, hedging());
    for _ in 0..50 {
        let attempt = |_| async {
            sleep(Duration::from_millis(500)).await;
            Ok::<_, io::Error>(())
        };
        balancer.call(&RequestContext::new(), attempt).await.unwrap();
    }
    let stats = balancer.stats();
    assert_eq!((stats.hedges, stats.requests.requests), (0, 50));
}

#[tokio::test(start_paused = true)]
async fn hedges_come_out_of_the_budget() {
    let mut config = hedging();
    config.retry_budget.min_per_second = 0.0;
    config.retry_budget.ratio = 0.1;
    let balancer = balancer(2, config);
    let request = RequestContext::new().with_repeat(Repeat::Always);
    let attempt = |_| async {
        sleep(Duration::from_millis(400)).await;
        Ok::<_, io::Error>(())
    };
    for _ in 0..20 {
        balancer.call(&request, attempt).await.unwrap();
    }
    assert!(balancer.stats().hedges <= 2);
}

#[tokio::test(start_paused = true)]
async fn a_bad_first_answer_is_waited_past() {
    let balancer = balancer(2, hedging());
    let request = RequestContext::new().with_repeat(Repeat::Always);
    for _ in 0..10 {
        let answer = balancer
            .call(&request, |backend| async move {
                // The one fails after its hedge was sent, the other answers later still.
                sleep(Duration::from_millis(if *backend == 0 { 250 } else { 300 })).await;
                if *backend == 0 {
                    Err(io::Error::from(io::ErrorKind::ConnectionReset))
                } else {
                    Ok(())
                }
            })
            .await;
        answer.unwrap();
    }
    assert_eq!(in_flight(&balancer), 0);
}
