use std::time::Duration;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

/// How long each of `openings` in a row lasts, on trial at once and failing again.
fn open_times(config: &CircuitBreakerConfig, seed: u64, openings: usize) -> Vec<Duration> {
    let mut machine = Machine::new(seed);
    (0..openings)
        .map(|_| {
            machine.advance(config, machine.until);
            let now = machine.until;
            machine.open(config, CircuitReason::TrialFailed, None, now);
            machine.until.since(now)
        })
        .collect()
}

#[test]
fn the_open_time_doubles_up_to_its_most() {
    let config = CircuitBreakerConfig {
        jitter: 0.0,
        max_timeout: SECOND * 10,
        ..CircuitBreakerConfig::default()
    };
    let seconds = [1, 2, 4, 8, 10, 10].map(|s| SECOND * s);
    assert_eq!(open_times(&config, 1, 6), seconds);
}

#[test]
fn clients_that_opened_together_spread_over_the_whole_jitter() {
    let config = CircuitBreakerConfig::default();
    let mut times: Vec<_> = (0..200).map(|seed| open_times(&config, seed, 1)[0]).collect();
    times.sort_unstable();
    assert!(times[0] >= SECOND && times[199] < SECOND * 3 / 2, "{times:?}");
    assert!(
        times[0] < SECOND * 11 / 10 && times[199] > SECOND * 14 / 10,
        "{times:?}"
    );
    // At the cap as well.
    let mut times: Vec<_> = (0..200).map(|seed| open_times(&config, seed, 10)[9]).collect();
    times.sort_unstable();
    assert!(times[0] >= SECOND * 60 && times[199] > SECOND * 80, "{times:?}");
}

#[test]
fn openings_without_end_overflow_nothing() {
    let config = CircuitBreakerConfig {
        max_timeout: Duration::MAX,
        jitter: 1.0,
        ..CircuitBreakerConfig::default()
    };
    let times = open_times(&config, 1, 80);
    assert!(times[30] >= SECOND * (1 << 30), "{:?}", times[30]);
}

#[test]
fn staying_closed_takes_doublings_back_one_by_one() {
    let config = CircuitBreakerConfig {
        jitter: 0.0,
        ..CircuitBreakerConfig::default()
    };
    let mut machine = Machine::new(1);
    for _ in 0..4 {
        machine.open(&config, CircuitReason::TrialFailed, None, at(0));
    }
    // The next would be 16 s. It closes, and holds for two and a half of the whiles.
    machine.advance(&config, at(8_000));
    machine.take(at(8_000));
    machine.pass(&config, at(8_000));
    assert_eq!(machine.state, CircuitState::Closed);
    let now = at(8_000 + 75_000);
    machine.open(&config, CircuitReason::ConsecutiveFailures, None, now);
    assert_eq!(machine.until.since(now), SECOND * 4);
}

#[test]
fn a_backend_that_asks_for_more_time_gets_it_up_to_the_most() {
    let config = CircuitBreakerConfig {
        jitter: 0.0,
        ..CircuitBreakerConfig::default()
    };
    let opened = |asked: u32| {
        let mut machine = Machine::new(1);
        machine.open(&config, CircuitReason::SuccessRate, Some(SECOND * asked), at(0));
        machine.until
    };
    assert_eq!(opened(20), at(20_000));
    assert_eq!(opened(3600), at(60_000));
}

#[test]
fn each_field_out_of_range_is_refused_by_its_name() {
    type Spoil = fn(&mut CircuitBreakerConfig);
    let spoilt: [(&str, Spoil); 15] = [
        ("circuit_breaker_threshold", |c| c.circuit_breaker_threshold = 0),
        ("circuit_breaker_timeout", |c| {
            c.circuit_breaker_timeout = Duration::ZERO;
        }),
        ("max_timeout", |c| c.max_timeout = c.circuit_breaker_timeout / 2),
        ("jitter", |c| c.jitter = -0.1),
        ("jitter", |c| c.jitter = f64::NAN),
        ("forgive_after", |c| c.forgive_after = Duration::ZERO),
        ("min_success_rate", |c| c.min_success_rate = 1.1),
        ("min_success_rate", |c| c.min_success_rate = f64::NAN),
        ("min_samples", |c| c.min_samples = 0),
        ("max_excess_failures", |c| c.max_excess_failures = 65_536),
        ("window", |c| c.window = Duration::ZERO),
        ("window_slots", |c| c.window_slots = 1),
        ("window_slots", |c| c.window_slots = 1025),
        ("trial_permits", |c| c.trial_permits = 0),
        ("trial_timeout", |c| c.trial_timeout = Duration::ZERO),
    ];
    for (name, spoil) in spoilt {
        let mut config = CircuitBreakerConfig::default();
        config.validate().unwrap();
        spoil(&mut config);
        let ConfigError::OutOfRange { field, .. } = config.validate().unwrap_err();
        assert_eq!(field, name);
    }
}
