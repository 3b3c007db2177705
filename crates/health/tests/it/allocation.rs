//! What is on the path of every request allocates nothing.

use allocation_counter::measure;
use evenkeel_health::{
    CircuitBreaker, CircuitBreakerConfig, ConcurrencyLimit, ConcurrencyLimitConfig, Detector, Observation,
    OutlierConfig, OutlierDetector, RetryBudget, RetryBudgetConfig, Throttle, ThrottleConfig,
};
use evenkeel_stats::{Outcome, Timestamp};

use std::sync::Arc;
use std::time::Duration;

fn allocations(mut request: impl FnMut(u64, Outcome, Timestamp)) -> u64 {
    let mut run = |requests: std::ops::Range<u64>| {
        for i in requests {
            // Failures too, but too few to open anything; and slots of windows come and go.
            let outcome = if i % 9 == 0 {
                Outcome::Failure
            } else {
                Outcome::Success
            };
            request(i, outcome, Timestamp::from_nanos(i * 10_000_000));
        }
    };
    run(0..10);
    measure(|| run(10..5_000)).count_total
}

#[test]
fn asking_and_recording_allocate_nothing() {
    let breaker = Arc::new(
        CircuitBreaker::new(CircuitBreakerConfig {
            max_excess_failures: 1_000,
            ..CircuitBreakerConfig::default()
        })
        .unwrap(),
    );
    let count = allocations(|_, outcome, now| {
        breaker.permit(now).unwrap().finish(outcome, now);
        breaker.permit_owned(now).unwrap().finish(Outcome::Success, now);
        drop(breaker.permit(now).unwrap());
    });
    assert_eq!((count, breaker.stats().opened), (0, 0));

    let group = OutlierDetector::new(OutlierConfig::default()).unwrap();
    let members: Vec<_> = (0..5).map(|_| group.join("member")).collect();
    let count = allocations(|i, outcome, now| {
        let started = now;
        members[i as usize % 5].observe(&Observation {
            outcome,
            started,
            now,
        });
    });
    assert_eq!(count, 0);

    let limit = ConcurrencyLimit::new(ConcurrencyLimitConfig::default()).unwrap();
    let throttle = Throttle::new(ThrottleConfig::default()).unwrap();
    let budget = RetryBudget::new(RetryBudgetConfig::default()).unwrap();
    let count = allocations(|i, outcome, now| {
        limit
            .begin()
            .unwrap()
            .finish(outcome, Duration::from_millis(1), now);
        throttle.admit(now, i);
        throttle.record(outcome, now);
        budget.deposit(now);
        budget.withdraw(now);
    });
    assert_eq!(count, 0);
}

/// A backend that is out costs its callers no allocation either.
#[test]
fn being_refused_allocates_nothing() {
    let breaker = CircuitBreaker::new(CircuitBreakerConfig::default()).unwrap();
    let now = Timestamp::from_nanos(1);
    for _ in 0..7 {
        breaker.permit(now).unwrap().finish(Outcome::Failure, now);
    }
    let refused = measure(|| {
        for _ in 0..1_000 {
            assert!(breaker.permit(now).is_err());
        }
    });
    assert_eq!(refused.count_total, 0);
}
