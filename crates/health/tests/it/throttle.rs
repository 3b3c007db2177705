//! What would be refused there is refused here.

use std::time::Duration;

use evenkeel_health::{Throttle, ThrottleConfig};
use evenkeel_stats::{Outcome, Timestamp};

use crate::random::Random;

const OVERLOAD: Outcome = Outcome::Overload { retry_after: None };

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

/// Of `requests`, one each ms from `from` on, how many are sent to a backend that accepts one in each
/// `pause` ms.
fn sent(throttle: &Throttle, random: &mut Random, from: u64, requests: u64, pause: u64) -> u64 {
    let (mut sent, mut free) = (0, from);
    for i in from..from + requests {
        if throttle.admit(at(i), random.word()) {
            sent += 1;
            let outcome = if i >= free { Outcome::Success } else { OVERLOAD };
            if i >= free {
                free = i + pause;
            }
            throttle.record(outcome, at(i));
        }
    }
    sent
}

#[test]
fn a_backend_that_accepts_all_is_sent_all() {
    let throttle = Throttle::new(ThrottleConfig::default()).unwrap();
    assert_eq!(sent(&throttle, &mut Random::new(1), 0, 100_000, 1), 100_000);
    assert_eq!(throttle.rejection_probability(at(100_000)), 0.0);
}

#[test]
fn a_backend_at_its_limit_is_sent_about_twice_that_and_found_well_again() {
    let (throttle, mut random) = (Throttle::new(ThrottleConfig::default()).unwrap(), Random::new(2));
    sent(&throttle, &mut random, 0, 200_000, 10);
    // It takes a tenth of the load when asked all the time, half of that when asked at random.
    let limited = sent(&throttle, &mut random, 200_000, 100_000, 10);
    assert!((9_000..14_000).contains(&limited), "{limited}");
    sent(&throttle, &mut random, 300_000, 300_000, 1);
    let well = sent(&throttle, &mut random, 600_000, 10_000, 1);
    assert_eq!(well, 10_000);
}

#[test]
fn requests_under_way_and_those_given_up_are_not_taken_for_refused() {
    let throttle = Throttle::new(ThrottleConfig::default()).unwrap();
    let mut random = Random::new(3);
    // A backend that takes 600 ms for each and accepts all, a request each ms; one in three is dropped.
    for i in 0..20_000 {
        assert!(throttle.admit(at(i), random.word()), "{i}");
        if i >= 600 && i % 3 != 0 {
            throttle.record(Outcome::Success, at(i));
        }
    }
    assert_eq!(throttle.rejection_probability(at(20_000)), 0.0);
}

#[test]
fn failures_and_cancellations_are_not_taken_for_overload() {
    let throttle = Throttle::new(ThrottleConfig::default()).unwrap();
    for outcome in [Outcome::Failure, Outcome::Cancelled, Outcome::Success] {
        for _ in 0..100 {
            throttle.admit(at(1), u64::MAX);
            throttle.record(outcome, at(1));
        }
    }
    assert_eq!(throttle.rejection_probability(at(1)), 0.0);
}

#[test]
fn the_probability_is_that_of_the_book() {
    let throttle = Throttle::new(ThrottleConfig::default()).unwrap();
    for i in 0..99 {
        throttle.admit(at(1), u64::MAX);
        throttle.record(if i < 20 { Outcome::Success } else { OVERLOAD }, at(1));
    }
    assert!((throttle.rejection_probability(at(1)) - 0.59).abs() < 1e-9);
}

#[test]
fn each_field_out_of_range_is_refused_by_its_name() {
    let multiplier = |multiplier| ThrottleConfig {
        multiplier,
        ..ThrottleConfig::default()
    };
    for (field, config) in [
        ("multiplier", multiplier(1.0)),
        ("multiplier", multiplier(f64::NAN)),
        (
            "window",
            ThrottleConfig {
                window: Duration::from_millis(999),
                ..ThrottleConfig::default()
            },
        ),
    ] {
        let error = Throttle::new(config).unwrap_err().to_string();
        assert!(error.contains(&format!("ThrottleConfig.{field} ")), "{error}");
    }
}
