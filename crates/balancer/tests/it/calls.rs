//! Requests that are sent again, and those that must not be.

use std::cell::{Cell, RefCell};
use std::io;
use std::time::Duration;

use evenkeel_balancer::{
    CallError, Classification, LoadBalancerConfig, Outcome, Repeat, RequestContext, Retry,
};
use evenkeel_health::RetryBudgetConfig;
use tokio::time::{Instant, sleep, timeout};

use crate::{balancer, in_flight, quick};

fn repeatable() -> RequestContext<'static> {
    RequestContext::new().with_repeat(Repeat::Always)
}

fn error(kind: io::ErrorKind) -> io::Error {
    kind.into()
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_mended_elsewhere() {
    let balancer = balancer(3, quick());
    let asked = RefCell::new(Vec::new());
    for _ in 0..50 {
        let answer = balancer
            .call(&repeatable(), |backend| {
                asked.borrow_mut().push(*backend);
                async move {
                    if *backend == 0 {
                        Err(error(io::ErrorKind::ConnectionReset))
                    } else {
                        Ok(*backend)
                    }
                }
            })
            .await;
        assert_ne!(answer.unwrap(), 0);
    }
    let stats = balancer.stats();
    assert_eq!(stats.calls, 50);
    let failed = stats.backends[0].requests.failures;
    assert!(failed >= 1);
    assert_eq!((stats.retries, stats.failovers), (failed, failed));
    assert_eq!(stats.requests.in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_acted_on_is_not_sent_again() {
    let balancer = balancer(3, quick());
    let count = Cell::new(0);
    let outcome: Result<(), _> = balancer
        .call(&RequestContext::new(), |_| {
            count.set(count.get() + 1);
            async { Err(error(io::ErrorKind::ConnectionReset)) }
        })
        .await;
    assert!(matches!(outcome, Err(CallError::Failed { attempts, .. }) if attempts.len() == 1));
    assert_eq!(count.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_surely_not_sent_is_sent_again_unless_that_is_forbidden() {
    let balancer = balancer(3, quick());
    for (repeat, expected) in [(Repeat::IfUnsent, 3), (Repeat::Never, 1)] {
        let count = Cell::new(0);
        let request = RequestContext::new().with_repeat(repeat);
        let outcome: Result<(), _> = balancer
            .call(&request, |_| {
                count.set(count.get() + 1);
                async { Err(error(io::ErrorKind::ConnectionRefused)) }
            })
            .await;
        assert!(outcome.is_err());
        assert_eq!(count.get(), expected, "{repeat:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_names_every_backend_and_why() {
    let balancer = balancer(3, quick());
    let outcome: Result<(), _> = balancer
        .call(&repeatable(), |backend| async move {
            Err(io::Error::other(format!("broken {}", *backend)))
        })
        .await;
    let failed = outcome.unwrap_err();
    assert_eq!(failed.attempts().len(), 3);
    let text = failed.to_string();
    for expected in ["a: broken 0", "b: broken 1", "c: broken 2"] {
        assert!(text.contains(expected), "{text}");
    }
    let mut backends: Vec<_> = failed
        .attempts()
        .iter()
        .map(|attempt| attempt.backend.as_str())
        .collect();
    backends.sort_unstable();
    assert_eq!(backends, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn one_deadline_covers_all_attempts_and_waits() {
    let balancer = balancer(3, quick());
    for (attempt, wait) in [
        (Duration::from_secs(3600), "hang"),
        (Duration::from_millis(300), "slow"),
    ] {
        let started = Instant::now();
        let request = repeatable().with_timeout(Duration::from_millis(500));
        let outcome: Result<(), _> = balancer
            .call(&request, |_| async move {
                sleep(attempt).await;
                Err(error(io::ErrorKind::ConnectionReset))
            })
            .await;
        assert!(outcome.is_err(), "{wait}");
        let took = started.elapsed();
        assert!(took <= Duration::from_millis(502), "{wait}: {took:?}");
    }
    assert_eq!(in_flight(&balancer), 0);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_hangs_costs_one_attempt_and_not_the_call() {
    let config = LoadBalancerConfig {
        attempt_timeout: Some(Duration::from_millis(100)),
        ..quick()
    };
    let balancer = balancer(2, config);
    for _ in 0..20 {
        let started = Instant::now();
        let answer = balancer
            .call(&repeatable(), |backend| async move {
                if *backend == 0 {
                    std::future::pending::<()>().await;
                }
                Ok::<_, io::Error>(*backend)
            })
            .await;
        assert_eq!(answer.unwrap(), 1);
        assert!(started.elapsed() <= Duration::from_millis(130));
    }
    let stats = balancer.stats();
    assert!(
        (1..=3).contains(&stats.backends[0].requests.failures),
        "a hang is a failure, and trips"
    );
}

#[tokio::test(start_paused = true)]
async fn retries_stop_when_the_budget_is_spent() {
    let config = LoadBalancerConfig {
        retry_budget: RetryBudgetConfig {
            ratio: 0.1,
            min_per_second: 0.0,
            ..RetryBudgetConfig::default()
        },
        retry_delay: Duration::ZERO,
        ..quick()
    };
    let balancer = balancer(3, config);
    let count = Cell::new(0);
    for _ in 0..1_000 {
        let outcome: Result<(), _> = balancer
            .call(&repeatable(), |_| {
                count.set(count.get() + 1);
                async { Err(error(io::ErrorKind::ConnectionReset)) }
            })
            .await;
        assert!(outcome.is_err());
    }
    assert!((1_090..=1_101).contains(&count.get()), "{}", count.get());
    assert!(balancer.stats().refused_by_budget > 0);
}

/// Nothing was sent, so nobody is spared by a budget or a wait, and with them a request failed beside two backends
/// that were well.
#[tokio::test(start_paused = true)]
async fn what_was_never_sent_costs_no_budget_and_no_wait() {
    let config = LoadBalancerConfig {
        retry_budget: RetryBudgetConfig {
            ratio: 0.0,
            min_per_second: 0.0,
            ..RetryBudgetConfig::default()
        },
        retry_delay: Duration::from_secs(5),
        ..quick()
    };
    let balancer = balancer(3, config);
    let started = Instant::now();
    for _ in 0..100 {
        let first = Cell::new(true);
        let unsent = |result: &Result<(), io::Error>| match result {
            Ok(()) => Classification::SUCCESS,
            Err(_) => Classification::new(Outcome::Cancelled, Retry::Unsent),
        };
        balancer
            .call_with(&RequestContext::new(), &unsent, |_| {
                let fails = first.replace(false);
                async move {
                    if fails {
                        Err(error(io::ErrorKind::NotConnected))
                    } else {
                        Ok(())
                    }
                }
            })
            .await
            .unwrap();
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_anywhere_leaves_nothing_behind() {
    let balancer = balancer(3, quick());
    for millis in 0..60 {
        let request = repeatable();
        let call = balancer.call(&request, |backend| async move {
            sleep(Duration::from_millis(10)).await;
            if *backend == 1 {
                Ok(())
            } else {
                Err(error(io::ErrorKind::ConnectionReset))
            }
        });
        let _ = timeout(Duration::from_millis(millis), call).await;
        assert_eq!(in_flight(&balancer), 0, "dropped after {millis} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_answer_that_can_not_be_mended_is_still_the_answer() {
    let balancer = balancer(3, quick());
    let classify = |result: &Result<u16, io::Error>| match result {
        Ok(status) => Classification::of_http(*status, None),
        Err(error) => Classification::of_io(error),
    };
    let count = Cell::new(0);
    let call = async |status: u16| {
        count.set(0);
        let attempt = |_| {
            count.set(count.get() + 1);
            async move { Ok(status) }
        };
        (
            balancer
                .call_with(&repeatable(), &classify, attempt)
                .await
                .unwrap(),
            count.get(),
        )
    };
    assert_eq!(call(503).await, (503, 3));
    assert_eq!(call(404).await, (404, 1));
    assert_eq!(call(500).await, (500, 1), "what crashes one would crash the next");
}

#[tokio::test(start_paused = true)]
async fn an_overload_is_taken_elsewhere_at_once_and_waited_for_when_there_is_no_elsewhere() {
    let wait = Duration::from_millis(800);
    let classify = move |_: &Result<(), io::Error>| {
        let retry_after = Some(wait);
        Classification::new(Outcome::Overload { retry_after }, Retry::Unsent)
    };
    for (backends, retries, least, most) in [(2, 1, 0, 30), (1, 1, 800, 830)] {
        let config = LoadBalancerConfig {
            max_retries: retries,
            ..quick()
        };
        let balancer = balancer(backends, config);
        let started = Instant::now();
        let attempt = |_| async { Err::<(), _>(io::Error::other("busy")) };
        let outcome = balancer
            .call_with(&RequestContext::new(), &classify, attempt)
            .await;
        assert!(outcome.is_err());
        let took = started.elapsed().as_millis();
        assert!((least..=most).contains(&took), "{backends}: {took} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn without_backends_a_call_says_so() {
    let balancer = balancer(0, quick());
    let attempt = |_| async { Ok::<(), io::Error>(()) };
    let failed = balancer.call(&repeatable(), attempt).await.unwrap_err();
    assert_eq!(failed.to_string(), "no backend: there are no backends");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_panics_leaves_nothing_in_flight() {
    let balancer = balancer(1, quick());
    let other = balancer.clone();
    let task = tokio::spawn(async move {
        let attempt = |_| async {
            if true {
                panic!("on purpose")
            } else {
                Ok::<(), io::Error>(())
            }
        };
        other.call(&repeatable(), attempt).await
    });
    assert!(task.await.is_err());
    assert_eq!(in_flight(&balancer), 0);
}

#[tokio::test(start_paused = true)]
async fn a_second_try_at_the_same_backend_is_no_failover() {
    let balancer = balancer(1, quick());
    let count = Cell::new(0);
    let attempt = |_| {
        count.set(count.get() + 1);
        let first = count.get() == 1;
        async move {
            if first {
                Err(error(io::ErrorKind::ConnectionReset))
            } else {
                Ok(())
            }
        }
    };
    balancer.call(&repeatable(), attempt).await.unwrap();
    let stats = balancer.stats();
    assert_eq!((stats.retries, stats.failovers), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_time_that_no_clock_can_hold_is_no_panic() {
    let balancer = balancer(2, quick());
    let endless = repeatable().with_timeout(Duration::MAX);
    let attempt = |_| async { Ok::<_, io::Error>(1) };
    assert_eq!(balancer.call(&endless, attempt).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_backend_asks_for_can_not_break_its_caller() {
    let config = LoadBalancerConfig {
        retry_delay: Duration::ZERO,
        ..quick()
    };
    let balancer = balancer(1, config);
    let classify =
        |_: &Result<u16, io::Error>| Classification::of_http(429, Some(Duration::from_secs(u64::MAX)));
    let attempt = |_| async { Ok::<u16, io::Error>(429) };
    let answer = balancer.call_with(&repeatable(), &classify, attempt).await;
    assert_eq!(answer.unwrap(), 429);
}

#[tokio::test(start_paused = true)]
async fn one_caller_in_a_hurry_ejects_nobody() {
    let balancer = balancer(3, LoadBalancerConfig::default());
    for _ in 0..60 {
        let hurried = RequestContext::new().with_timeout(Duration::from_millis(5));
        let attempt = |_| async {
            sleep(Duration::from_millis(20)).await;
            Ok::<_, io::Error>(())
        };
        assert!(balancer.call(&hurried, attempt).await.is_err());
    }
    let stats = balancer.stats();
    assert!(stats.backends.iter().all(|backend| backend.ejections == 0));
}

#[tokio::test(start_paused = true)]
async fn the_last_backend_that_is_well_is_left_alone_for_as_long_as_it_asks() {
    let balancer = balancer(2, quick());
    balancer.set_health("b", false).unwrap();
    let asked = RefCell::new(Vec::new());
    let classify = |_: &Result<u8, io::Error>| Classification::of_http(429, Some(Duration::from_secs(1)));
    let attempt = |backend: evenkeel_balancer::BackendRef<usize>| {
        asked.borrow_mut().push((*backend, Instant::now()));
        async { Ok::<u8, io::Error>(1) }
    };
    balancer
        .call_with(&repeatable(), &classify, attempt)
        .await
        .unwrap();
    let asked = asked.borrow();
    assert!(asked.len() > 1);
    for pair in asked.windows(2) {
        assert!(
            pair[0].0 != pair[1].0 || pair[1].1 - pair[0].1 >= Duration::from_secs(1),
            "{asked:?}"
        );
    }
}
