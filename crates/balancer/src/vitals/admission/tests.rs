//! A trial, and who is turned away by it meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use evenkeel_health::CircuitBreakerConfig;
use evenkeel_stats::{ManualClock, Outcome, Readiness};
use evenkeel_strategy::Member;

use super::*;
use crate::vitals::Ended;

/// A backend whose breaker opens at the first failure, for a second.
fn backend() -> Vitals {
    let breaker = CircuitBreaker::new(CircuitBreakerConfig {
        circuit_breaker_threshold: 1,
        circuit_breaker_timeout: Duration::from_secs(1),
        max_timeout: Duration::from_secs(1),
        jitter: 0.0,
        ..CircuitBreakerConfig::default()
    });
    let member = Member::new("a").with_load(Arc::new(LoadCell::new()));
    Vitals::new(
        member,
        Arc::new(ManualClock::new()),
        Arc::default(),
        breaker.unwrap(),
        None,
        None,
    )
}

fn end(vitals: &Vitals, outcome: Outcome, now: Timestamp, trial: Option<Trial>) {
    vitals.cell().begin();
    let ended = Ended {
        outcome,
        failure: None,
        relearn: false,
        started: now,
        now,
    };
    vitals.settle(&ended, trial);
}

/// Trips it at `now`; when its trial may be held, and the trial's permit.
fn on_trial(vitals: &Vitals, now: Timestamp) -> (Timestamp, Trial) {
    end(vitals, Outcome::Failure, now, None);
    assert_eq!(vitals.cell().readiness(now), Readiness::Ejected);
    let later = now.saturating_add(Duration::from_secs(2));
    match vitals.admit(later) {
        Admission::Trial(trial) => (later, trial),
        _ => panic!("no trial"),
    }
}

#[test]
fn who_is_turned_away_while_the_trial_passes_does_not_put_the_backend_out_again() {
    let vitals = backend();
    let mut now = Timestamp::from_nanos(1);
    for _ in 0..300 {
        let (later, trial) = on_trial(&vitals, now);
        now = later;
        let (denied, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    if matches!(vitals.admit(now), Admission::Denied) {
                        denied.store(true, Ordering::Relaxed);
                    }
                }
            });
            while !denied.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            end(&vitals, Outcome::Success, now, Some(trial));
            ended.store(true, Ordering::Relaxed);
        });
        assert_eq!(vitals.cell().readiness(now), Readiness::Ready);
    }
}

#[test]
fn a_trial_that_is_given_up_is_there_for_the_very_next_request() {
    let vitals = backend();
    let (now, trial) = on_trial(&vitals, Timestamp::from_nanos(1));
    assert!(matches!(vitals.admit(now), Admission::Denied));
    assert_eq!(
        vitals.cell().readiness(now),
        Readiness::Ejected,
        "others are kept away"
    );
    end(&vitals, Outcome::Cancelled, now, Some(trial));
    assert_eq!(vitals.cell().readiness(now), Readiness::Ready);
    assert!(matches!(vitals.admit(now), Admission::Trial(_)));
}
