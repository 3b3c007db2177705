//! What all judges together say: the table, the order of news, and that nothing is told twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use evenkeel_health::{
    CircuitBreaker, CircuitBreakerConfig, CircuitState, Detector, Observation, OperatorWord, OutlierConfig,
    OutlierDetector, ReadinessReason, ReadinessTracker, Verdict,
};
use evenkeel_stats::{Outcome, Readiness, Timestamp};
use parking_lot::Mutex;
use proptest::prelude::*;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

/// Says what it is told to.
#[derive(Debug)]
struct Puppet(Mutex<Verdict>, AtomicUsize);

impl Puppet {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Verdict::Healthy), AtomicUsize::new(0)))
    }

    fn says(&self, verdict: Verdict) {
        *self.0.lock() = verdict;
    }
}

impl Detector for Puppet {
    fn observe(&self, observation: &Observation) -> Verdict {
        self.verdict(observation.now)
    }

    fn verdict(&self, _: Timestamp) -> Verdict {
        *self.0.lock()
    }

    fn readmit(&self, _: Timestamp) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

fn breaker() -> Arc<CircuitBreaker> {
    let config = CircuitBreakerConfig {
        circuit_breaker_timeout: Duration::from_secs(60),
        jitter: 0.0,
        ..CircuitBreakerConfig::default()
    };
    Arc::new(CircuitBreaker::new(config).unwrap())
}

fn trip(breaker: &CircuitBreaker, now: Timestamp) {
    while let Ok(permit) = breaker.permit(now) {
        permit.finish(Outcome::Failure, now);
    }
}

#[test]
fn every_combination_is_what_the_table_says() {
    let until = at(9);
    for operator in [OperatorWord::Auto, OperatorWord::Drain, OperatorWord::Disable] {
        for healthy in [None, Some(true), Some(false)] {
            for verdict in [Verdict::Healthy, Verdict::OnTrial, Verdict::Ejected { until }] {
                let puppet = Puppet::new();
                let tracker = ReadinessTracker::new("b", vec![puppet.clone()], at(0));
                puppet.says(verdict);
                tracker.set_check(healthy, Some("no".into()), at(1));
                tracker.set_operator(operator, at(2));
                let report = tracker.report();
                let expected = if operator == OperatorWord::Disable {
                    (Readiness::Draining, ReadinessReason::Disabled)
                } else if operator == OperatorWord::Drain {
                    (Readiness::Draining, ReadinessReason::Drained)
                } else if healthy == Some(false) {
                    (Readiness::Unhealthy, ReadinessReason::CheckFailed)
                } else if verdict == (Verdict::Ejected { until }) {
                    (Readiness::Ejected, ReadinessReason::Ejected { until })
                } else if verdict == Verdict::OnTrial {
                    (Readiness::Degraded, ReadinessReason::OnTrial)
                } else {
                    (Readiness::Ready, ReadinessReason::Well)
                };
                assert_eq!((report.readiness, report.reason), expected);
                let checked = report.reason == ReadinessReason::CheckFailed;
                assert_eq!(report.error.is_some(), checked, "{report:?}");
            }
        }
    }
}

#[test]
fn of_two_detectors_the_stricter_counts_and_of_two_ejections_the_longer() {
    let (one, other) = (Puppet::new(), Puppet::new());
    let tracker = ReadinessTracker::new("b", vec![one.clone(), other.clone()], at(0));
    one.says(Verdict::OnTrial);
    assert_eq!(
        tracker.refresh(at(1)).unwrap().report.readiness,
        Readiness::Degraded
    );
    other.says(Verdict::Ejected { until: at(5) });
    one.says(Verdict::Ejected { until: at(7) });
    let report = tracker.refresh(at(1)).unwrap().report;
    assert_eq!(report.reason, ReadinessReason::Ejected { until: at(7) });
}

#[test]
fn a_backend_that_passes_its_checks_and_fails_its_requests_stays_out() {
    let breaker = breaker();
    let tracker = ReadinessTracker::new("b", vec![breaker.clone()], at(0));
    tracker.set_check(Some(true), None, at(1));
    trip(&breaker, at(2));
    assert_eq!(
        tracker.refresh(at(2)).unwrap().report.readiness,
        Readiness::Ejected
    );
    for millis in 3..20 {
        assert_eq!(tracker.set_check(Some(true), None, at(millis)), None);
    }
}

#[test]
fn checks_that_turn_good_start_the_trial_without_waiting_for_the_open_time() {
    let breaker = breaker();
    let tracker = ReadinessTracker::new("b", vec![breaker.clone()], at(0));
    trip(&breaker, at(2));
    tracker.refresh(at(2));
    tracker.set_check(Some(false), Some("refused".into()), at(100));
    assert!(breaker.permit(at(2_000)).is_err(), "a minute is not over");
    let change = tracker.set_check(Some(true), None, at(2_100)).unwrap();
    assert_eq!(
        (change.from, change.report.readiness),
        (Readiness::Unhealthy, Readiness::Degraded)
    );
    assert!(!change.is_return(), "one request decides first");
    let trial = breaker.permit(at(2_110)).unwrap();
    assert!(breaker.permit(at(2_110)).is_err(), "one only");
    trial.finish(Outcome::Success, at(2_120));
    let change = tracker.refresh(at(2_120)).unwrap();
    assert!(change.is_return());
    assert_eq!(change.report.since, at(2_120));
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn a_breaker_opened_by_hand_is_not_readmitted_by_a_check() {
    let breaker = breaker();
    let tracker = ReadinessTracker::new("b", vec![breaker.clone()], at(0));
    breaker.force_open(at(1));
    tracker.set_check(Some(false), None, at(2));
    tracker.set_check(Some(true), None, at(3));
    assert_eq!(tracker.report().readiness, Readiness::Ejected);
    assert!(breaker.permit(at(4)).is_err());
}

#[test]
fn an_outlier_whose_checks_turn_good_is_back_at_once() {
    let group = OutlierDetector::new(OutlierConfig::default()).unwrap();
    let (sick, _well) = (Arc::new(group.join("sick")), group.join("well"));
    let tracker = ReadinessTracker::new("sick", vec![sick.clone()], at(0));
    let fail = |millis| {
        sick.observe(&Observation {
            outcome: Outcome::Failure,
            started: at(millis),
            now: at(millis),
        })
    };
    (0..5).for_each(|_| {
        fail(1);
    });
    assert_eq!(
        tracker.refresh(at(1)).unwrap().report.readiness,
        Readiness::Ejected
    );
    tracker.set_check(Some(false), None, at(2));
    assert!(tracker.set_check(Some(true), None, at(3)).unwrap().is_return());
    // What was sent before it came back is not held against it.
    (0..9).for_each(|_| {
        fail(2);
    });
    assert_eq!(tracker.refresh(at(4)), None);
}

#[test]
fn a_reason_that_changes_keeps_the_since_of_the_readiness() {
    let tracker = ReadinessTracker::new("b", Vec::new(), at(0));
    tracker.set_operator(OperatorWord::Drain, at(1));
    let change = tracker.set_operator(OperatorWord::Disable, at(5)).unwrap();
    assert_eq!(change.from, Readiness::Draining);
    assert_eq!(change.report.since, at(1));
    assert_eq!(tracker.stats(at(5)).entered(Readiness::Draining), 1);
    assert!(
        tracker
            .set_operator(OperatorWord::Auto, at(6))
            .unwrap()
            .is_return()
    );
}

#[test]
fn a_thread_with_an_older_time_makes_no_time_run_back() {
    let tracker = ReadinessTracker::new("b", Vec::new(), at(0));
    tracker.set_operator(OperatorWord::Drain, at(10));
    tracker.set_operator(OperatorWord::Auto, at(4));
    assert_eq!(tracker.report().since, at(10));
    let stats = tracker.stats(at(12));
    assert_eq!(stats.time_in(Readiness::Ready), Duration::from_millis(12));
    assert_eq!(stats.time_in(Readiness::Draining), Duration::ZERO);
}

/// Two threads change it at random; the mirror must end on what the tracker says.
#[test]
fn a_mirror_never_ends_on_an_older_change() {
    let mirror = Arc::new(Mutex::new(Readiness::Ready));
    let puppet = Puppet::new();
    let tracker = {
        let mirror = mirror.clone();
        ReadinessTracker::new("b", vec![puppet.clone()], at(0))
            .on_change(move |change| *mirror.lock() = change.report.readiness)
    };
    for round in 0..200 {
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let (tracker, puppet) = (&tracker, &puppet);
                scope.spawn(move || {
                    puppet.says(if (round + thread) % 2 == 0 {
                        Verdict::Healthy
                    } else {
                        Verdict::OnTrial
                    });
                    tracker.refresh(at(round));
                });
            }
        });
        assert_eq!(*mirror.lock(), tracker.report().readiness);
        let last = puppet.verdict(at(round));
        let expected = if last == Verdict::Healthy {
            Readiness::Ready
        } else {
            Readiness::Degraded
        };
        assert_eq!(
            tracker.report().readiness,
            expected,
            "the last to enter speaks with the newest verdicts"
        );
    }
}

#[derive(Clone, Debug)]
enum Step {
    Verdict(Verdict),
    Check(Option<bool>),
    Operator(OperatorWord),
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![
        Just(Verdict::Healthy),
        Just(Verdict::OnTrial),
        (0_u64..100).prop_map(|millis| Verdict::Ejected { until: at(millis) }),
    ];
    let word = prop_oneof![
        Just(OperatorWord::Auto),
        Just(OperatorWord::Drain),
        Just(OperatorWord::Disable)
    ];
    prop_oneof![
        verdict.prop_map(Step::Verdict),
        any::<Option<bool>>().prop_map(Step::Check),
        word.prop_map(Step::Operator),
    ]
}

proptest! {
    /// Time is spent in one readiness at a time, each change is returned once, and readmission happens
    /// exactly when the checks turn from bad to good.
    #[test]
    fn the_books_balance(steps in proptest::collection::vec((step(), 0_u64..50), 1..100)) {
        let puppet = Puppet::new();
        let tracker = ReadinessTracker::new("b", vec![puppet.clone()], at(0));
        let (mut now, mut entered, mut turns, mut last) = (0, [0_u64; 5], 0, None);
        let mut before = tracker.report();
        for (step, wait) in steps {
            now += wait;
            let change = match step {
                Step::Verdict(verdict) => {
                    puppet.says(verdict);
                    tracker.refresh(at(now))
                }
                Step::Check(healthy) => {
                    turns += usize::from(last == Some(false) && healthy == Some(true));
                    last = healthy;
                    tracker.set_check(healthy, None, at(now))
                }
                Step::Operator(word) => tracker.set_operator(word, at(now)),
            };
            let after = tracker.report();
            prop_assert_eq!(change.is_some(), before != after);
            if let Some(change) = change {
                prop_assert_eq!((change.from, &change.report), (before.readiness, &after));
                if before.readiness != after.readiness {
                    entered[usize::from(after.readiness.code())] += 1;
                    prop_assert_eq!(after.since, at(now));
                } else {
                    prop_assert_eq!(after.since, before.since);
                }
            }
            before = after;
        }
        let stats = tracker.stats(at(now));
        let spent: Duration = Readiness::ALL.iter().map(|&state| stats.time_in(state)).sum();
        prop_assert_eq!(spent, Duration::from_millis(now));
        for state in Readiness::ALL {
            prop_assert_eq!(stats.entered(state), entered[usize::from(state.code())]);
        }
        prop_assert_eq!(stats.transitions(), entered.iter().sum::<u64>());
        prop_assert_eq!(puppet.1.load(Ordering::Relaxed), turns);
    }
}

#[cfg(feature = "checker")]
mod subscribed {
    use super::*;
    use evenkeel_health::{CheckConfig, HealthChecker};
    use evenkeel_stats::TokioClock;
    use std::io;
    use tokio::time::sleep;

    #[tokio::test(start_paused = true)]
    async fn a_subscriber_sees_what_the_checks_find_and_the_end() {
        let sick = Arc::new(AtomicUsize::new(0));
        let probe = {
            let sick = sick.clone();
            move |_| {
                let sick = sick.load(Ordering::Relaxed) == 1;
                async move {
                    if sick {
                        return Err(io::Error::from(io::ErrorKind::ConnectionReset));
                    }
                    Ok(())
                }
            }
        };
        let clock = TokioClock::new();
        let checker = HealthChecker::new(CheckConfig::default(), 1, probe).unwrap();
        let (mut health, checks) = checker.watch("b:1".parse().unwrap());
        let checks = tokio::spawn(checks);
        let tracker = Arc::new(ReadinessTracker::new("b", Vec::new(), at(0)));
        let mut readiness = tracker.subscribe();
        let following = {
            let tracker = tracker.clone();
            tokio::spawn(async move { tracker.follow(&mut health, &clock).await })
        };
        sleep(Duration::from_secs(3)).await;
        sick.store(1, Ordering::Relaxed);
        let report = readiness.changed().await.unwrap();
        assert_eq!(report.readiness, Readiness::Unhealthy);
        assert!(report.error.unwrap().contains("reset"));
        assert!(report.since > at(3_000) && report.since <= at(4_200));
        // Nothing is known of a backend that nobody checks any more.
        checks.abort();
        following.await.unwrap();
        let report = readiness.changed().await.unwrap();
        assert_eq!((report.readiness, report.error), (Readiness::Ready, None));
        drop(tracker);
        assert_eq!(readiness.changed().await, None);
    }
}
