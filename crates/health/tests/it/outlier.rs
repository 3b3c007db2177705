//! Who stands out of a group is put out, and never everybody.

use std::time::Duration;

use evenkeel_health::{Detector, Observation, OutlierConfig, OutlierDetector, OutlierMember, OutlierReason};
use evenkeel_stats::{Outcome, Timestamp};
use proptest::prelude::*;

use crate::events::Events;

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

fn group(size: usize, config: OutlierConfig) -> (OutlierDetector, Vec<OutlierMember>) {
    let group = OutlierDetector::new(config).unwrap();
    let members = (0..size).map(|i| group.join(format!("backend {i}"))).collect();
    (group, members)
}

fn observe(member: &OutlierMember, outcome: Outcome, latency: Duration, now: Timestamp) {
    let started = now.saturating_sub(latency);
    member.observe(&Observation {
        outcome,
        started,
        now,
    });
}

/// A thousand requests of 1 ms each, of which `failures` fail, never five in a row unless nearly all do.
fn traffic(member: &OutlierMember, failures: u64, now: Timestamp) {
    for i in 0..1_000 {
        let failed = i * failures / 1_000 != (i + 1) * failures / 1_000;
        let outcome = if failed {
            Outcome::Failure
        } else {
            Outcome::Success
        };
        observe(member, outcome, Duration::from_millis(1), now);
    }
}

/// Who is out after a sweep of backends with these failures out of a thousand.
fn out_of(failures: &[u64]) -> Vec<String> {
    let (group, members) = group(failures.len(), OutlierConfig::default());
    for (member, failures) in members.iter().zip(failures) {
        traffic(member, *failures, at(10));
    }
    let out = group.sweep(at(10));
    assert!(out.iter().all(|e| e.reason == OutlierReason::SuccessRate));
    assert_eq!(group.members(at(10)), (failures.len(), out.len()));
    out.iter().map(|e| e.name.to_string()).collect()
}

#[test]
fn the_one_that_fails_more_than_its_group_is_put_out() {
    assert_eq!(out_of(&[10, 10, 10, 10, 300, 10, 10]), ["backend 4"]);
}

#[test]
fn in_a_small_group_too() {
    assert_eq!(out_of(&[0, 400]), ["backend 1"]);
    assert_eq!(out_of(&[0, 400, 10]), ["backend 1"]);
    assert_eq!(out_of(&[0, 0, 0, 250]), ["backend 3"]);
}

#[test]
fn a_fault_that_all_share_puts_nobody_out() {
    for size in 1..12 {
        assert!(out_of(&vec![400; size]).is_empty(), "{size}");
    }
}

#[test]
fn a_single_failure_in_a_perfect_group_is_no_outlier() {
    assert!(out_of(&[0, 0, 0, 0, 0, 0, 0, 1]).is_empty());
    assert!(out_of(&[0, 0, 0, 0, 0, 0, 0, 40]).is_empty());
}

#[test]
fn few_requests_say_nothing() {
    let (group, members) = group(6, OutlierConfig::default());
    for member in &members[1..] {
        traffic(member, 0, at(1));
    }
    for i in 0..99 {
        let outcome = if i % 2 == 0 {
            Outcome::Failure
        } else {
            Outcome::Success
        };
        observe(&members[0], outcome, SECOND, at(1));
    }
    assert!(group.sweep(at(1)).is_empty());
    // Nor are those of the last sweep counted again.
    observe(&members[0], Outcome::Failure, SECOND, at(1));
    assert!(group.sweep(at(2)).is_empty());
}

#[test]
fn the_slow_one_is_put_out_unless_all_are_slow_or_it_is_fast_enough() {
    let out = |millis: &[u64]| {
        let (group, members) = group(millis.len(), OutlierConfig::default());
        for (member, millis) in members.iter().zip(millis) {
            for _ in 0..200 {
                observe(member, Outcome::Success, Duration::from_millis(*millis), at(100));
            }
        }
        let out = group.sweep(at(100));
        assert!(out.iter().all(|e| e.reason == OutlierReason::Latency));
        out.len()
    };
    assert_eq!(out(&[20, 30, 25, 900]), 1);
    assert_eq!(out(&[20, 900]), 1);
    assert_eq!(out(&[900, 900, 900]), 0);
    assert_eq!(out(&[2, 3, 2, 90]), 0);
}

#[test]
fn ejections_grow_with_each_and_shrink_with_each_good_sweep() {
    let (group, members) = group(2, OutlierConfig::default());
    let mut now = at(1);
    let fail = |now: &mut Timestamp| {
        for _ in 0..5 {
            observe(&members[0], Outcome::Failure, Duration::ZERO, *now);
        }
        let before = *now;
        while !members[0].verdict(*now).is_eligible() {
            *now = now.saturating_add(SECOND);
        }
        now.since(before)
    };
    assert_eq!(fail(&mut now), SECOND * 30);
    assert_eq!(fail(&mut now), SECOND * 60);
    assert_eq!(fail(&mut now), SECOND * 90);
    // The first finds it back, the others find it in.
    for _ in 0..3 {
        group.sweep(now);
    }
    assert_eq!(fail(&mut now), SECOND * 60);
    for _ in 0..60 {
        fail(&mut now);
    }
    assert_eq!(fail(&mut now), SECOND * 300);
    // No more steps are saved up than there are.
    for _ in 0..11 {
        group.sweep(now);
    }
    assert_eq!(fail(&mut now), SECOND * 30);
}

#[test]
fn late_answers_from_before_an_ejection_do_not_prolong_it_or_cause_the_next() {
    let (_group, members) = group(2, OutlierConfig::default());
    for _ in 0..5 {
        observe(&members[0], Outcome::Failure, Duration::ZERO, at(0));
    }
    for _ in 0..20 {
        observe(&members[0], Outcome::Failure, SECOND * 29, at(31));
    }
    assert!(members[0].verdict(at(31)).is_eligible());
}

#[test]
fn who_leaves_is_not_counted_among_those_who_may_stay() {
    let (group, mut members) = group(3, OutlierConfig::default());
    members.remove(0);
    members.remove(0);
    for _ in 0..50 {
        observe(&members[0], Outcome::Failure, Duration::ZERO, at(1));
    }
    assert_eq!(group.members(at(1)), (1, 0), "the last one stays");
}

#[test]
fn ejections_by_a_sweep_grow_too() {
    let (group, members) = group(4, OutlierConfig::default());
    let mut times = Vec::new();
    for sweep in 0..200 {
        let now = at(1 + sweep * 10);
        for (i, member) in members.iter().enumerate() {
            traffic(member, if i == 0 { 400 } else { 0 }, now);
        }
        times.extend(group.sweep(now).iter().map(|e| e.until.since(now).as_secs()));
    }
    assert_eq!(times[..4], [30, 60, 90, 120]);
    assert_eq!(times[9..], vec![300; times.len() - 9]);
}

#[test]
fn the_last_one_left_is_let_back_in() {
    let (group, mut members) = group(10, OutlierConfig::default());
    for (i, member) in members.iter().take(6).enumerate() {
        for _ in 0..5 {
            observe(member, Outcome::Failure, Duration::ZERO, at(1 + i as u64));
        }
    }
    assert_eq!(group.members(at(7)), (10, 5));
    for most in [4, 4, 3, 3, 2] {
        members.pop();
        assert_eq!(group.members(at(7)), (members.len(), most));
    }
    // Who returns soonest anyhow is the first.
    assert!(members[0].verdict(at(7)).is_eligible());
    assert!(!members[4].verdict(at(7)).is_eligible());
    members.drain(..4);
    assert_eq!(group.members(at(7)), (1, 0));
    assert!(members[0].verdict(at(7)).is_eligible());
}

#[test]
fn a_total_outage_is_told_once_and_a_subscriber_may_ask_the_group() {
    let (detector, members) = group(2, OutlierConfig::default());
    let detector = std::sync::Arc::new(detector);
    let asked = detector.clone();
    let (events, stays) = Events::with("outlier stays", move || {
        let _ = asked.members(at(1));
    });
    tracing::subscriber::with_default(events, || {
        for _ in 0..1_000 {
            for member in &members {
                observe(member, Outcome::Failure, Duration::ZERO, at(1));
            }
        }
    });
    assert_eq!(stays.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert_eq!(detector.members(at(1)), (2, 1));
    // The other one has its turn as soon as the first is back.
    for _ in 0..5 {
        observe(&members[1], Outcome::Failure, Duration::ZERO, at(32));
    }
    assert!(members[0].verdict(at(32)).is_eligible() && !members[1].verdict(at(32)).is_eligible());
}

#[test]
fn a_return_is_told_once() {
    let (events, returned) = Events::counting("outlier returned");
    tracing::subscriber::with_default(events, || {
        let (group, members) = group(2, OutlierConfig::default());
        for _ in 0..5 {
            observe(&members[0], Outcome::Failure, Duration::ZERO, at(1));
        }
        for seconds in [10, 20, 30, 40, 50] {
            group.sweep(at(seconds));
        }
    });
    assert_eq!(returned.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn several_that_fail_half_do_not_hide_behind_each_other() {
    for (sick, size) in [(2, 4), (2, 5), (2, 7), (3, 10), (5, 20)] {
        let failures: Vec<_> = (0..size).map(|i| if i < sick { 500 } else { 0 }).collect();
        assert_eq!(out_of(&failures).len(), sick, "{sick} of {size}");
    }
}

#[test]
fn the_latency_of_a_single_answer_is_no_mean() {
    let config = OutlierConfig {
        min_success_rate: 0.0,
        ..OutlierConfig::default()
    };
    let (group, members) = group(4, config);
    for member in &members[1..] {
        traffic(member, 0, at(1));
    }
    observe(&members[0], Outcome::Success, Duration::from_millis(900), at(1));
    for _ in 0..99 {
        let overload = Outcome::Overload { retry_after: None };
        observe(&members[0], overload, Duration::ZERO, at(1));
    }
    assert!(group.sweep(at(1)).is_empty());
}

#[test]
fn each_field_out_of_range_is_refused_by_its_name() {
    type Spoil = fn(&mut OutlierConfig);
    let spoilt: [(&str, Spoil); 11] = [
        ("consecutive_failures", |c| c.consecutive_failures = 0),
        ("min_requests", |c| c.min_requests = 0),
        ("deviations", |c| c.deviations = 0.0),
        ("deviations", |c| c.deviations = f64::NAN),
        ("min_group", |c| c.min_group = 2),
        ("min_gap", |c| c.min_gap = -0.1),
        ("min_success_rate", |c| c.min_success_rate = 1.1),
        ("latency_factor", |c| c.latency_factor = 1.0),
        ("base_ejection", |c| c.base_ejection = Duration::ZERO),
        ("max_ejection", |c| c.max_ejection = c.base_ejection / 2),
        ("max_ejected", |c| c.max_ejected = 2.0),
    ];
    for (name, spoil) in spoilt {
        let mut config = OutlierConfig::default();
        spoil(&mut config);
        let error = OutlierDetector::new(config).unwrap_err().to_string();
        assert!(error.contains(&format!("OutlierConfig.{name} ")), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_somebody_stays_and_no_more_than_the_share_is_out(
        size in 1_usize..12,
        share in 0.0_f64..=1.0,
        rounds in proptest::collection::vec(proptest::collection::vec(0_u64..=1_000, 12), 1..6),
    ) {
        let config = OutlierConfig { max_ejected: share, ..OutlierConfig::default() };
        let (group, members) = group(size, config);
        let most = ((size as f64 * share) as usize).max(1).min(size - 1);
        for (round, failures) in rounds.iter().enumerate() {
            let now = at(round as u64 * 10 + 1);
            for (member, failures) in members.iter().zip(failures) {
                traffic(member, *failures, now);
            }
            group.sweep(now);
            let out = members.iter().filter(|member| !member.verdict(now).is_eligible()).count();
            prop_assert!(out <= most, "{} of {} are out, {} may be", out, size, most);
        }
    }
}
