//! The way back after a long outage: checks, breaker and readiness together, under paused time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evenkeel_health::{CheckConfig, CircuitBreaker, CircuitBreakerConfig, HealthChecker, ReadinessTracker};
use evenkeel_stats::{Clock, Outcome, Readiness, Timestamp, TokioClock};
use parking_lot::Mutex;
use tokio::time::sleep;

/// Minutes of outage; then it is over.
/// How long it takes to be back, how many requests went there before that, and how many failed.
async fn back_after_an_outage(seed: u64) -> (Duration, u64, u64) {
    let sick = Arc::new(AtomicBool::new(false));
    let clock = TokioClock::new();
    let breaker = CircuitBreaker::with_seed(CircuitBreakerConfig::default(), seed).unwrap();
    let breaker = Arc::new(breaker);
    let returned = Arc::new(Mutex::new(None));
    let tracker = {
        let returned = returned.clone();
        let tracker = ReadinessTracker::new("b", vec![breaker.clone()], clock.now());
        // What a balancer does here: slow start begins at this stamp.
        Arc::new(tracker.on_change(move |change| {
            if change.is_return() {
                *returned.lock() = Some(change.report.since);
            }
        }))
    };
    let probe = {
        let sick = sick.clone();
        move |_| {
            let sick = sick.load(Ordering::Relaxed);
            async move {
                if sick {
                    std::future::pending().await
                } else {
                    Ok::<_, io::Error>(())
                }
            }
        }
    };
    let checker = HealthChecker::new(CheckConfig::default(), 1, probe).unwrap();
    let (mut health, checks) = checker.watch("b:1".parse().unwrap());
    tokio::spawn(checks);
    tokio::spawn({
        let tracker = tracker.clone();
        async move { tracker.follow(&mut health, &clock).await }
    });
    sleep(Duration::from_secs(1)).await;

    // A hundred requests a second, by whoever picks it while it is eligible.
    let (mut early, mut failed) = (0, 0);
    let outage = Duration::from_secs(120) + Duration::from_millis(seed * 37 % 2_000);
    let (broke, mended) = (clock.now(), clock.now().saturating_add(outage));
    sick.store(true, Ordering::Relaxed);
    while returned.lock().is_none_or(|at: Timestamp| at < mended) {
        let now = clock.now();
        assert!(
            now < mended.saturating_add(Duration::from_secs(10)),
            "it is well and not asked"
        );
        sick.store(now < mended, Ordering::Relaxed);
        tracker.refresh(now);
        if tracker.report().readiness.is_eligible()
            && let Ok(permit) = breaker.permit(now)
        {
            let well = now >= mended;
            early += u64::from(well);
            failed += u64::from(!well);
            let outcome = if well { Outcome::Success } else { Outcome::Failure };
            if permit.finish(outcome, now) {
                tracker.refresh(now);
            }
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert!(tracker.stats(clock.now()).time_in(Readiness::Unhealthy) > outage - Duration::from_secs(3));
    assert!(broke < mended);
    let back = returned.lock().unwrap();
    (back.since(mended), early, failed)
}

#[tokio::test(start_paused = true)]
async fn a_backend_is_back_within_two_intervals_by_one_request_however_long_it_was_away() {
    for seed in 0..5 {
        let (took, early, failed) = back_after_an_outage(seed).await;
        assert!(took <= Duration::from_secs(2), "seed {seed}: {took:?}");
        assert_eq!(early, 1, "one decides, the others wait for slow start");
        // Seven open the breaker; from then on the checks spare even the trials.
        assert!(failed <= 9, "seed {seed}: {failed}");
    }
}
