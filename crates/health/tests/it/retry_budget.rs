//! Retries must not make an overload worse.

use std::time::Duration;

use evenkeel_health::{RetryBudget, RetryBudgetConfig};
use evenkeel_stats::Timestamp;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

fn budget(ratio: f64, min_per_second: f64) -> RetryBudget {
    RetryBudget::new(RetryBudgetConfig {
        ratio,
        min_per_second,
        ..RetryBudgetConfig::default()
    })
    .unwrap()
}

#[test]
fn when_everything_fails_the_backends_get_no_more_than_a_fifth_on_top() {
    let budget = budget(0.2, 0.0);
    let retries = (0..100_000)
        .filter(|i| {
            budget.deposit(at(*i));
            budget.withdraw(at(*i))
        })
        .count();
    assert!((19_900..=20_100).contains(&retries), "{retries}");
    assert_eq!(budget.refused(), 100_000 - retries as u64);
}

#[test]
fn a_quiet_client_may_still_retry_even_less_than_once_a_second() {
    let floor = budget(0.0, 0.1);
    assert!(floor.withdraw(at(0)), "one in ten seconds");
    assert!(!floor.withdraw(at(1_000)));
    assert!(floor.withdraw(at(10_000)));
    assert!(!budget(0.0, 0.0).withdraw(at(0)));
}

#[test]
fn a_good_hour_saves_up_no_storm() {
    let budget = budget(0.2, 0.0);
    for i in 0..3_600_u64 {
        budget.deposit(at(i * 1_000));
    }
    let now = at(3_599_000);
    assert_eq!((0..1_000).filter(|_| budget.withdraw(now)).count(), 2);
    // And what was earned is not there for ever.
    assert!(budget.balance(at(3_700_000)) < 1.0);
}

#[test]
fn each_field_out_of_range_is_refused_by_its_name() {
    type Spoil = fn(&mut RetryBudgetConfig);
    let spoilt: [(&str, Spoil); 5] = [
        ("ratio", |c| c.ratio = 1.5),
        ("ratio", |c| c.ratio = f64::NAN),
        ("min_per_second", |c| c.min_per_second = -1.0),
        ("min_per_second", |c| c.min_per_second = f64::INFINITY),
        ("ttl", |c| c.ttl = Duration::from_millis(9)),
    ];
    for (name, spoil) in spoilt {
        let mut config = RetryBudgetConfig::default();
        spoil(&mut config);
        let error = RetryBudget::new(config).unwrap_err().to_string();
        assert!(error.contains(&format!("RetryBudgetConfig.{name} ")), "{error}");
    }
}
