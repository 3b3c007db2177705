//! How fast it sees a sick backend, and that it leaves a well one alone: at 100 requests a second.

use std::time::Duration;

use evenkeel_health::{CircuitBreaker, CircuitBreakerConfig, CircuitState};
use evenkeel_stats::{Outcome, Timestamp};

use crate::random::Random;

const BETWEEN: u64 = 10_000_000; // 10 ms

fn breaker(seed: u64) -> CircuitBreaker {
    CircuitBreaker::with_seed(CircuitBreakerConfig::default(), seed).unwrap()
}

/// Sends `requests` from the time `from` on, of which the share `failing` fails; the time of the
/// opening.
fn run(
    breaker: &CircuitBreaker,
    random: &mut Random,
    failing: f64,
    from: Timestamp,
    requests: u64,
) -> Option<Timestamp> {
    for i in 0..requests {
        let now = Timestamp::from_nanos(from.as_nanos() + i * BETWEEN);
        let outcome = if random.unit() < failing {
            Outcome::Failure
        } else {
            Outcome::Success
        };
        breaker.permit(now).unwrap().finish(outcome, now);
        if breaker.state() == CircuitState::Open {
            return Some(now);
        }
    }
    None
}

/// Detection times over 200 seeds, shortest first, of a backend that begins to fail after `healthy`
/// requests of which 1 % failed.
fn detections(failing: f64, healthy: u64) -> Vec<Duration> {
    let mut times: Vec<_> = (0..200)
        .map(|seed| {
            let (breaker, mut random) = (breaker(seed), Random::new(seed));
            assert_eq!(run(&breaker, &mut random, 0.01, Timestamp::ZERO, healthy), None);
            let from = Timestamp::from_nanos(healthy * BETWEEN);
            let opened = run(&breaker, &mut random, failing, from, 10_000).expect("it is sick");
            // The first request takes its time as well.
            opened.since(from) + Duration::from_nanos(BETWEEN)
        })
        .collect();
    times.sort_unstable();
    times
}

#[test]
fn a_dead_backend_is_found_within_a_tenth_of_a_second_however_well_it_was() {
    for healthy in [0, 1_000, 100_000] {
        assert_eq!(detections(1.0, healthy)[199], Duration::from_millis(70));
    }
}

#[test]
fn a_backend_that_fails_half_or_a_third_from_the_start_is_found_in_little_over_half_a_second() {
    let limit = Duration::from_millis(600);
    let half = detections(0.5, 0);
    assert!(half[199] <= limit, "{:?}", half[199]);
    // 50 samples at a rate of 0.7 are sometimes at 0.8 by chance, so a few take longer.
    let third = detections(0.3, 0);
    assert!(third[100] <= limit && third[180] <= limit, "{third:?}");
}

/// The window remembers ten good seconds, which the bad ones have to outweigh.
#[test]
fn a_backend_that_was_well_before_is_found_within_the_window() {
    let half = detections(0.5, 1_000);
    assert!(
        half[100] <= Duration::from_secs(3) && half[199] <= Duration::from_secs(5),
        "{half:?}"
    );
    let third = detections(0.3, 1_000);
    assert!(third[199] <= Duration::from_secs(10), "{third:?}");
}

#[test]
fn one_failure_in_twenty_never_opens_it_in_an_hour() {
    for seed in 0..200 {
        let (breaker, mut random) = (breaker(seed), Random::new(seed));
        let opened = run(&breaker, &mut random, 0.05, Timestamp::ZERO, 360_000);
        assert_eq!(opened, None, "seed {seed}");
    }
}
