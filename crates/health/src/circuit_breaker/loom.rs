//! Every interleaving of few threads at a breaker. The window is off: its own models are in stats.

use std::time::Duration;

use ::loom::sync::Arc;
use ::loom::{model, thread};

use super::marks::Marks;
use super::*;
use crate::{Detector, Verdict};

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn breaker(threshold: u32, trial_permits: u32) -> Arc<CircuitBreaker> {
    let config = CircuitBreakerConfig {
        circuit_breaker_threshold: threshold,
        circuit_breaker_timeout: Duration::from_nanos(10),
        max_timeout: Duration::from_nanos(10),
        jitter: 0.0,
        min_success_rate: 0.0,
        trial_permits,
        ..CircuitBreakerConfig::default()
    };
    Arc::new(CircuitBreaker::with_seed(config, 1).unwrap())
}

fn open_at_zero(breaker: &CircuitBreaker) {
    breaker.permit(at(0)).unwrap().finish(Outcome::Failure, at(0));
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[test]
fn loom_two_who_ask_when_the_time_is_over_share_one_permit() {
    model(|| {
        let breaker = breaker(1, 1);
        open_at_zero(&breaker);
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.acquire(at(10)).is_ok())
        };
        let mine = breaker.acquire(at(10)).is_ok();
        assert!(mine ^ other.join().unwrap(), "exactly one goes");
    });
}

#[test]
fn loom_a_permit_dropped_while_another_asks_is_not_lost() {
    model(|| {
        let breaker = breaker(1, 1);
        open_at_zero(&breaker);
        let trial = breaker.permit(at(10)).unwrap();
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.permit(at(10)).map(drop).is_ok())
        };
        drop(trial);
        let _ = other.join().unwrap();
        assert!(breaker.permit(at(10)).is_ok());
    });
}

#[test]
fn loom_failures_on_two_threads_trip_once() {
    model(|| {
        let breaker = breaker(2, 1);
        let tokens = [(); 2].map(|()| breaker.acquire(at(0)).unwrap());
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.settle(tokens[0], Outcome::Failure, at(0)))
        };
        breaker.settle(tokens[1], Outcome::Failure, at(0));
        other.join().unwrap();
        let stats = breaker.stats();
        assert_eq!((stats.state, stats.opened), (CircuitState::Open, 1));
    });
}

#[test]
fn loom_a_failure_of_an_earlier_closing_never_trips_the_next() {
    model(|| {
        let breaker = breaker(1, 1);
        let late = breaker.acquire(at(0)).unwrap();
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.settle(late, Outcome::Failure, at(0)))
        };
        breaker.reset(at(1));
        other.join().unwrap();
        // It tripped before the reset or not at all; in either case the reset is what holds.
        assert_eq!(breaker.state(), CircuitState::Closed);
        assert_eq!(breaker.evidence.run(), 0);
    });
}

#[test]
fn loom_a_success_ends_no_run_that_began_after_it() {
    model(|| {
        let breaker = breaker(2, 1);
        let late = breaker.acquire(at(0)).unwrap();
        breaker.settle(breaker.acquire(at(0)).unwrap(), Outcome::Failure, at(0));
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.settle(late, Outcome::Success, at(0)))
        };
        breaker.reset(at(1));
        breaker.settle(breaker.acquire(at(1)).unwrap(), Outcome::Failure, at(1));
        other.join().unwrap();
        assert_eq!(breaker.evidence.run(), 1);
    });
}

#[test]
fn loom_a_success_among_failures_ends_the_run() {
    model(|| {
        let breaker = breaker(3, 1);
        let send = |breaker: &CircuitBreaker, outcome| {
            let token = breaker.acquire(at(0)).unwrap();
            breaker.settle(token, outcome, at(0));
        };
        send(&breaker, Outcome::Failure);
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || send(&breaker, Outcome::Success))
        };
        send(&breaker, Outcome::Failure);
        other.join().unwrap();
        // In no order were there three in a row.
        send(&breaker, Outcome::Failure);
        assert_eq!(breaker.state(), CircuitState::Closed);
    });
}

#[test]
fn loom_who_sees_it_open_sees_until_when() {
    model(|| {
        let breaker = breaker(1, 1);
        let reader = {
            let breaker = breaker.clone();
            thread::spawn(move || (breaker.state(), breaker.verdict(at(9))))
        };
        open_at_zero(&breaker);
        let (state, verdict) = reader.join().unwrap();
        if state == CircuitState::Open {
            assert_eq!(verdict, Verdict::Ejected { until: at(10) });
        }
    });
}

/// Evidence by itself: with a window of few slots.
fn evidence() -> Arc<Evidence> {
    let config = CircuitBreakerConfig {
        window_slots: 2,
        ..CircuitBreakerConfig::default()
    };
    Arc::new(Evidence::new(&config).unwrap())
}

#[test]
fn loom_no_failure_is_missing_in_the_excess() {
    model(|| {
        let evidence = evidence();
        let other = {
            let evidence = evidence.clone();
            thread::spawn(move || evidence.failure(0, true, CountedBy::Breaker, at(0)))
        };
        evidence.failure(0, true, CountedBy::Breaker, at(0));
        other.join().unwrap();
        let two = evidence.excess();
        evidence.reset(1);
        evidence.failure(1, true, CountedBy::Breaker, at(0));
        assert_eq!(two, evidence.excess() * 2);
    });
}

#[test]
fn loom_a_failure_of_an_earlier_era_is_not_in_the_next_excess() {
    model(|| {
        let evidence = evidence();
        let late = {
            let evidence = evidence.clone();
            thread::spawn(move || evidence.failure(0, true, CountedBy::Breaker, at(0)))
        };
        evidence.reset(1);
        late.join().unwrap();
        assert_eq!(evidence.excess(), 0);
    });
}

#[test]
fn loom_of_two_who_begin_a_slot_one_does() {
    model(|| {
        let marks = Arc::new(Marks::new(2, Duration::from_nanos(10)));
        marks.show(0, at(0));
        let other = {
            let marks = marks.clone();
            thread::spawn(move || marks.show(5, at(10)))
        };
        marks.show(6, at(10));
        other.join().unwrap();
        // The slot before drops out with the next; what it held was shown by either, one apart.
        assert!((2..=3).contains(&marks.within(8, at(20))));
    });
}

#[test]
fn loom_a_clear_is_not_undone_by_one_who_begins_a_slot() {
    model(|| {
        let marks = Arc::new(Marks::new(2, Duration::from_nanos(10)));
        marks.show(0, at(0));
        let other = {
            let marks = marks.clone();
            thread::spawn(move || marks.show(5, at(10)))
        };
        marks.clear();
        other.join().unwrap();
        // Whichever came first, what was counted before is out, but for who was between the two.
        assert!(marks.within(7, at(11)) <= 2);
    });
}
