//! What a breaker must never do.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_health::{
    CallError, CircuitBreaker, CircuitBreakerConfig, CircuitReason, CircuitState, Detector, Observation,
    Rejected, TimedBreaker, Verdict,
};
use evenkeel_stats::{Clock, ManualClock, Outcome, Timestamp};
use futures::executor::block_on;
use futures::future::{pending, poll_immediate, ready};

const SECOND: Duration = Duration::from_secs(1);
const OVERLOAD: Outcome = Outcome::Overload { retry_after: None };

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

fn three() -> CircuitBreakerConfig {
    CircuitBreakerConfig {
        circuit_breaker_threshold: 3,
        jitter: 0.0,
        ..CircuitBreakerConfig::default()
    }
}

fn breaker(config: CircuitBreakerConfig) -> CircuitBreaker {
    CircuitBreaker::with_seed(config, 1).unwrap()
}

fn send(breaker: &CircuitBreaker, outcome: Outcome, now: Timestamp) {
    breaker.permit(now).unwrap().finish(outcome, now);
}

/// Open from 0 to 1 s.
fn opened() -> CircuitBreaker {
    let breaker = breaker(three());
    for _ in 0..3 {
        send(&breaker, Outcome::Failure, at(0));
    }
    assert_eq!(breaker.state(), CircuitState::Open);
    breaker
}

#[test]
fn a_late_success_from_before_the_opening_does_not_close_it() {
    let breaker = breaker(three());
    let late = breaker.permit(at(0)).unwrap();
    for _ in 0..3 {
        send(&breaker, Outcome::Failure, at(0));
    }
    let trial = breaker.permit(at(1_000)).unwrap();
    late.finish(Outcome::Success, at(1_001));
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    trial.finish(Outcome::Success, at(1_002));
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn late_failures_from_before_the_opening_do_not_open_it_again() {
    let breaker = breaker(three());
    let late: Vec<_> = (0..9).map(|_| breaker.permit(at(0)).unwrap()).collect();
    for _ in 0..3 {
        send(&breaker, Outcome::Failure, at(0));
    }
    let trial = breaker.permit(at(1_000)).unwrap();
    let mut late = late.into_iter();
    late.next().unwrap().finish(Outcome::Failure, at(1_001));
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    trial.finish(Outcome::Success, at(1_002));
    for permit in late {
        permit.finish(Outcome::Failure, at(1_003));
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn a_late_answer_of_one_trial_does_not_decide_the_next() {
    let breaker = breaker(CircuitBreakerConfig {
        trial_timeout: SECOND,
        ..three()
    });
    for _ in 0..3 {
        send(&breaker, Outcome::Failure, at(0));
    }
    let first = breaker.permit(at(1_000)).unwrap();
    // It hangs; the trial times out, for two seconds this time.
    assert!(matches!(breaker.permit(at(2_000)), Err(Rejected::Open { .. })));
    assert_eq!(breaker.stats().reason, CircuitReason::TrialTimedOut);
    let _second = breaker.permit(at(4_000)).unwrap();
    first.finish(Outcome::Success, at(4_001));
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    assert_eq!(breaker.permit(at(4_001)).unwrap_err(), Rejected::OnTrial);
}

#[test]
fn a_permit_that_is_dropped_is_there_for_the_next() {
    let breaker = opened();
    for _ in 0..5 {
        let permit = breaker.permit(at(1_000)).unwrap();
        assert_eq!(breaker.permit(at(1_000)).unwrap_err(), Rejected::OnTrial);
        drop(permit);
    }
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
}

#[test]
fn a_trial_that_was_given_up_does_not_time_out_later() {
    let breaker = breaker(CircuitBreakerConfig {
        trial_timeout: SECOND,
        ..three()
    });
    for _ in 0..3 {
        send(&breaker, Outcome::Failure, at(0));
    }
    drop(breaker.permit(at(1_000)).unwrap());
    // Long after, somebody asks again; its own time has just begun.
    let trial = breaker.permit(at(60_000)).unwrap();
    assert_eq!(breaker.permit(at(60_900)).unwrap_err(), Rejected::OnTrial);
    trial.finish(Outcome::Success, at(60_950));
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(breaker.stats().opened, 1);
}

#[test]
fn a_trial_of_three_lets_through_exactly_three() {
    let breaker = breaker(CircuitBreakerConfig {
        trial_permits: 3,
        ..three()
    });
    for _ in 0..3 {
        send(&breaker, Outcome::Failure, at(0));
    }
    let mut permits: Vec<_> = (0..3).map(|_| breaker.permit(at(1_000)).unwrap()).collect();
    permits.pop().unwrap().finish(Outcome::Success, at(1_000));
    // What succeeded is not asked for again.
    assert_eq!(breaker.permit(at(1_000)).unwrap_err(), Rejected::OnTrial);
    permits.pop().unwrap().finish(Outcome::Success, at(1_000));
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    permits.pop().unwrap().finish(Outcome::Success, at(1_000));
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn failures_from_before_the_opening_are_not_held_against_the_recovered() {
    // The window outlasts the opening by far.
    let config = CircuitBreakerConfig {
        circuit_breaker_threshold: 1_000,
        min_samples: 10,
        ..three()
    };
    let breaker = breaker(config);
    for _ in 0..10 {
        send(&breaker, Outcome::Failure, at(0));
    }
    assert_eq!(breaker.stats().reason, CircuitReason::SuccessRate);
    send(&breaker, Outcome::Success, at(1_000));
    for _ in 0..9 {
        send(&breaker, Outcome::Failure, at(1_001));
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert!(breaker.permit(at(1_001)).is_ok());
}

#[test]
fn overloads_neither_lengthen_a_run_nor_end_it_but_count_for_the_rate() {
    let run = breaker(three());
    for outcome in [Outcome::Failure, OVERLOAD, Outcome::Failure, OVERLOAD, OVERLOAD] {
        send(&run, outcome, at(0));
    }
    assert_eq!(run.state(), CircuitState::Closed);
    send(&run, Outcome::Failure, at(0));
    assert_eq!(run.stats().reason, CircuitReason::ConsecutiveFailures);

    let rate = breaker(three());
    for _ in 0..49 {
        send(&rate, OVERLOAD, at(0));
    }
    assert_eq!(rate.state(), CircuitState::Closed);
    send(&rate, OVERLOAD, at(0));
    assert_eq!(rate.stats().reason, CircuitReason::SuccessRate);
}

#[test]
fn what_was_cancelled_neither_ends_a_run_nor_fills_the_window() {
    let breaker = breaker(CircuitBreakerConfig {
        min_samples: 10,
        ..three()
    });
    for _ in 0..2 {
        send(&breaker, Outcome::Failure, at(0));
        for _ in 0..20 {
            send(&breaker, Outcome::Cancelled, at(0));
            drop(breaker.permit(at(0)).unwrap());
        }
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
    send(&breaker, Outcome::Failure, at(0));
    assert_eq!(breaker.stats().reason, CircuitReason::ConsecutiveFailures);
}

#[test]
fn a_forced_state_holds_against_everything_but_a_hand() {
    let breaker = opened();
    let stale = {
        breaker.force_close(at(10));
        let permits: Vec<_> = (0..20).map(|_| breaker.permit(at(10)).unwrap()).collect();
        for _ in 0..20 {
            send(&breaker, Outcome::Failure, at(11));
        }
        permits
    };
    assert_eq!(breaker.state(), CircuitState::ForcedClosed);
    breaker.force_open(at(20));
    for permit in stale {
        permit.finish(Outcome::Success, at(21));
    }
    assert_eq!(breaker.permit(at(3_600_000)).unwrap_err(), Rejected::ForcedOpen);
    assert_eq!(
        breaker.verdict(at(3_600_000)),
        Verdict::Ejected {
            until: Timestamp::MAX
        }
    );
    breaker.reset(at(3_600_000));
    send(&breaker, Outcome::Success, at(3_600_000));
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn it_says_when_to_ask_again() {
    let breaker = opened();
    let retry_after = Duration::from_millis(700);
    assert_eq!(
        breaker.permit(at(300)).unwrap_err(),
        Rejected::Open { retry_after }
    );
    assert_eq!(breaker.stats().rejected, 1);
    assert_eq!(breaker.verdict(at(300)), Verdict::Ejected { until: at(1_000) });
    assert_eq!(breaker.verdict(at(1_000)), Verdict::OnTrial);
}

#[test]
fn as_a_detector_it_goes_by_when_a_request_was_sent() {
    let breaker = breaker(three());
    let observe = |outcome, started, now| {
        breaker.observe(&Observation {
            outcome,
            started: at(started),
            now: at(now),
        })
    };
    for _ in 0..3 {
        observe(Outcome::Failure, 0, 500);
    }
    assert_eq!(breaker.verdict(at(500)), Verdict::Ejected { until: at(1_500) });
    // Sent while it was open: no trial.
    assert_eq!(observe(Outcome::Success, 1_499, 1_501), Verdict::OnTrial);
    assert_eq!(observe(Outcome::Success, 1_500, 1_502), Verdict::Healthy);
    // Sent before it closed: not held against it.
    for _ in 0..3 {
        assert_eq!(observe(Outcome::Failure, 1_501, 1_503), Verdict::Healthy);
    }
    for _ in 0..2 {
        observe(Outcome::Failure, 1_502, 1_504);
    }
    assert!(!observe(Outcome::Failure, 1_502, 1_504).is_eligible());
}

fn timed(breaker: CircuitBreaker) -> (TimedBreaker, ManualClock) {
    let clock = ManualClock::new();
    (
        TimedBreaker::with_clock(Arc::new(breaker), Arc::new(clock.clone())),
        clock,
    )
}

#[test]
fn a_call_that_is_given_up_gives_its_permit_back() {
    let (breaker, clock) = timed(opened());
    clock.advance(SECOND);
    assert!(block_on(poll_immediate(breaker.call(pending::<Result<(), ()>>()))).is_none());
    assert_eq!(block_on(breaker.call(ready(Ok::<_, ()>(1)))), Ok(1));
    assert_eq!(breaker.breaker().state(), CircuitState::Closed);
}

#[test]
fn a_rejected_call_is_never_polled() {
    let (breaker, _clock) = timed(opened());
    let request = async { panic!("it was sent") };
    let result: Result<(), CallError<()>> = block_on(breaker.call(request));
    let retry_after = SECOND;
    assert_eq!(result, Err(CallError::Rejected(Rejected::Open { retry_after })));
}

#[test]
fn an_error_that_is_an_answer_does_not_trip() {
    let (breaker, clock) = timed(breaker(three()));
    for _ in 0..10 {
        let result = block_on(breaker.call_with(ready(Err::<(), _>("not found")), |_| Outcome::Success));
        assert_eq!(result, Err(CallError::Failed("not found")));
    }
    for _ in 0..3 {
        assert_eq!(
            block_on(breaker.call(ready(Err::<(), _>("reset")))),
            Err(CallError::Failed("reset"))
        );
    }
    assert!(breaker.breaker().permit_owned(clock.now()).is_err());
}

#[cfg(feature = "serde")]
#[test]
fn a_config_comes_from_a_file_and_a_misspelt_field_is_refused() {
    let text = "circuit_breaker_threshold = 3\ncircuit_breaker_timeout = \"250ms\"";
    let config: CircuitBreakerConfig = toml::from_str(text).unwrap();
    assert_eq!(config.circuit_breaker_threshold, 3);
    assert_eq!(config.circuit_breaker_timeout, Duration::from_millis(250));
    let wrong = toml::from_str::<CircuitBreakerConfig>("threshold = 3").unwrap_err();
    assert!(wrong.to_string().contains("threshold"), "{wrong}");
}
