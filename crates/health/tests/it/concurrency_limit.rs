//! A limit that finds the backend's own.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_health::{ConcurrencyLimit, ConcurrencyLimitConfig, ConcurrencySlot};
use evenkeel_stats::{Outcome, Timestamp};

const MILLI: Duration = Duration::from_millis(1);

fn limit(config: ConcurrencyLimitConfig) -> ConcurrencyLimit {
    ConcurrencyLimit::new(config).unwrap()
}

/// Takes all the places there are.
fn fill(limit: &ConcurrencyLimit) -> Vec<ConcurrencySlot<&ConcurrencyLimit>> {
    std::iter::from_fn(|| limit.begin()).collect()
}

/// Fills the limit and lets all of it answer every 20 ms, for `rounds` rounds; latency follows from how
/// many there are.
fn saturate(limit: &ConcurrencyLimit, rounds: u32, latency: impl Fn(u64) -> Duration) {
    for round in 0..rounds {
        let slots = fill(limit);
        let now = Timestamp::ZERO.saturating_add(MILLI * 20 * round);
        let took = latency(slots.len() as u64);
        for slot in slots {
            slot.finish(Outcome::Success, took, now);
        }
    }
}

#[test]
fn a_backend_that_never_slows_down_gets_the_most() {
    let limit = limit(ConcurrencyLimitConfig::default());
    saturate(&limit, 1_500, |_| MILLI * 10);
    assert_eq!(limit.limit(), 200);
}

#[test]
fn a_backend_of_fifty_places_is_not_sent_two_hundred() {
    let limit = limit(ConcurrencyLimitConfig::default());
    // Above 50 at a time each waits for its turn.
    saturate(&limit, 1_500, |n| MILLI * 10 * n.max(50) as u32 / 50);
    assert!((50..120).contains(&limit.limit()), "{}", limit.limit());
}

#[test]
fn a_backend_that_becomes_four_times_slower_is_relieved() {
    let limit = limit(ConcurrencyLimitConfig::default());
    saturate(&limit, 1_500, |_| MILLI * 10);
    let start = Timestamp::ZERO.saturating_add(MILLI * 20 * 1_500);
    for round in 0..100 {
        for slot in fill(&limit) {
            let now = start.saturating_add(MILLI * 50 * round);
            slot.finish(Outcome::Success, MILLI * 40, now);
        }
    }
    assert!(limit.limit() < 60, "{}", limit.limit());
}

#[test]
fn a_limit_that_is_not_used_does_not_grow() {
    let limit = limit(ConcurrencyLimitConfig::default());
    for i in 0..1_000 {
        let slot = limit.begin().unwrap();
        slot.finish(Outcome::Success, MILLI, Timestamp::from_nanos(i * 10_000_000));
    }
    assert_eq!(limit.limit(), 20);
}

#[test]
fn overloads_pull_it_down_at_once_to_the_least_and_cancellations_do_not() {
    let limit = limit(ConcurrencyLimitConfig {
        initial_limit: 100,
        ..ConcurrencyLimitConfig::default()
    });
    let end = |outcome, millis| {
        let now = Timestamp::ZERO.saturating_add(MILLI * millis);
        limit.begin().unwrap().finish(outcome, MILLI, now);
    };
    end(Outcome::Cancelled, 0);
    assert_eq!(limit.limit(), 100);
    // A burst is one overload.
    (0..50).for_each(|_| end(Outcome::Overload { retry_after: None }, 1));
    assert_eq!(limit.limit(), 90);
    // Also one that comes after a quiet time.
    (0..50).for_each(|_| end(Outcome::Overload { retry_after: None }, 5_000));
    assert_eq!(limit.limit(), 81);
    (0..100).for_each(|i| end(Outcome::Failure, 5_100 + i * 100));
    assert_eq!(limit.limit(), 20);
}

#[test]
fn it_never_lets_more_through_and_a_request_that_is_given_up_leaves_its_place() {
    let limit = Arc::new(limit(ConcurrencyLimitConfig::default()));
    for _ in 0..3 {
        let mut slots = fill(&limit);
        assert_eq!((slots.len(), limit.in_flight()), (20, 20));
        slots.pop();
        let owned = limit.begin_owned().unwrap();
        assert!(limit.begin().is_none());
        drop(owned);
    }
    assert_eq!(limit.in_flight(), 0);
}

#[test]
fn a_latency_that_lasts_as_long_as_the_long_window_becomes_usual() {
    let limit = limit(ConcurrencyLimitConfig::default());
    let minutes = |from: u32, count: u32, latency: Duration| {
        for round in from * 600..(from + count) * 600 {
            let now = Timestamp::ZERO.saturating_add(MILLI * 100 * round);
            for slot in fill(&limit) {
                slot.finish(Outcome::Success, latency, now);
            }
        }
        limit.limit()
    };
    assert_eq!(minutes(0, 10, MILLI * 10), 200);
    assert!(minutes(10, 4, MILLI * 40) < 30, "it holds for minutes");
    assert_eq!(minutes(14, 8, MILLI * 40), 200, "and not for ever");
}

#[test]
fn answers_in_no_time_and_absurdly_late_ones_keep_it_within_its_bounds() {
    let limit = limit(ConcurrencyLimitConfig::default());
    let mut slots = Vec::new();
    for i in 0..100 {
        slots.append(&mut fill(&limit));
        let latency = if i % 2 == 0 { Duration::ZERO } else { Duration::MAX };
        let now = Timestamp::ZERO.saturating_add(MILLI * 10 * i);
        slots.pop().unwrap().finish(Outcome::Success, latency, now);
        assert!((20..=200).contains(&limit.limit()), "{}", limit.limit());
    }
}

#[test]
fn each_field_out_of_range_is_refused_by_its_name() {
    type Spoil = fn(&mut ConcurrencyLimitConfig);
    let spoilt: [(&str, Spoil); 11] = [
        ("min_limit", |c| c.min_limit = 0),
        ("max_limit", |c| c.max_limit = 19),
        ("initial_limit", |c| c.initial_limit = 201),
        ("tolerance", |c| c.tolerance = 0.9),
        ("queue", |c| c.queue = 0),
        ("smoothing", |c| c.smoothing = 0.0),
        ("smoothing", |c| c.smoothing = f64::NAN),
        ("backoff", |c| c.backoff = 1.0),
        ("backoff", |c| c.backoff = 0.0),
        ("window", |c| c.window = Duration::ZERO),
        ("long_window", |c| c.long_window = c.window),
    ];
    for (name, spoil) in spoilt {
        let mut config = ConcurrencyLimitConfig::default();
        spoil(&mut config);
        let error = ConcurrencyLimit::new(config).unwrap_err().to_string();
        assert!(
            error.contains(&format!("ConcurrencyLimitConfig.{name} ")),
            "{error}"
        );
    }
}
