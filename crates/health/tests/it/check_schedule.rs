//! Active checks: how soon they see it, and that they do not flap.

use std::time::Duration;

use evenkeel_health::{CheckConfig, CheckSchedule};
use evenkeel_stats::Timestamp;

use crate::random::Random;

const MILLI: Duration = Duration::from_millis(1);

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

fn schedule(config: CheckConfig) -> CheckSchedule {
    CheckSchedule::new(config, at(0)).unwrap()
}

/// Runs the next check of a backend that answers well before `breaks` and after that badly, each bad
/// answer after `bad`; the verdict if it changed, and when.
fn check(
    checks: &mut CheckSchedule,
    breaks: Timestamp,
    bad: Duration,
    random: u64,
) -> Option<(bool, Timestamp)> {
    let started = checks.next_at();
    let (ok, took) = if started < breaks {
        (true, MILLI)
    } else {
        (false, bad)
    };
    let now = started.saturating_add(took);
    checks
        .record(ok, started, now, random)
        .map(|verdict| (verdict, now))
}

/// The slowest detection over backends that break at any moment of an interval.
fn slowest(bad: Duration) -> Duration {
    let took = (0..1_000).map(|shift| {
        let mut checks = schedule(CheckConfig::default());
        let mut random = Random::new(shift);
        let breaks = at(10_000 + shift);
        loop {
            if let Some((false, now)) = check(&mut checks, breaks, bad, random.word()) {
                return now.since(breaks);
            }
        }
    });
    took.max().unwrap()
}

#[test]
fn a_black_hole_is_found_within_one_and_a_half_seconds_and_a_reset_sooner() {
    let hole = slowest(Duration::from_millis(250));
    assert!(hole <= MILLI * 1_500 && hole > MILLI * 1_300, "{hole:?}");
    let reset = slowest(MILLI);
    assert!(reset <= MILLI * 1_101 && reset > MILLI * 900, "{reset:?}");
}

#[test]
fn the_first_check_decides_either_way() {
    for ok in [true, false] {
        let mut checks = schedule(CheckConfig::default());
        assert_eq!(checks.is_healthy(), None);
        assert_eq!(checks.record(ok, at(0), at(1), 0), Some(ok));
        assert_eq!((checks.is_healthy(), checks.since()), (Some(ok), at(1)));
    }
}

#[test]
fn a_check_lost_now_and_then_changes_nothing() {
    let mut checks = schedule(CheckConfig::default());
    checks.record(true, at(0), at(0), 0);
    for i in 1..100 {
        let started = checks.next_at();
        assert_eq!(checks.record(i % 2 == 0, started, started, 0), None);
    }
    assert_eq!(checks.is_healthy(), Some(true));
}

#[test]
fn a_recovered_backend_is_back_within_two_intervals() {
    let mut checks = schedule(CheckConfig::default());
    checks.record(false, at(0), at(0), 0);
    let mut now = at(0);
    while checks.is_healthy() == Some(false) {
        now = checks.next_at();
        checks.record(true, now, now, 0);
    }
    // The slow interval once, then the fast one until it is settled.
    assert_eq!(now, at(1_600));
}

#[test]
fn checks_that_began_together_spread_out_but_never_beyond_the_interval() {
    let mut next: Vec<_> = (0..200)
        .map(|seed| {
            let mut checks = schedule(CheckConfig::default());
            checks.record(true, at(0), at(0), Random::new(seed).word());
            checks.next_at()
        })
        .collect();
    next.sort_unstable();
    assert!(next[0] < at(910) && next[0] >= at(900), "{:?}", next[0]);
    assert!(next[199] > at(990) && next[199] <= at(1_000), "{:?}", next[199]);
}

#[test]
fn intervals_without_end_overflow_nothing() {
    for jitter in [0.0, 0.1, 1.0] {
        for word in [0, 1 << 11, u64::MAX] {
            let mut checks = schedule(CheckConfig {
                health_check_interval: Duration::MAX,
                down_interval: Duration::MAX,
                jitter,
                ..CheckConfig::default()
            });
            checks.record(false, at(0), at(0), word);
            assert!(checks.next_at() >= at(0));
        }
    }
}

#[test]
fn news_brings_the_next_check_forward_also_of_an_unhealthy_one() {
    let mut checks = schedule(CheckConfig::default());
    checks.record(false, at(0), at(0), 0);
    checks.bring_forward(at(0), at(40));
    assert_eq!(checks.next_at(), at(100));
}

#[test]
fn failing_requests_bring_the_next_check_forward_but_not_a_storm_of_them() {
    let mut checks = schedule(CheckConfig::default());
    checks.record(true, at(0), at(0), 0);
    checks.hurry(at(0), at(40));
    assert_eq!(checks.next_at(), at(100));
    checks.hurry(at(0), at(90));
    assert_eq!(checks.next_at(), at(100));
    checks.record(true, at(100), at(101), 0);
    checks.hurry(at(100), at(700));
    assert_eq!(checks.next_at(), at(700));

    let mut down = schedule(CheckConfig::default());
    down.record(false, at(0), at(0), 0);
    let next = down.next_at();
    down.hurry(at(0), at(500));
    assert_eq!(down.next_at(), next);
}

#[test]
fn a_check_that_takes_longer_than_the_interval_is_not_followed_by_one_in_the_past() {
    let mut checks = schedule(CheckConfig::default());
    checks.record(true, at(0), at(5_000), 0);
    assert_eq!(checks.next_at(), at(5_000));
}

#[test]
fn each_field_out_of_range_is_refused_by_its_name() {
    type Spoil = fn(&mut CheckConfig);
    let spoilt: [(&str, Spoil); 9] = [
        ("health_check_interval", |c| {
            c.health_check_interval = Duration::ZERO;
        }),
        ("health_check_timeout", |c| {
            c.health_check_timeout = Duration::ZERO;
        }),
        ("health_check_timeout", |c| {
            c.health_check_timeout = c.health_check_interval * 2;
        }),
        ("fast_interval", |c| c.fast_interval = Duration::ZERO),
        ("fast_interval", |c| c.fast_interval = c.health_check_interval * 2),
        ("down_interval", |c| c.down_interval = c.fast_interval / 2),
        ("rise", |c| c.rise = 0),
        ("fall", |c| c.fall = 0),
        ("jitter", |c| c.jitter = f64::NAN),
    ];
    for (name, spoil) in spoilt {
        let mut config = CheckConfig::default();
        spoil(&mut config);
        let error = CheckSchedule::new(config, at(0)).unwrap_err().to_string();
        assert!(error.contains(&format!("CheckConfig.{name} ")), "{error}");
    }
}
