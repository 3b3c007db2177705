//! Waits between attempts.

use std::time::Duration;

use evenkeel_health::{Backoff, BackoffConfig, Jitter};

use crate::random::Random;

const MILLI: Duration = Duration::from_millis(1);

fn config(jitter: Jitter) -> BackoffConfig {
    BackoffConfig {
        base: MILLI * 10,
        max: MILLI * 100,
        jitter,
        retries: 8,
        ..BackoffConfig::default()
    }
}

/// The `n`-th wait of 500 clients, shortest first.
fn nth_waits(jitter: Jitter, n: usize) -> Vec<Duration> {
    let mut random = Random::new(7);
    let mut waits: Vec<_> = (0..500)
        .map(|_| {
            let mut backoff = Backoff::new(config(jitter)).unwrap();
            (0..=n)
                .map(|_| backoff.next_wait(None, random.word()).unwrap())
                .last()
                .unwrap()
        })
        .collect();
    waits.sort_unstable();
    waits
}

#[test]
fn full_jitter_fills_the_doubled_wait_up_to_the_most() {
    for (n, most) in [(0, 10), (1, 20), (2, 40), (3, 80), (4, 100), (7, 100)] {
        let (waits, most) = (nth_waits(Jitter::Full, n), MILLI * most);
        assert!(
            waits[0] < most / 20 && waits[499] < most && waits[499] > most * 19 / 20,
            "{n}: {waits:?}"
        );
    }
}

#[test]
fn decorrelated_jitter_stays_between_the_base_and_three_times_the_last() {
    let first = nth_waits(Jitter::Decorrelated, 0);
    assert!(first[0] >= MILLI * 10 && first[499] < MILLI * 30 && first[499] > MILLI * 29);
    let later = nth_waits(Jitter::Decorrelated, 6);
    assert!(later[0] >= MILLI * 10 && later[499] <= MILLI * 100 && later[499] > MILLI * 90);
}

#[test]
fn nobody_comes_back_before_the_backend_asked_nor_all_at_once() {
    for jitter in [Jitter::Full, Jitter::Decorrelated] {
        let asked = Duration::from_secs(30);
        let wait = |random| {
            Backoff::new(config(jitter))
                .unwrap()
                .next_wait(Some(asked), random)
                .unwrap()
        };
        assert!(wait(0) >= asked);
        assert!(wait(u64::MAX) > wait(0) + MILLI * 5);
    }
}

#[test]
fn a_client_asked_to_wait_for_an_hour_gives_up_instead() {
    let mut backoff = Backoff::new(config(Jitter::Full)).unwrap();
    assert_eq!(backoff.next_wait(Some(Duration::from_secs(3_600)), 1), None);
    assert!(backoff.next_wait(None, 1).is_some());
}

#[test]
fn attempts_end_and_a_success_begins_anew() {
    let mut backoff = Backoff::new(config(Jitter::Full)).unwrap();
    assert_eq!(
        (0..100).filter_map(|_| backoff.next_wait(None, u64::MAX)).count(),
        8
    );
    backoff.reset();
    assert!(backoff.next_wait(None, u64::MAX).unwrap() <= MILLI * 10);
    assert_eq!(backoff.waits(), 1);
}

#[test]
fn absurd_waits_overflow_nothing() {
    for jitter in [Jitter::Full, Jitter::Decorrelated] {
        let mut backoff = Backoff::new(BackoffConfig {
            base: Duration::MAX / 2,
            max: Duration::MAX,
            max_retry_after: Duration::MAX,
            jitter,
            retries: u32::MAX,
        })
        .unwrap();
        let waits: Vec<_> = (0..100)
            .map(|_| backoff.next_wait(Some(Duration::MAX), u64::MAX))
            .collect();
        assert_eq!(waits, vec![Some(Duration::MAX); 100]);
    }
}

#[test]
fn each_field_out_of_range_is_refused_by_its_name() {
    type Spoil = fn(&mut BackoffConfig);
    let spoilt: [(&str, Spoil); 4] = [
        ("base", |c| c.base = Duration::ZERO),
        ("max", |c| c.max = c.base / 2),
        ("max_retry_after", |c| c.max_retry_after = c.max / 2),
        ("retries", |c| c.retries = 0),
    ];
    for (name, spoil) in spoilt {
        let mut config = BackoffConfig::default();
        spoil(&mut config);
        let error = Backoff::new(config).unwrap_err().to_string();
        assert!(error.contains(&format!("BackoffConfig.{name} ")), "{error}");
    }
}
