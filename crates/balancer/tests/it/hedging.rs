//! A second backend, when the first takes long.

use std::io;
use std::time::Duration;

use evenkeel_balancer::{
    Classification, HedgeConfig, LoadBalancer, LoadBalancerConfig, Readiness, Repeat, RequestContext,
};
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

#[tokio::test(start_paused = true)]
async fn a_bad_answer_to_the_hedge_neither_ends_the_call_nor_blames_the_first() {
    let mut config = hedging();
    config.strategy = "round_robin".parse().unwrap();
    config.outlier_detection = None;
    let balancer = balancer(2, config);
    for _ in 0..40 {
        let classify =
            |result: &Result<u16, io::Error>| Classification::of_http(*result.as_ref().unwrap(), None);
        let asked = std::cell::RefCell::new(Vec::new());
        let request = RequestContext::new().with_repeat(Repeat::Always);
        // "b" answers 500 at once; "a" is fine and takes 250 ms.
        let attempt = |backend: evenkeel_balancer::BackendRef<usize>| {
            asked.borrow_mut().push(*backend);
            async move {
                if *backend == 0 {
                    sleep(Duration::from_millis(250)).await;
                    Ok::<_, io::Error>(200)
                } else {
                    Ok(500)
                }
            }
        };
        let answer = balancer.call_with(&request, &classify, attempt).await.unwrap();
        assert!(asked.borrow()[0] != 0 || answer == 200, "{:?}", asked.borrow());
    }
    let stats = balancer.stats();
    assert_eq!((stats.backends[0].overtaken, stats.backends[0].ejections), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_this_machine_lacks_for_the_hedge_does_not_end_the_first() {
    let balancer = balancer(2, hedging());
    for _ in 0..20 {
        let count = std::cell::Cell::new(0);
        let request = RequestContext::new().with_repeat(Repeat::Always);
        let attempt = |_| {
            count.set(count.get() + 1);
            let second = count.get() == 2;
            async move {
                if second {
                    // No descriptors left.
                    return Err(io::Error::from_raw_os_error(24));
                }
                sleep(Duration::from_millis(250)).await;
                Ok(())
            }
        };
        balancer.call(&request, attempt).await.unwrap();
    }
    assert!(
        balancer
            .stats()
            .backends
            .iter()
            .all(|backend| backend.overtaken == 0)
    );
}

#[tokio::test(start_paused = true)]
async fn backends_of_wide_latency_are_not_taken_for_hanging() {
    let balancer = balancer(3, hedging());
    let mut random = fastrand::Rng::with_seed(7);
    let mut calls = Vec::new();
    for _ in 0..3_000 {
        let (balancer, times) = (balancer.clone(), [random.f64(), random.f64()]);
        calls.push(tokio::spawn(async move {
            let next = std::sync::atomic::AtomicUsize::new(0);
            let request = RequestContext::new().with_repeat(Repeat::Always);
            // Exponential, of a mean of 800 ms.
            let attempt = |_| {
                let time = -(1.0 - times[next.fetch_max(1, std::sync::atomic::Ordering::Relaxed)]).ln() * 0.8;
                async move {
                    sleep(Duration::from_secs_f64(time)).await;
                    Ok::<_, io::Error>(())
                }
            };
            balancer.call(&request, attempt).await.is_ok()
        }));
        sleep(Duration::from_millis(100)).await;
    }
    for call in calls {
        assert!(call.await.unwrap());
    }
    let stats = balancer.stats();
    let opened: Vec<_> = stats
        .backends
        .iter()
        .map(|backend| backend.breaker.opened)
        .collect();
    assert_eq!(opened, [0; 3], "nobody ever failed");
}

#[tokio::test(start_paused = true)]
async fn a_hedge_with_nobody_to_go_to_costs_nothing() {
    let balancer = balancer(2, hedging());
    balancer.set_health("b", false).unwrap();
    let request = RequestContext::new().with_repeat(Repeat::Always);
    for _ in 0..50 {
        let attempt = |_| async {
            sleep(Duration::from_millis(300)).await;
            Ok::<_, io::Error>(())
        };
        balancer.call(&request, attempt).await.unwrap();
    }
    let stats = balancer.stats();
    assert_eq!(
        (stats.requests.requests, stats.requests.cancelled, stats.hedges),
        (50, 0, 0)
    );
}
